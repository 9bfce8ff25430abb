"""Who is called often is remembered, forgotten in time, and told apart from who is called in bursts."""

from __future__ import annotations

import random

import pytest

from emeritus.residency.idle_times import BIN_S, IdleTimes, KeepAlive
from emeritus.residency.popularity import HALF_LIFE, Popularity


def test_frequency_is_a_share_of_the_calls() -> None:
    """Calls at random: the frequency comes near each model's share, and is 0 for one never called."""
    chance = random.Random(5)
    popularity = Popularity()
    assert popularity.frequency("a") == 0
    for _ in range(6000):
        popularity.called(chance.choices("abc", [6, 3, 1])[0])
    for name, share in (("a", 0.6), ("b", 0.3), ("c", 0.1)):
        assert popularity.frequency(name) == pytest.approx(share, rel=0.35)
    assert popularity.frequency("a") > popularity.frequency("b") > popularity.frequency("c")
    assert popularity.frequency("d") == 0


def test_days_before_a_start_count_like_the_calls_that_they_had() -> None:
    """Remembered by the day, a frequency is the decayed share of those calls; days long ago count for little."""
    days = [{"once": 5000}, {}, {"a": 1800, "b": 900, "c": 0}, {"a": 300, "b": 600}]
    chance, calls = random.Random(4), list[str]()
    for day in days:
        of_day = [name for name, number in day.items() for _ in range(number)]
        calls += chance.sample(of_day, len(of_day))
    ages = {name: [age for age, each in enumerate(reversed(calls)) if each == name] for name in ("a", "b", "once")}
    whole = sum(0.5 ** (age / HALF_LIFE) for age in range(len(calls)))
    popularity = Popularity(days)
    for name, of_name in ages.items():
        share = sum(0.5 ** (age / HALF_LIFE) for age in of_name) / whole
        assert popularity.frequency(name) == pytest.approx(share, rel=0.1)
    assert popularity.frequency("c") == 0


def test_what_is_over_is_forgotten() -> None:
    """A model that was called most is worth less than today's after some half-lives."""
    chance = random.Random(2)
    popularity = Popularity()
    for _ in range(500):
        popularity.called("once")
    for _ in range(int(4 * HALF_LIFE)):
        popularity.called(f"today{chance.randrange(4)}")
    assert popularity.frequency("once") < 0.2 * min(popularity.frequency(f"today{k}") for k in range(4))


def test_bursts_make_idle_ones_less_likely() -> None:
    """Where calls come in bursts, one idle for some calls counts for less than where they come at random."""

    def after_a_pause(burst: int) -> float:
        chance = random.Random(9)
        popularity = Popularity()
        for _ in range(4000 // burst):
            name = chance.choice("abcdefgh")
            for _ in range(burst):
                popularity.called(name)
        popularity.called("a")
        fresh = popularity.frequency("a")
        for name in "bcdefgbcdefg":
            popularity.called(name)
        return popularity.frequency("a") / fresh

    assert after_a_pause(burst=5) < 0.5 * after_a_pause(burst=1)


def times(*seconds: float) -> IdleTimes:
    """A model with these idle times."""
    found = IdleTimes()
    for each in seconds:
        found.add(each)
    return found


FIXED, LOAD = 600.0, 10.0


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ([], "nothing is known"),
        ([1800] * 7, "too few"),
        ([1800] * 8 + [20_000] * 9, "most lie beyond the range"),
        ([60 * k + 30 for k in range(0, 240, 6)], "scattered evenly"),
    ],
)
def test_what_is_not_representative_keeps_the_fixed_time(seen: list[float], why: str) -> None:
    """The setting holds where the histogram says nothing."""
    assert times(*seen).keep_alive(FIXED, LOAD) == KeepAlive(FIXED), why


def test_regular_calls_are_slept_between() -> None:
    """Asleep after a minute, awake before the fifth percentile less a margin and the load, until after the last."""
    plan = times(*[1800 + 5 * k for k in range(10)]).keep_alive(FIXED, LOAD)
    assert plan == KeepAlive(BIN_S, 1800 * 0.9 - LOAD, pytest.approx(1860 * 1.1))


def test_frequent_calls_are_waited_for_awake() -> None:
    """Where calls may come at once it stays awake until the 99th percentile: shorter or longer than the fixed time."""
    assert times(*[20] * 30).keep_alive(FIXED, LOAD) == KeepAlive(pytest.approx(66))
    assert times(*[20] * 30, *[1500] * 3).keep_alive(FIXED, LOAD) == KeepAlive(pytest.approx(26 * 60 * 1.1))


def test_a_gap_is_slept_through_only_where_that_is_worth_a_load() -> None:
    """It must be longer than the load, and spare the memory for as long as that is worth."""
    seen = times(*[1800] * 10)
    assert seen.keep_alive(FIXED, load_s=1000).prewarm_s is None
    spared = 1800 * 0.9 - LOAD - BIN_S
    assert seen.keep_alive(FIXED, LOAD, spared - 1).prewarm_s is not None
    assert seen.keep_alive(FIXED, LOAD, spared + 1) == KeepAlive(pytest.approx(31 * BIN_S * 1.1))
