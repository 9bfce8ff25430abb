"""The database behaves alike on SQLite and PostgreSQL: migrations, transactions, readers, errors."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, func, inspect, make_url, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from emeritus.errors import BadSettings, DatabaseUnavailable
from emeritus.records import database as database_module
from emeritus.records.database import Database
from emeritus.records.migrations import HEAD
from emeritus.records.tables import NOT_REBUILT, ActRow, Base, Person, Policy, Resident


def act(seq: int) -> ActRow:
    """Some act's row."""
    return ActRow(
        id=f"act:{seq}",
        seq=seq,
        kind="k",
        resident=None,
        actor="a",
        role="r",
        automated=False,
        at="2026-01-01T00:00:00Z",
        public={"n": [seq, None, "ü"]},
        payloads={},
        private_withheld=False,
    )


def person(name: str) -> Person:
    """Some person's row."""
    return Person(name=name, display=name, role="steward", created_at="2026-01-01T00:00:00Z")


def engine_for(url: str) -> Engine:
    """A bare engine beside the one under test."""
    address = make_url(url)
    return create_engine(
        address.set(drivername="postgresql+psycopg") if address.drivername == "postgresql" else address
    )


def test_migrations_make_the_tables_the_models_declare(database: Database, database_url: str) -> None:
    """After all migrations Alembic finds no difference to the tables, types included."""
    engine = engine_for(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
        assert set(inspect(connection).get_table_names()) == set(Base.metadata.tables) | {"alembic_version"}
    engine.dispose()


def test_a_difference_between_models_and_migrations_would_be_found(database: Database, database_url: str) -> None:
    """The comparison above is able to fail: a dropped index and a dropped column show."""
    engine = engine_for(database_url)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_acts_kind"))
        connection.execute(text("ALTER TABLE reports DROP COLUMN version"))
    with engine.connect() as connection:
        kinds = {
            difference[0] for difference in compare_metadata(MigrationContext.configure(connection), Base.metadata)
        }
    assert kinds == {"add_index", "add_column"}
    engine.dispose()


def test_migrating_again_keeps_the_rows(database: Database) -> None:
    """A second migration changes nothing."""
    with database.session() as session:
        session.add(act(0))
    database.migrate()
    with database.reading() as session:
        assert session.get_one(ActRow, "act:0").public == {"n": [0, None, "ü"]}


def test_processes_that_migrate_at_once_take_turns(database_url: str) -> None:
    """Four processes that find an empty database all end with the same tables."""
    program = "import sys; from emeritus.records.database import Database; Database.open(sys.argv[1]).migrate()"
    running = [
        subprocess.Popen([sys.executable, "-c", program, database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    failures = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, failures
    engine = engine_for(database_url)
    assert set(inspect(engine).get_table_names()) == set(Base.metadata.tables) | {"alembic_version"}
    engine.dispose()


def test_an_interrupted_migration_leaves_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that fails half-way leaves no table, and the next one succeeds."""
    from alembic import op

    real, made = op.create_table, []

    def failing(name: str, *args: object, **options: object) -> object:
        if len(made) == 5:
            raise RuntimeError("the power went")
        made.append(name)
        return real(name, *args, **options)

    database = Database.open(database_url)
    monkeypatch.setattr(op, "create_table", failing)
    with pytest.raises(RuntimeError, match="the power went"):
        database.migrate()
    monkeypatch.undo()
    engine = engine_for(database_url)
    assert inspect(engine).get_table_names() == []
    database.migrate()
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(ActRow)) == 0
    engine.dispose()
    database.dispose()


def test_a_session_commits_whole_or_not_at_all(database: Database) -> None:
    """What an error interrupts is rolled back; what ends well is there for every later reader."""

    def interrupted() -> None:
        with database.session() as session:
            session.add(act(0))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    with database.session() as session:
        assert session.get(ActRow, "act:0") is None
        session.add(act(1))
    with database.reading() as session:
        assert session.get_one(ActRow, "act:1").seq == 1


def test_a_reading_session_cannot_write(database: Database) -> None:
    """The database itself refuses a write in a reading session, and the connection writes again afterwards."""

    def write() -> None:
        with database.reading() as session:
            session.add(act(0))

    with pytest.raises((DBAPIError, DatabaseUnavailable), match=r"readonly|read-only"):
        write()
    with database.session() as session:
        session.add(act(0))


def test_foreign_keys_hold(database: Database) -> None:
    """A row cannot name an act that is not there."""
    with pytest.raises(IntegrityError), database.session() as session:
        session.add(Policy(name="p", value="v", at="2026-01-01T00:00:00Z", act="act:none"))


def test_readers_do_not_wait_for_a_writer_and_see_one_moment(database: Database) -> None:
    """A reader begun before a commit sees the old rows to its end, while the writer goes on."""
    with database.session() as session:
        session.add(act(0))
    count = select(func.count()).select_from(ActRow)
    with database.reading() as reader:
        assert reader.scalar(count) == 1
        with database.session() as writer:
            writer.add(act(1))
            writer.flush()
            with database.reading() as other:
                assert other.scalar(count) == 1
        assert reader.scalar(count) == 1
    with database.reading() as reader:
        assert reader.scalar(count) == 2


def test_writers_that_read_first_take_turns(database: Database) -> None:
    """Forty read-then-write transactions in eight threads all succeed: no stale snapshot, no 'database is locked'."""
    with database.session() as session:
        session.add(person("counter"))

    def count_up(_: int) -> None:
        with database.session() as session:
            row = session.scalars(select(Person).with_for_update()).one()
            row.display = f"{int(row.display) + 1 if row.display.isdigit() else 1}"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_up, range(40)))
    with database.reading() as session:
        assert session.get_one(Person, "counter").display == "40"


def test_emptying_keeps_accounts_and_starts_numbers_afresh(database: Database) -> None:
    """A rebuild's first step empties projected tables only, and new rows get the same numbers as the first time."""

    def fill() -> int:
        with database.session() as session:
            session.add(act(0))
            session.flush()
            row = Policy(name="p", value="v", at="2026-01-01T00:00:00Z", act="act:0")
            session.add(row)
            session.flush()
            return row.id

    with database.session() as session:
        session.add(person("kept"))
    first = fill()
    with database.session() as session:
        database.empty_projections(session)
        for name, table in Base.metadata.tables.items():
            assert session.scalar(select(func.count()).select_from(table)) == int(name == "people")
    assert "people" in NOT_REBUILT
    assert fill() == first


def test_an_unreachable_server_is_named(tmp_path: Path) -> None:
    """No server, no folder, no file: each is DatabaseUnavailable, with the driver's own words."""
    for url in ("postgresql://nobody@127.0.0.1:1/none", f"sqlite:///{tmp_path}/missing/records.db"):
        with pytest.raises(DatabaseUnavailable):
            Database.open(url).migrate()
    (tmp_path / "not.db").write_bytes(b"this is no database, and long enough to have a header" * 10)
    with pytest.raises(DatabaseUnavailable):
        Database.open(f"sqlite:///{tmp_path / 'not.db'}").migrate()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_an_address_of_no_database_we_know_is_refused(url: str) -> None:
    """Anything but a SQLite file or PostgreSQL is BadSettings, before anything is opened."""
    with pytest.raises(BadSettings):
        Database.open(url)


def test_a_lock_held_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that waits in vain for another gets DatabaseUnavailable rather than a driver's error."""
    monkeypatch.setattr("emeritus.records.database.LOCK_WAIT_S", 0.05)
    database = Database.open(f"sqlite:///{tmp_path / 'records.db'}")
    database.migrate()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with database.session():
            held.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    try:
        with pytest.raises(DatabaseUnavailable, match="locked"), database.session():
            pass
    finally:
        done.set()
        holder.join()
        database.dispose()


def test_sqlite_is_set_as_documented(tmp_path: Path) -> None:
    """WAL, full synchronisation, foreign keys and overwriting of deleted rows are on."""
    database = Database.open(f"sqlite:///{tmp_path / 'records.db'}")
    with database.session() as session:
        values = [
            session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        ]
    assert values == ["wal", 2, 1, 1]
    database.dispose()
    with sqlite3.connect(tmp_path / "records.db") as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


def test_rows_hold_unicode_and_json_as_given(database: Database) -> None:
    """Text and JSON come back as they went in, on either database."""
    engine = {"kind": "command", "options": {"n": 1, "s": "é\u4e2d\U0001f600", "none": None, "list": [1.5, True]}}
    with database.session() as session:
        session.add(act(0))
        session.add(
            Resident(
                name="m",
                title="é\u4e2d\U0001f600",
                description="",
                engine=engine,
                weights_held=True,
                demonstration=False,
                weights_digest=None,
                registered_at="2026-01-01T00:00:00Z",
                act="act:0",
            )
        )
    with database.reading() as session:
        row = session.get_one(Resident, "m")
        assert (row.engine, row.title, row.weights_digest) == (engine, "é\u4e2d\U0001f600", None)


def test_the_version_that_is_looked_for_is_the_newest_migration() -> None:
    """A database at HEAD is opened without Alembic; that must be Alembic's own head."""
    folder = Path(database_module.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD
