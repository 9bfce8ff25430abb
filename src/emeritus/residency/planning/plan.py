"""A plan for a fleet: each mix of tiers on the fewest machines that do, the cost of the Nth model, a tier for each.

Every figure comes from replaying the trace through the scheduler; the bound on busy models is Aegaeon's formula, and is
reported beside. Pure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from emeritus.residency.planning.alone import Alone, at_each_tier
from emeritus.residency.planning.bound import active_models
from emeritus.residency.planning.cost import HOURS_A_YEAR, Prices, TierCost, yearly
from emeritus.residency.planning.fleet import Machines, Planned
from emeritus.residency.planning.recommending import Recommendation, Wanted, recommend
from emeritus.residency.planning.simulation import Outcome, percentile, simulate
from emeritus.residency.planning.traffic import DAY_S
from emeritus.residency.traces import Call
from emeritus.tiers import Tier

STEPS = 8  # points of the curve
TALKING = (Tier.AWAKE, Tier.ON_DEMAND)  # tiers whose callers wait on the line


@dataclass(frozen=True, slots=True)
class Site:
    """What a plan is made for: one machine, prices, what is wanted. `machine_hour`: price of one machine for an hour,
    on top of `prices` (0: there is none).
    """

    machine_bytes: int
    prices: Prices
    wanted: Wanted
    machine_hour: float = 0.0
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Mix:
    """A fleet at certain tiers. Waits are from a call to the start of its answer, of tiers that answer on the line."""

    name: str
    tiers: Mapping[str, int]
    machines: int
    cost: float  # a year, machines included
    machine_cost: float
    core_seconds_a_day: float
    loads_a_day: float
    wait_p50_s: float | None
    wait_p95_s: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    peak_bytes: int
    mean_bytes: float
    refused: int


@dataclass(frozen=True, slots=True)
class Point:
    """The first N models, the most called first. `marginal`: what one more costs a year, since the point before."""

    models: int
    on_demand: float
    on_demand_marginal: float
    on_demand_machines: int
    awake: float
    awake_marginal: float
    awake_machines: int


@dataclass(frozen=True, slots=True)
class ForOne:
    """One resident: what it is now, what each tier would cost, and what is recommended."""

    planned: Planned
    calls_per_day: float
    tiers: Mapping[Tier, Alone]
    recommended: Recommendation


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole plan. `active`: how many models have a call in service at once, on average, by Aegaeon's formula."""

    days: float
    calls: int
    active: float
    mixes: tuple[Mix, ...]
    curve: tuple[Point, ...]
    residents: tuple[ForOne, ...]


def plan(fleet: Sequence[Planned], trace: Sequence[Call], days: float, site: Site) -> Plan:
    """Plan for a fleet and the traffic of `days` days. Raises InputError."""
    called = Counter(call.resident for call in trace)
    rates = {each.name: called[each.name] / days for each in fleet}
    residents = tuple(_for_one(each, rates[each.name], site) for each in fleet)
    advised = [replace(each.planned, tier=each.recommended.tier) for each in residents]
    mixes = [
        _mix("all awake", [replace(each, tier=Tier.AWAKE) for each in fleet], trace, days, site),
        _mix("all on-demand", [replace(each, tier=Tier.ON_DEMAND) for each in fleet], trace, days, site),
        _mix("as now", fleet, trace, days, site),
        _mix("recommended", advised, trace, days, site),
    ]
    service = math.fsum(each.service_s for each in fleet) / max(len(fleet), 1)
    active = active_models((rate / DAY_S for rate in rates.values()), service)
    order = sorted(fleet, key=lambda each: (-rates[each.name], each.name))
    return Plan(days, len(trace), active, tuple(mixes), _curve(order, trace, days, site), residents)


def _for_one(planned: Planned, calls_per_day: float, site: Site) -> ForOne:
    tiers = at_each_tier(planned, calls_per_day, site.prices)
    return ForOne(planned, calls_per_day, tiers, recommend(tiers, calls_per_day, site.wanted, site.currency))


