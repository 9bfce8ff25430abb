"""The planner: Aegaeon's bound to the digit, simulations that can be followed by hand, fewest machines, reasons."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from emeritus.errors import InputError
from emeritus.residency.planning.alone import at_each_tier
from emeritus.residency.planning.bound import active_models
from emeritus.residency.planning.cost import Prices, yearly
from emeritus.residency.planning.curve import draw
from emeritus.residency.planning.fleet import Counts, Habits, Machines, Planned
from emeritus.residency.planning.plan import Site, fewest, plan
from emeritus.residency.planning.recommending import Wanted, recommend
from emeritus.residency.planning.simulation import simulate
from emeritus.residency.planning.traffic import by_popularity, renewals
from emeritus.residency.traces import Call
from emeritus.tiers import Tier

GB = 10**9
ONE = Planned("one", GB, load_s=10.0, service_s=2.0)
TWO = Planned("two", GB, load_s=10.0, service_s=2.0)


def test_aegaeons_bound_is_46_of_100() -> None:
    """At 0.037 requests a second for each model and 16.8 s of service 46 of 100 models are active at once."""
    assert round(active_models([0.037] * 100, 16.8)) == 46


def test_generated_traffic_agrees_with_the_bound() -> None:
    """As many are busy at once in such traffic, counted span by span; and the simulation answers every call of it."""
    fleet = [Planned(f"m{number}", 1, 0.0, 16.8) for number in range(20)]
    trace = list(renewals({each.name: 0.037 * 86400 for each in fleet}, 0.1))
    spans: dict[str, list[tuple[float, float]]] = {}
    for call in trace:
        mine = spans.setdefault(call.resident, [])
        if mine and call.at < mine[-1][1]:
            mine[-1] = (mine[-1][0], call.at + 16.8)
        else:
            mine.append((call.at, call.at + 16.8))
    busy = sum(end - start for each in spans.values() for start, end in each) / (0.1 * 86400)
    assert busy == pytest.approx(active_models([0.037] * 20, 16.8), rel=0.05)
    assert len(simulate(fleet, trace, 0.1, Machines(1, 20), Habits()).latencies()) == len(trace)


def test_a_simulation_by_hand() -> None:
    """Two models, room for one: a load, a call that joins it, one that swaps, and the times each waited."""
    trace = [Call(0.0, "one"), Call(4.0, "one"), Call(100.0, "two"), Call(2000.0, "two", 5.0)]
    found = simulate([ONE, TWO], trace, 1.0, Machines(1, GB), Habits(idle_sleep_s=600.0, close_s=1.0))
    one, two = found.counts["one"], found.counts["two"]
    assert (one.loads, one.calls, sorted(one.waits)) == (1, 2, [6.0, 10.0])
    assert one.held_s == pytest.approx(two.waits[0] - 10.0 + 100.0)  # until its place was free
    assert two.loads == 2
    assert two.waits[1] == 10.0
    assert two.latencies[1] == 15.0
    assert two.answering_s == 7.0
    assert found.peak_bytes == GB


def test_tiers_decide_when_a_call_is_answered() -> None:
    """Awake at once; in hours when they begin; letters with their batch; the archive never."""
    noon = 12 * 3600.0
    waits = {}
    for tier in Tier:
        found = simulate([replace(ONE, tier=tier)], [Call(noon, "one")], 14.0, Machines(1, GB), Habits()).counts["one"]
        waits[tier] = found.waits or found.refused
    assert waits[Tier.AWAKE] == (0.0,)
    assert waits[Tier.ON_DEMAND] == (10.0,)
    assert waits[Tier.HOURS] == (pytest.approx(21 * 3600.0 + 10.0),)
    assert waits[Tier.CORRESPONDENCE] == (pytest.approx(6.5 * 86400.0 + 10.0),)
    assert waits[Tier.ARCHIVE] == 1


@pytest.mark.parametrize(("every_s", "loads"), [(300.0, 1), (1800.0, 201)])
def test_a_gap_is_slept_through_where_that_is_cheaper(every_s: float, loads: int) -> None:
    """Called every five minutes it stays awake, every half hour it sleeps between; either is the cheaper of the two."""
    trace = [Call(every_s * number, "one") for number in range(200)]
    days, prices = every_s * 200 / 86_400, Prices()

    def counted(load_worth: float) -> Counts:
        habits = replace(prices.habits, load_worth=load_worth)
        return simulate([ONE], trace, days, Machines(1, GB), habits).counts["one"]

    ours, sleeping, warm = (counted(worth) for worth in (prices.load_worth, 0.0, float("inf")))
    assert ours.loads == loads
    cost, *others = (yearly(GB, each, prices).total for each in (ours, sleeping, warm))
    assert cost == min(others) < max(others)


def test_what_settles_first_is_not_counted() -> None:
    """Loads and calls of before are not in the counts; what is held is, from where the count begins."""
    trace = [Call(0.0, "one"), Call(43_100.0, "one"), Call(86_300.0, "one")]
    found = simulate([replace(ONE, tier=Tier.AWAKE)], trace, 1.0, Machines(1, GB), Habits(), settling_days=0.5)
    one = found.counts["one"]
    assert (one.loads, one.calls, one.waits, one.days) == (0, 1, (0.0,), 0.5)
    assert one.held_s == pytest.approx(43_200.0)
    assert found.mean_bytes == pytest.approx(GB)


def test_what_cannot_be_simulated_is_refused() -> None:
    """A model larger than all machines, and a call to one that is not there."""
    with pytest.raises(InputError, match="more than"):
        simulate([ONE], [], 1.0, Machines(1, GB - 1), Habits())
    with pytest.raises(InputError, match="not in the fleet"):
        simulate([ONE], [Call(0.0, "robin")], 1.0, Machines(1, GB), Habits())
    with pytest.raises(InputError, match="calls at most"):
        renewals({"one": 1e9}, 1.0)
    with pytest.raises(InputError, match="finite"):
        renewals({"one": float("nan")}, 1.0)


FLEET = [Planned(f"m{number:02d}", GB, 5.0, 1.0) for number in range(16)]
TRACE = list(renewals(by_popularity([each.name for each in FLEET], 8000, 0.5), 0.15))


def test_fewest_machines_keep_the_promise_and_one_less_breaks_it() -> None:
    """The search ends where the callers' wait is met, between one machine and one for each model."""
    site = Site(GB, Prices(), Wanted(most_wait_s=5.5))
    number, outcome = fewest(FLEET, TRACE, 0.15, site)
    assert 1 < number < len(FLEET)

    def p95(machines: int) -> float:
        found = simulate(FLEET, TRACE, 0.15, Machines(machines, GB), site.prices.habits)
        waits = sorted(wait for each in found.counts.values() for wait in each.waits)
        return waits[int(0.95 * len(waits))]

    assert p95(number) <= 5.5 < p95(number - 1)
    assert len(outcome.latencies()) == len(TRACE)


