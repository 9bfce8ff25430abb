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


def test_a_gap_shorter_than_a_load_is_not_slept_through() -> None:
    """Sleeping costs a load."""
    plan = times(*[1800] * 10).keep_alive(FIXED, load_s=1000)
    assert plan.prewarm_s is None
