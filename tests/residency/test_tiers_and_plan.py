"""Tiers say when a resident may answer; the planner says what each would cost."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emeritus.errors import InputError
from emeritus.residency.planner import Prices, estimate
from emeritus.tiers import Tier, may_answer, read_hours

MONDAY = datetime(2026, 7, 6, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


def test_every_tier_has_its_meaning() -> None:
    """Five tiers, each explained in a sentence of its own."""
    assert [tier.value for tier in Tier] == ["awake", "on-demand", "hours", "correspondence", "archive"]
    assert len({tier.meaning for tier in Tier}) == 5


@pytest.mark.parametrize(
    ("tier", "expected"),
    [(Tier.AWAKE, True), (Tier.ON_DEMAND, True), (Tier.CORRESPONDENCE, False), (Tier.ARCHIVE, False)],
)
def test_tiers_without_hours(tier: Tier, expected: bool) -> None:
    """These do not depend on the time."""
    verdict = may_answer(tier, MONDAY)
    assert (verdict.now, verdict.next_at) == (expected, None)


@pytest.mark.parametrize(
    ("at", "now", "next_at"),
    [
        (timedelta(hours=8, minutes=59), False, timedelta(hours=9)),
        (timedelta(hours=9), True, None),
        (timedelta(hours=16, minutes=59, seconds=59), True, None),
        (timedelta(hours=17), False, timedelta(days=1, hours=9)),
        (timedelta(days=5, hours=23), True, None),  # Saturday night
        (timedelta(days=6, hours=1, minutes=59), True, None),  # into Sunday
        (timedelta(days=6, hours=2), False, timedelta(days=7, hours=9)),
    ],
)
def test_hours(at: timedelta, now: bool, next_at: timedelta | None) -> None:
    """Windows open and close to the second, across midnight and the weekend."""
    hours = read_hours("mon-fri 09:00-17:00, sat 22:00-02:00")
    verdict = may_answer(Tier.HOURS, MONDAY + at, hours)
    assert verdict.now is now
    assert verdict.next_at == (None if next_at is None else MONDAY + next_at)


def test_hours_in_another_zone() -> None:
    """A moment is the same whatever zone it is told in."""
    tokyo = timezone(timedelta(hours=9))
    hours = read_hours("mon 09:00-10:00")
    assert may_answer(Tier.HOURS, datetime(2026, 7, 6, 18, 30, tzinfo=tokyo), hours).now
    assert not may_answer(Tier.HOURS, datetime(2026, 7, 6, 9, 30, tzinfo=tokyo), hours).now


@given(MOMENTS)
def test_next_opening_is_true(moment: datetime) -> None:
    """When it says when it opens, it is open then and was closed just before."""
    hours = read_hours("fri-mon 20:00-04:00, wed 12:00-12:30")
    verdict = may_answer(Tier.HOURS, moment, hours)
    if not verdict.now:
        assert verdict.next_at is not None
        assert moment < verdict.next_at <= moment + timedelta(days=7)
        assert may_answer(Tier.HOURS, verdict.next_at, hours).now
        assert not may_answer(Tier.HOURS, verdict.next_at - timedelta(seconds=1), hours).now


@pytest.mark.parametrize("text", ["someday 09:00-10:00", "mon 9-10", "mon 09:00", "mon", "mon 09:00+02:00-10:00+02:00"])
def test_bad_hours(text: str) -> None:
    """Hours that cannot be read are named."""
    with pytest.raises(InputError, match="visiting hours"):
        read_hours(text)


def test_no_hours_means_never() -> None:
    """A resident of visiting hours without any says so."""
    assert may_answer(Tier.HOURS, MONDAY) == may_answer(Tier.HOURS, MONDAY, read_hours(""))
    assert not may_answer(Tier.HOURS, MONDAY).now


def test_estimate_by_hand() -> None:
    """Ten GB, one request a day, one minute to load, thirty seconds to answer: near what is worked out by hand."""
    prices = Prices(gb_month=0.02, core_hour=0.05, gb_hour=0.01, cores=2)
    found = estimate(10_000_000_000, 1, 60, 30, prices).tiers
    archive, awake, demand = found[Tier.ARCHIVE], found[Tier.AWAKE], found[Tier.ON_DEMAND]
    assert archive.total == archive.storage == pytest.approx(10 * 0.02 * 12)
    assert awake.memory == pytest.approx(10 * 8766 * 0.01)
    assert awake.core_seconds == pytest.approx(2 * (60 + 365.25 * 30))
    assert demand.loads == pytest.approx(365.25 * 0.99273, rel=0.1)  # exp(-630 / 86400) of them find it asleep
    assert demand.compute == pytest.approx(demand.core_seconds / 3600 * 0.05)
    assert demand.total < awake.total


TRAFFIC = st.floats(0, 1e6, allow_nan=False)


@settings(max_examples=8)
@given(st.integers(0, 10**13), TRAFFIC, st.floats(0, 600), st.floats(0, 60))
def test_estimate_has_no_surprises(size: int, requests: float, load_s: float, request_s: float) -> None:
    """Nothing is negative, memory is never held longer than a year, and archive is the cheapest."""
    found = estimate(size, requests, load_s, request_s)
    for cost in found.tiers.values():
        assert min(cost.storage, cost.compute, cost.memory, cost.loads) >= 0
        assert cost.memory <= found.tiers[Tier.AWAKE].memory * (1 + 1e-9)
        assert cost.total >= found.tiers[Tier.ARCHIVE].total
    assert found.tiers[Tier.ON_DEMAND].loads <= requests * 366 * 1.2
    assert found == estimate(size, requests, load_s, request_s)  # the same figures for the same question, always


def test_cost_follows_traffic() -> None:
    """Without traffic an on-demand resident costs what an archived one costs."""
    quiet = estimate(10**10, 0, 60, 30).tiers
    assert quiet[Tier.ON_DEMAND].total == quiet[Tier.ARCHIVE].total
    busy = estimate(10**10, 10, 60, 30).tiers
    assert busy[Tier.ON_DEMAND].total > quiet[Tier.ON_DEMAND].total


def test_bad_figures() -> None:
    """Figures that are no figures are refused."""
    with pytest.raises(InputError):
        estimate(-1, 1, 1, 1)
    with pytest.raises(InputError):
        estimate(1, float("nan"), 1, 1)