def _mix(name: str, fleet: Sequence[Planned], trace: Sequence[Call], days: float, site: Site) -> Mix:
    machines, outcome = fewest(fleet, trace, days, site)
    costs = [yearly(each.bytes, outcome.counts[each.name], site.prices) for each in fleet]
    counts = outcome.counts.values()
    talking = [each.name for each in fleet if each.tier in TALKING]
    waits = sorted(wait for one in talking for wait in outcome.counts[one].waits)
    latencies = outcome.latencies(talking)
    machine_cost = machines * site.machine_hour * HOURS_A_YEAR
    return Mix(
        name,
        dict(Counter(each.tier.value for each in fleet)),
        machines,
        _total(costs) + machine_cost,
        machine_cost,
        site.prices.cores * sum(each.load_s + each.answering_s for each in counts) / days,
        sum(each.loads for each in counts) / days,
        percentile(waits, 0.5),
        percentile(waits, 0.95),
        percentile(latencies, 0.5),
        percentile(latencies, 0.95),
        outcome.peak_bytes,
        outcome.mean_bytes,
        sum(each.refused for each in counts),
    )


def fewest(fleet: Sequence[Planned], trace: Sequence[Call], days: float, site: Site) -> tuple[int, Outcome]:
    """The fewest machines on which 95 of 100 callers on the line wait no longer than is wanted; with what came of it.

    Those of the tier `awake` all fit at once. Where even room for all does not do, as many as hold all.
    """

    def machines(number: int) -> Machines:
        return Machines(number, site.machine_bytes)

    def needed(size: int) -> int:
        return max(math.ceil(size / site.machine_bytes), 1)

    held = sum(each.bytes for each in fleet if each.tier is Tier.AWAKE)
    others = [each.bytes for each in fleet if each.tier not in (Tier.AWAKE, Tier.ARCHIVE)]
    low, high = needed(held + max(others, default=0)), needed(sum(each.bytes for each in fleet))
    talking = [each.name for each in fleet if each.tier in TALKING]
    talks = set(talking)
    answering = [replace(each, bytes=0) if each.tier is Tier.ARCHIVE else each for each in fleet]

    def at(number: int) -> tuple[Outcome, bool]:
        outcome = simulate(answering, trace, days, machines(number), site.prices.habits)
        waits = sorted(wait for name in talks for wait in outcome.counts[name].waits)
        return outcome, (percentile(waits, 0.95) or 0.0) <= site.wanted.most_wait_s

    best, good = at(low)
    if good or low >= high:
        return low, best
    best, _ = at(high)
    while low + 1 < high:
        middle = (low + high) // 2
        outcome, good = at(middle)
        if good:
            best, high = outcome, middle
        else:
            low = middle
    return high, best


def _curve(order: Sequence[Planned], trace: Sequence[Call], days: float, site: Site) -> tuple[Point, ...]:
    sizes = sorted({max(1, round(len(order) * step / STEPS)) for step in range(1, STEPS + 1)}) if order else []
    points: list[Point] = []
    before = (0, 0.0, 0.0)
    for size in sizes:
        names = {each.name for each in order[:size]}
        calls = [call for call in trace if call.resident in names]
        demand, awake = (
            _mix("", [replace(each, tier=tier) for each in order[:size]], calls, days, site)
            for tier in (Tier.ON_DEMAND, Tier.AWAKE)
        )
        more = size - before[0]
        points.append(
            Point(
                size,
                demand.cost,
                (demand.cost - before[1]) / more,
                demand.machines,
                awake.cost,
                (awake.cost - before[2]) / more,
                awake.machines,
            )
        )
        before = (size, demand.cost, awake.cost)
    return tuple(points)


def _total(costs: Sequence[TierCost]) -> float:
    return math.fsum(each.total for each in costs)
