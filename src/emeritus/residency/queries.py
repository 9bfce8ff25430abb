"""What was measured of waking residents, read only. Wakes nobody.

An expectation is the median of a resident's last successful wakes by the way that its newest one took: a wake from
restored files says little about one from the vault.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.records.tables import Wake
from emeritus.residency.wakes import OK, Way

LAST = 9  # wakes that an expectation rests on


def expected_wake_s(session: Session, resident: str, way: Way | None = None) -> float | None:
    """How long a wake will take, in seconds; None where none succeeded yet. `way`: if it is to go that way."""
    wanted = select(Wake.way, Wake.seconds).where(Wake.resident == resident, Wake.outcome == OK)
    if way is not None:
        wanted = wanted.where(Wake.way == way)
    rows = session.execute(wanted.order_by(Wake.id.desc())).all()
    return _expected((row.way, row.seconds) for row in rows)


def expected_wakes(session: Session) -> dict[str, float]:
    """The same for every resident that ever woke, by one query."""
    newest: dict[str, list[tuple[str, float]]] = {}
    for row in session.execute(
        select(Wake.resident, Wake.way, Wake.seconds).where(Wake.outcome == OK).order_by(Wake.id.desc())
    ):
        newest.setdefault(row.resident, []).append((row.way, row.seconds))
    expected = {name: _expected(wakes) for name, wakes in newest.items()}
    return {name: seconds for name, seconds in expected.items() if seconds is not None}


@dataclass(frozen=True, slots=True)
class WakeView:
    """One wake as it was measured. `outcome`: ok, or the code of the error it ended with."""

    resident: str
    at: str
    seconds: float
    way: str
    outcome: str


def last_wakes(session: Session, resident: str | None = None, limit: int = 10) -> tuple[WakeView, ...]:
    """The last wakes, the newest first; of all residents, or of one."""
    query = select(Wake.resident, Wake.at, Wake.seconds, Wake.way, Wake.outcome).order_by(Wake.id.desc()).limit(limit)
    return tuple(
        WakeView(*row) for row in session.execute(query if resident is None else query.where(Wake.resident == resident))
    )


def _expected(wakes: Iterable[tuple[str, float]]) -> float | None:
    """Of wakes, the newest first."""
    found = list(wakes)
    if not found:
        return None
    return median([seconds for way, seconds in found if way == found[0][0]][:LAST])
