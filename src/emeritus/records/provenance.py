"""Where a row came from: the act behind it, who did it, and the ledger entry that proves it.

Every record people read carries one, so that a page can say who, when, whether automated, and where to verify it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.records.tables import ActRow

_BATCH = 500  # bound parameters per query, well under every database's limit


@dataclass(frozen=True, slots=True)
class Provenance:
    """The act behind a record. `entry` is its index in the ledger; `at` is RFC 3339, UTC."""

    act: str
    entry: int
    kind: str
    resident: str | None
    actor: str
    role: str
    automated: bool
    at: str
    private_withheld: bool = False


def of_row(row: ActRow) -> Provenance:
    """An act's row as a provenance."""
    return Provenance(
        row.id, row.seq, row.kind, row.resident, row.actor, row.role, row.automated, row.at, row.private_withheld
    )


def provenance(session: Session, acts: Iterable[str]) -> Mapping[str, Provenance]:
    """The provenance of each act id given; every projected row's `act` is a foreign key, so all are found."""
    wanted = sorted(set(acts))
    found: dict[str, Provenance] = {}
    for start in range(0, len(wanted), _BATCH):
        rows = session.scalars(select(ActRow).where(ActRow.id.in_(wanted[start : start + _BATCH])))
        found.update((row.id, of_row(row)) for row in rows)
    return found
