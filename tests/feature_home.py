"""A real home for features' tests: ledger, SQLite, files and acts, under the projectors a test names.

Acts of kind `test.rows` write any rows: one feature is tested beside another's rows without importing it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, Projector
from emeritus.blobs.local import LocalStore
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.records.database import Database
from emeritus.records.tables import Base
from migrated import migrated

STEWARD = Actor("ana")
_TABLES = {mapper.class_.__name__: mapper.class_ for mapper in Base.registry.mappers}


def _rows(session: Session, act: Act) -> None:
    for row in act.public["rows"]:
        values = {"act": act.id, "at": act.at, "resident": act.resident, **row["values"]}
        table = _TABLES[row["table"]]
        session.add(table(**{key: value for key, value in values.items() if hasattr(table, key)}))


@dataclass
class Clock:
    """A clock that moves only when told to."""

    now: datetime = datetime(2026, 1, 10, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_days(self, days: int) -> None:
        """Move on."""
        self.now += timedelta(days=days)


@dataclass
class FeatureHome:
    """What a feature's service is made of."""

    folder: Path
    database: Database
    ledger: Ledger
    acts: Acts
    clock: Clock
    projectors: Mapping[str, Projector]
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def state(self, resident: str, table: str, **values: object) -> Act:
        """Write one row of any table through a real act."""
        rows = {"rows": [{"table": table, "values": values}]}
        draft = Draft("test.rows", resident, public=rows)
        return self.acts.perform(f"test:{next(self._numbers)}", STEWARD, lambda _: draft)

    def read(self, query: Any) -> list[Any]:
        """All rows of a query."""
        with self.database.reading() as session:
            return list(session.scalars(query))


def make_home(folder: Path, projectors: Mapping[str, Projector]) -> FeatureHome:
    """A new home in `folder`. The caller disposes of its database."""
    clock = Clock()
    key = SigningKey.generate("example.org/test")
    ledger = Ledger.create(LocalStore(folder / "ledger"), key, "example.org/test", folder / "ledger.lock")
    database = migrated(folder / "records.db")
    known = {**projectors, "test.rows": _rows}
    acts = Acts(ledger, database, LocalStore(folder), known, clock)
    return FeatureHome(folder, database, ledger, acts, clock, known)
