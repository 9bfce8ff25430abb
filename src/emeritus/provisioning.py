"""The fleet as a home's records have it, for the planner: sizes, tiers, metered calls, measured wakes. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.access import queries as access
from emeritus.records.tables import Preserved, Resident
from emeritus.residency.planning.fleet import Planned
from emeritus.residency.queries import expected_wakes
from emeritus.settings import Settings
from emeritus.tiers import Tier


@dataclass(frozen=True, slots=True)
class Known:
    """The residents whose weights are held, their calls a day, and which of them have measured wakes."""

    fleet: tuple[Planned, ...]
    calls_per_day: Mapping[str, float]
    measured: frozenset[str]


def known_fleet(session: Session, settings: Settings, now: str) -> Known:
    """What the records say at `now` (RFC 3339, UTC)."""
    sizes: dict[str, int] = {}
    query = select(Preserved).where(Preserved.role == "weights").order_by(Preserved.version)
    for row in session.scalars(query):
        sizes[row.resident] = row.bytes
    wakes = expected_wakes(session)
    fleet, calls = [], {}
    for name in session.scalars(select(Resident.name).where(Resident.weights_held).order_by(Resident.name)):
        if name not in sizes:
            continue
        tier = access.access_state(session, name, now).tier
        fleet.append(
            Planned(
                name,
                sizes[name],
                wakes.get(name, settings.estimate_load_s),
                settings.estimate_call_s,
                Tier.ARCHIVE if tier is None else Tier(tier.tier),
            )
        )
        calls[name] = access.calls_per_day(session, name, now)
    return Known(tuple(fleet), calls, frozenset(wakes) & frozenset(calls))
