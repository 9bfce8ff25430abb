"""One model by itself at each tier: simulated with room to spare, so that only its traffic and tier matter. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from emeritus.residency.planning.cost import DAYS_A_YEAR, Prices, TierCost, yearly
from emeritus.residency.planning.fleet import Counts, Machines, Planned
from emeritus.residency.planning.simulation import percentile, simulate
from emeritus.residency.planning.traffic import DAY_S, renewals
from emeritus.tiers import Tier

CALLS = 1000  # a simulation's, about: shares of them are then known to within two or three in a hundred
MOST_DAYS, LEAST_DAYS = 1e7, 0.01
BY_THE_DAY = 700.0  # the most days of a tier for which every day has its events
SETTLING = 0.1  # of the time, before anything is counted


@dataclass(frozen=True, slots=True)
class Alone:
    """A year at one tier. The wait is from a call to the start of its answer, in seconds; None where nobody calls."""

    cost: TierCost
    wait_p50_s: float | None
    wait_p95_s: float | None
    answered: bool  # whether calls are answered at all


def at_tier(model: Planned, calls_per_day: float, prices: Prices, cv: float = 1.0) -> Alone:
    """What it costs a year at its own tier, and how long callers wait, with that traffic (Gamma arrivals)."""
    return _at(replace(model, name="model"), calls_per_day, prices, cv)


def at_each_tier(model: Planned, calls_per_day: float, prices: Prices, cv: float = 1.0) -> Mapping[Tier, Alone]:
    """The same at every tier."""
    return {tier: at_tier(replace(model, tier=tier), calls_per_day, prices, cv) for tier in Tier}


@lru_cache(maxsize=512)
def _at(model: Planned, calls_per_day: float, prices: Prices, cv: float) -> Alone:
    counts = Counts(DAYS_A_YEAR) if model.tier is Tier.ARCHIVE else _counted(model, calls_per_day, prices, cv)
    waits = sorted(counts.waits)
    return Alone(
        yearly(model.bytes, counts, prices),
        percentile(waits, 0.5),
        percentile(waits, 0.95),
        model.tier is not Tier.ARCHIVE,
    )


def _counted(model: Planned, calls_per_day: float, prices: Prices, cv: float) -> Counts:
    """Of a simulation.

    The seconds of answering are those of the calls stated, not of those drawn: chance is left to loads and waits alone.
    """
    if model.tier is Tier.AWAKE:  # held all year, loaded once, and nobody waits: nothing to simulate
        answering_s = calls_per_day * DAYS_A_YEAR * model.service_s
        waits = (0.0,) if calls_per_day else ()
        held_s = DAYS_A_YEAR * DAY_S
        return Counts(DAYS_A_YEAR, 0, 0, 0, model.load_s, answering_s, held_s, waits)
    most = MOST_DAYS if model.tier is Tier.ON_DEMAND else BY_THE_DAY
    days = min(max(CALLS / max(calls_per_day, CALLS / most), LEAST_DAYS), most)
    if model.tier in (Tier.HOURS, Tier.CORRESPONDENCE):
        days = max(days, 70.0)  # ten weeks: letters are answered by the week
    drawn = min(calls_per_day, 2 * CALLS / days)  # of more, each drawn one stands for several
    trace = renewals({model.name: drawn}, days, cv)
    machines = Machines(1, max(model.bytes, 1))
    counts = simulate([model], trace, days, machines, prices.habits, SETTLING * days).counts[model.name]
    return replace(counts, answering_s=calls_per_day * counts.days * model.service_s)
