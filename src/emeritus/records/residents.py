"""A resident's row by name, for every feature that must not go on without it. Decides nothing else."""

from __future__ import annotations

from sqlalchemy.orm import Session

from emeritus.errors import NotFound
from emeritus.records.tables import Resident


def resident_row(session: Session, name: str) -> Resident:
    """The row of a model in care. Raises NotFound."""
    row = session.get(Resident, name)
    if row is None:
        raise NotFound(f"there is no resident {name!r}", resident=name)
    return row
