"""One worker per executor id, and what SQLite needs before DBOS opens it. Knows no jobs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import time
from contextlib import closing

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from emeritus.errors import DatabaseUnavailable, HomeBusy

_WAIT_S = 10.0  # PostgreSQL may take a moment to notice that a killed worker is gone
_POLL_S = 0.05


class Exclusive:
    """Holds an executor id while the process lives: flock(2) beside SQLite's file, an advisory lock on PostgreSQL.

    Both let go by themselves when the process dies.
    """

    def __init__(self, address: URL, executor_id: str) -> None:
        self._address = address
        self._executor_id = executor_id
        self._descriptor: int | None = None
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    def take(self) -> None:
        """Take the id. Raises HomeBusy when another worker keeps it."""
        deadline = time.monotonic() + _WAIT_S
        while not (self._flock() if self._address.get_backend_name() == "sqlite" else self._advisory()):
            if time.monotonic() > deadline:
                raise HomeBusy(
                    f"a worker with the executor id {self._executor_id!r} is running",
                    remedy="Stop it, or give this one another EMERITUS_EXECUTOR_ID and keep that.",
                )
            time.sleep(_POLL_S)

    def release(self) -> None:
        """Let go; nothing happens when the id is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._connection is not None and self._engine is not None:
            self._connection.close()
            self._engine.dispose()
            self._connection = None

    def _name(self) -> str:
        return hashlib.sha256(self._executor_id.encode()).hexdigest()

    def _flock(self) -> bool:
        path = f"{self._address.database}.{self._name()[:16]}.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseUnavailable(f"the jobs' database is not available: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _advisory(self) -> bool:
        if self._engine is None:
            address = self._address.set(drivername="postgresql+psycopg")
            self._engine = create_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        connection = self._engine.connect()
        key = int.from_bytes(bytes.fromhex(self._name()[:16]), "big", signed=True)
        if connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
            self._connection = connection
            return True
        connection.close()
        return False


def use_wal(url: str) -> None:
    """Put SQLite's file in WAL mode, which it keeps; DBOS leaves it in DELETE mode, where readers block writers."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and address.database is not None:
        with closing(sqlite3.connect(address.database, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
