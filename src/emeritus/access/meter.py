"""Metering: counts gathered in memory and written in batches, so that no request waits for the database's write lock.

One row per key, resident and UTC day; counts only, never content. A process that is killed loses at most the last
second's counts. Knows nothing of grants or who may call.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from emeritus.acts import stamp
from emeritus.records.database import Database
from emeritus.records.tables import Usage
from emeritus.records.upsert import insert_for

WITHOUT_KEY = "-"  # what calls without a key are counted under
FLUSH_EVERY_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Counts:
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    last_at: str = ""

    def add(self, other: _Counts) -> None:
        self.requests += other.requests
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.last_at = max(self.last_at, other.last_at)


@dataclass(frozen=True, slots=True)
class Line:
    """What is counted under: a key's prefix, a resident, a UTC day (ISO 8601)."""

    prefix: str
    resident: str
    day: str


class Meter:
    """Counts of one process. Safe in threads; counting and reading never wait for the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = threading.Lock()  # over the two dictionaries; held for moments only
        self._counts: defaultdict[Line, _Counts] = defaultdict(_Counts)
        self._writing: dict[Line, _Counts] = {}  # the batch on its way to the database
        self._flushing = threading.Lock()  # held while a batch is written
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def count(
        self, line: Line, at: datetime, requests: int = 0, prompt_tokens: int = 0, completion_tokens: int = 0
    ) -> None:
        """Add to a line; negative requests give back. The first call starts the thread that writes every second."""
        with self._guard:
            self._counts[line].add(_Counts(requests, prompt_tokens, completion_tokens, stamp(at)))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="emeritus-meter", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what was counted, all or nothing. When the database refuses, the counts stay and that is raised."""
        with self._flushing:
            with self._guard:
                self._writing, self._counts = dict(self._counts), defaultdict(_Counts)
            if not self._writing:
                return
            try:
                with self._database.session() as session:
                    _add(session, self._writing)
            except BaseException:
                with self._guard:
                    for line, counts in self._writing.items():
                        self._counts[line].add(counts)
                    self._writing = {}
                raise
            with self._guard:
                self._writing = {}

    def close(self) -> None:
        """Write what is left and end the thread. Raises DatabaseUnavailable."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_EVERY_S):
            try:
                self.flush()
            except Exception:  # the thread must outlive whatever the database does; the counts are kept
                _log.warning("metering could not be written; it is tried again", exc_info=True)


def _add(session: Session, counts: dict[Line, _Counts]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "key_prefix": line.prefix,
            "resident": line.resident,
            "day": line.day,
            "requests": entry.requests,
            "prompt_tokens": entry.prompt_tokens,
            "completion_tokens": entry.completion_tokens,
            "last_at": entry.last_at,
        }
        for line, entry in sorted(counts.items(), key=lambda item: (item[0].prefix, item[0].resident, item[0].day))
    ]
    insert = insert_for(session, Usage)
    added = insert.excluded
    session.execute(
        insert.on_conflict_do_update(
            index_elements=["key_prefix", "resident", "day"],
            set_={
                "requests": Usage.requests + added.requests,
                "prompt_tokens": Usage.prompt_tokens + added.prompt_tokens,
                "completion_tokens": Usage.completion_tokens + added.completion_tokens,
                "last_at": added.last_at,
            },
        ),
        rows,
    )
