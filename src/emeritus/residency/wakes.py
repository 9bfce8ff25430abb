"""Wakes as measured, written down in the background: nobody who waits for a resident waits for the database.

Keeps the newest of each resident, which is all that an expectation needs. Knows no scheduler and no engine.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Literal

from sqlalchemy import delete, select

from emeritus.errors import EmeritusError
from emeritus.records.database import Database
from emeritus.records.tables import Wake

Way = Literal["cache", "memory", "upstream"]
OK = "ok"
KEPT = 16  # wakes of one resident
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Woke:
    """One wake: when it ended (RFC 3339, UTC), how long it took, which way, and `ok` or the code of its error."""

    resident: str
    at: str
    seconds: float
    way: Way
    outcome: str = OK


class WakeLog:
    """Writes wakes one after the other in a thread of its own. Safe in threads; close it to have the last written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = Lock()
        self._writer: ThreadPoolExecutor | None = None

    def record(self, woke: Woke) -> None:
        """Have a wake written; returns at once. One that the database would not take is logged and dropped."""
        with self._guard:
            if self._writer is None:
                self._writer = ThreadPoolExecutor(1, thread_name_prefix="emeritus-wakes")
            self._writer.submit(self._write, woke)

    def close(self) -> None:
        """Wait until all is written. Safe to repeat; a later wake is still recorded."""
        with self._guard:
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.shutdown()

    def _write(self, woke: Woke) -> None:
        mine = Wake.resident == woke.resident
        try:
            with self._database.session() as session:
                session.add(Wake(**asdict(woke)))
                session.flush()
                newest = select(Wake.id).where(mine).order_by(Wake.id.desc()).limit(KEPT)
                session.execute(delete(Wake).where(mine, Wake.id.not_in(newest.scalar_subquery())))
        except EmeritusError as error:
            _log.warning("a wake of %s could not be written down: %s %s", woke.resident, error.code, error)