def test_a_plan_has_falling_marginal_costs_and_a_drawing() -> None:
    """All awake costs the same for each model more; on demand the Nth, called less, costs less than the first."""
    trace = list(renewals(by_popularity([each.name for each in FLEET], 60, 1.5), 7))
    found = plan(FLEET, trace, 7.0, Site(4 * GB, Prices(), Wanted()))
    mixes = {mix.name: mix for mix in found.mixes}
    assert mixes["all awake"].machines == 4
    assert mixes["all awake"].wait_p95_s == 0.0
    assert mixes["all on-demand"].machines < 4
    assert mixes["recommended"].cost <= mixes["all awake"].cost
    assert found.curve[-1].models == len(FLEET)
    assert found.curve[-1].on_demand_marginal < found.curve[0].on_demand_marginal / 4
    assert found.curve[-1].awake_marginal == pytest.approx(found.curve[0].awake_marginal, rel=0.05)
    svg = ET.fromstring(draw(found.curve, "USD"))
    assert len(svg.findall("{http://www.w3.org/2000/svg}polyline")) == 2
    assert {each.recommended.tier for each in found.residents} <= set(Tier)


@pytest.mark.parametrize(
    ("calls", "wanted", "tier", "reason"),
    [
        (0.0, Wanted(), Tier.ON_DEMAND, "nobody called it"),
        (5.0, Wanted(most_wait_s=60.0), Tier.ON_DEMAND, "awake costs"),
        (5.0, Wanted(most_wait_s=1.0), Tier.AWAKE, "on-demand would have callers wait 10 seconds"),
        (5.0, Wanted(most_wait_s=10 * 86400.0), Tier.CORRESPONDENCE, "on-demand costs"),
        (5.0, Wanted(most_wait_s=1.0, most_a_year=30.0), Tier.ON_DEMAND, "it comes closest"),
        (5.0, Wanted(most_a_year=0.0), Tier.ARCHIVE, "every tier that answers costs more"),
    ],
)
def test_a_tier_is_recommended_with_its_reasons(calls: float, wanted: Wanted, tier: Tier, reason: str) -> None:
    """The cheapest that answers soon enough and within the budget; why not another is said."""
    found = recommend(at_each_tier(ONE, calls, Prices()), calls, wanted, "USD")
    assert found.tier is tier
    assert any(reason in each for each in found.reasons), found.reasons
