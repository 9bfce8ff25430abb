"""Traces come out the same from the same seed, have the shape they state, and are read from files or refused."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import mean, pstdev

import pytest

from emeritus.errors import InputError
from emeritus.residency.decisions import HOST, Limits
from emeritus.residency.simulation import replay
from emeritus.residency.traces import Arrivals, Call, Resident, Trace, equal, generate, read_csv, shares, steady, varied

ARRIVALS = Arrivals(per_second=1.0, seconds=6000, zipf=1.0, variation=2.0, seed=3)


def test_the_same_seed_gives_the_same_trace() -> None:
    """And another seed another one; calls are in the order of time, within the length."""
    residents = equal(20, 10, 2.0)
    trace = generate(residents, ARRIVALS)
    assert trace == generate(residents, ARRIVALS)
    assert trace != generate(residents, replace(ARRIVALS, seed=4))
    assert list(trace.calls) == sorted(trace.calls)
    assert 0 < trace.seconds < 6000
    more = generate(equal(21, 10, 2.0), ARRIVALS)
    assert {call.resident for call in more.calls} - {call.resident for call in trace.calls} <= {"r020"}


def test_popularity_and_bursts_are_as_stated() -> None:
    """The shares follow Zipf's law, the gaps have the coefficient of variation asked for, answers their mean."""
    assert shares(3, 1.0) == pytest.approx([6 / 11, 3 / 11, 2 / 11])
    counts = Counter(call.resident for call in generate(equal(20, 10, 2.0), replace(ARRIVALS, variation=1.0)).calls)
    assert [counts[f"r{k:03d}"] / counts.total() for k in (0, 1, 3)] == pytest.approx(
        [shares(20, 1.0)[k] for k in (0, 1, 3)], rel=0.15
    )
    for variation in (0.5, 1.0, 2.0):
        calls = list(steady("a", 1.0, replace(ARRIVALS, variation=variation)))
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(calls)]
        assert mean(gaps) == pytest.approx(1.0, rel=0.15)
        assert pstdev(gaps) / mean(gaps) == pytest.approx(variation, rel=0.15)
        assert mean(call.answer_s for call in calls) == pytest.approx(5, rel=0.1)


def test_varied_sizes_have_the_mean_asked_for() -> None:
    """From a fifth to five times, their loads longer the more bytes there are."""
    residents = varied(200, 10**9, 8.0)
    assert mean(each.size for each in residents) == pytest.approx(10**9, rel=0.01)
    ordered = sorted(residents, key=lambda each: each.size)
    assert ordered[-1].size > 10 * ordered[0].size
    assert [each.load_s for each in ordered] == sorted(each.load_s for each in residents)


def test_traces_from_files(tmp_path: Path) -> None:
    """Columns in any order, any start, lengths of answers where they are known."""
    file = tmp_path / "calls.csv"
    file.write_text("resident,at,answer_s,more\nada,1005.5,2,x\nbea,1000,,y\n")
    trace = read_csv(file, answer_s=7)
    assert list(trace.calls) == [Call(0.0, "bea", 7.0), Call(5.5, "ada", 2.0)]


@pytest.mark.parametrize("line", ["x,ada,1", "nan,ada,1", "1,,1", "1,ada,-1", "1"])
def test_bad_lines_are_named(tmp_path: Path, line: str) -> None:
    """What cannot be read is refused with its line, and the columns there are."""
    file = tmp_path / "calls.csv"
    file.write_text(f"at,resident,answer_s\n1,ada,1\n{line}\n")
    with pytest.raises(InputError, match="line 3"):
        read_csv(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_csv(tmp_path / "missing.csv")
    with pytest.raises(InputError):
        generate([], ARRIVALS)


def test_replay_counts_what_happens() -> None:
    """Two that take turns in room for one: a load at each turn, and calls that come together share one."""
    residents = {name: Resident(name, 10, 3.0) for name in "ab"}
    calls = [Call(0, "a", 1), Call(1, "a", 1), Call(100, "b", 1), Call(200, "a", 1), Call(200.5, "a", 1)]
    found = replay(Trace(calls, residents), Limits({HOST: 10}, load_s=3, close_s=0, answer_s=1))
    assert (found.loads, found.load_s) == (3, 9.0)
    assert found.waits == [("a", 3.0), ("a", 2.0), ("b", 3.0), ("a", 3.0), ("a", 2.5)]
    assert (found.wait(0), found.wait(1)) == (2.0, 3.0)
    assert found.held == pytest.approx(10 * 204)
    assert found.bound_s > 3


def test_fewer_loads_than_lru() -> None:
    """On a trace of two hundred residents with room for six, and at another seed than the benchmark's."""
    from benchmarks.access_loads import Case, run

    found = run(Case(1.5, seed=11, calls=3000))
    assert found["belady"] < found["loads"] < 0.85 * found["lru"]
    assert found["beyond the bound"] == 0
