"""The database: opens SQLite or PostgreSQL, migrates it, hands out sessions. Knows the tables as a whole, no feature.

SQLite runs in WAL mode, so readers never wait. Writers take the one write lock when they begin (BEGIN IMMEDIATE): a
transaction that read first and wrote later could find its snapshot stale and fail whatever the busy timeout says.
`synchronous` is FULL although projected rows could be rebuilt: accounts, keys and the outbox could not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, delete, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from emeritus.errors import BadSettings, DatabaseUnavailable, ExtraMissing, StoreFull
from emeritus.records.migrations import HEAD
from emeritus.records.tables import NOT_REBUILT, Base

LOCK_WAIT_S = 30
_MIGRATION_LOCK = 0x656D6572  # "emer": the advisory lock that migrating processes share on PostgreSQL
_POSTGRESQL_FULL = "53100"  # SQLSTATE disk_full
_READ_ONLY = "emeritus_read_only"


class Database:
    """One database. Safe in threads; each session belongs to the thread that opened it."""

    def __init__(self, engine: Engine) -> None:
        """Use `open`."""
        self._engine = engine
        self._readers = engine.execution_options(**{_READ_ONLY: True})

    @classmethod
    def open(cls, url: str) -> Database:
        """The database at `sqlite:///path` or `postgresql://...`, not connected yet. BadSettings, ExtraMissing."""
        try:
            address = make_url(url)
            name = address.get_backend_name()
            if name == "sqlite":
                return cls(_sqlite(url, address.database))
            if name == "postgresql":
                return cls(_postgresql(address.set(drivername="postgresql+psycopg")))
        except (ArgumentError, NoSuchModuleError) as error:
            raise BadSettings("the database address cannot be read", setting="database_url") from error
        raise BadSettings(f"{name!r} is no database we know; use sqlite or postgresql", setting="database_url")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction that may write: committed at the end, rolled back by an error. Perform no act inside it."""
        with _named_errors(), Session(self._engine, expire_on_commit=False) as session, session.begin():
            session.connection()  # begins now, not at the first statement
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that cannot write and waits for no writer: one consistent view of the rows."""
        with _named_errors(), Session(self._readers, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Bring the tables up to this version, all or nothing. Processes that migrate at once take turns."""
        if self._is_current():
            return
        from alembic import command  # 0.2 s to import; most commands find the tables as they should be
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        with _named_errors(), self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _is_current(self) -> bool:
        with _named_errors(), self._readers.begin() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return False
            return bool(connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD)

    def empty_projections(self, session: Session) -> None:
        """Delete every row a rebuild will write again, and start their numbering afresh."""
        for table in reversed(Base.metadata.sorted_tables):
            if table.name in NOT_REBUILT:
                continue
            session.execute(delete(table))
            if table.autoincrement_column is not None and session.get_bind().dialect.name == "postgresql":
                sequence = text("SELECT pg_get_serial_sequence(:table, :column)")
                column = table.autoincrement_column.name
                quoted = f'"{table.name}"'
                found = session.scalar(sequence, {"table": quoted, "column": column})
                session.execute(text(f"ALTER SEQUENCE {found} RESTART"))

    def settle(self) -> None:
        """Let deleted rows' bytes leave SQLite's files now; PostgreSQL's vacuum does it in its own time."""
        if self._engine.dialect.name == "sqlite":
            with _named_errors(), closing(self._engine.raw_connection()) as connection:  # raw: not in a transaction
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def dispose(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _sqlite(url: str, path: str | None) -> Engine:
    if not path or path == ":memory:":
        raise BadSettings("SQLite needs a file: sqlite:////folder/records.db", setting="database_url")
    engine = create_engine(url, connect_args={"timeout": LOCK_WAIT_S, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own; `begin` below does
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = bool(connection.get_execution_options().get(_READ_ONLY))
        connection.exec_driver_sql(f"PRAGMA query_only={int(reading)}")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _postgresql(address: Any) -> Engine:
    try:
        engine = create_engine(
            address,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "options": f"-c lock_timeout={LOCK_WAIT_S}s"},
        )
    except ImportError as error:
        raise ExtraMissing(
            "PostgreSQL needs the extra 'postgres'", remedy="pip install 'emeritus[postgres]'"
        ) from error

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_READ_ONLY):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    return engine


@contextmanager
def _named_errors() -> Iterator[None]:
    """No room is StoreFull; a database out of reach or locked for too long DatabaseUnavailable; other errors pass."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("no connection to the database became free in time") from error
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise StoreFull(f"no room for the database: {error.orig}") from error
        if getattr(error.orig, "sqlstate", None) == _POSTGRESQL_FULL:
            raise StoreFull("the PostgreSQL server has no room left") from error
        # SQLite reports a file that is no database as a bare DatabaseError, the parent of all its errors
        if isinstance(error, OperationalError) or type(error) is DatabaseError:
            raise DatabaseUnavailable(f"the database is not available: {error.orig}") from error
        raise
