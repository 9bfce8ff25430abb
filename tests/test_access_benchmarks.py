"""The promise's benchmarks in small: the same head in both runs, answers told apart, what leaks is seen."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import psutil
import pytest
from benchmarks import access_soak, access_tail
from benchmarks.access_fleet import Fleet, prepare
from benchmarks.access_served import Standing, Usage, core_s


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Three scripted residents, of which two fit at once."""
    scripted = {name: access_soak.script(name, place) for place, name in enumerate(("r000", "r001", "r002"))}
    return prepare(tmp_path_factory.mktemp("soak") / "home", [], scripted)


def test_the_head_is_the_same_with_a_tail_and_without() -> None:
    """The ten's calls, lengths among them, do not change; the tail's are about as many as its residents in a day."""
    alone = access_tail.trace(1.0, access_tail.DAY_S, 0)
    both = access_tail.trace(1.0, access_tail.DAY_S, access_tail.TAIL)
    head = {call.resident for call in alone}
    assert len(head) == access_tail.HEAD
    assert [call for call in both if call.resident in head] == alone
    tail = [call for call in both if call.resident not in head]
    assert 0.8 * access_tail.TAIL < len(tail) < 1.2 * access_tail.TAIL


def test_a_tail_that_costs_too_much_is_not_met() -> None:
    """The worse of the traces is the figure; a single wrong answer leaves nothing measured."""
    alone = access_tail.Run(100.0, 50.0, 1, head=[0.1] * 200)
    good, dear = (access_tail.Run(cost, 50.0, 1, head=[0.1] * 200, tail=[1.0]) for cost in (105.0, 120.0))
    cost, p50, p99 = access_tail.figures({1.0: (alone, good), 1.5: (alone, dear)}, {})
    assert cost.value == pytest.approx(1.2)
    assert not cost.met
    assert p50.met
    assert p99.met
    dear.wrong = 1
    assert {each.value for each in access_tail.figures({1.0: (alone, good), 1.5: (alone, dear)}, {})} == {None}


def test_who_met_the_tail_counts_as_often_as_on_a_real_day() -> None:
    """A slowed call counts whole where the tail was not at it; where it was, as often as it would be on a real day."""
    alone = access_tail.Run(100.0, 50.0, 1, head=[0.1] * 200)
    slowed = [0.1] * 190 + [1.0] * 10
    seldom = access_tail.Run(100.0, 50.0, 1, head=slowed, tail=[1.0], met=frozenset(range(190, 200)))
    often = access_tail.Run(100.0, 50.0, 1, head=slowed, tail=[1.0])
    for both, met in ((seldom, True), (often, False)):
        _, p50, p99 = access_tail.figures({1.0: (alone, both)}, {})
        assert p50.met
        assert p99.met is met
        assert p99.beside["as replayed"]["s=1"] == pytest.approx(10)
    assert sum(weight for _, weight in access_tail.real_day(alone, seldom)) == pytest.approx(200)


def test_busy_periods_have_no_gaps() -> None:
    """Spans that overlap, also by way of others, are one; those that only come after each other are not."""
    assert access_tail.busy([(5, 6), (0, 2), (1, 4), (3, 5), (7, 8)]) == [(0, 5), (5, 6), (7, 8)]


async def test_a_clock_that_stands_keeps_its_timers_waiting() -> None:
    """No time passes while it stands, and what was arranged comes so much later; what was called off does not."""
    clock, rung, last = Standing(), list[str](), asyncio.Event()
    began = clock.time()
    clock.call_at(began + 0.02, lambda: (rung.append("kept"), last.set()))
    clock.call_at(began + 0.01, lambda: rung.append("called off")).cancel()
    clock.stand()
    stood = clock.time()
    clock.call_at(stood, lambda: rung.append("arranged meanwhile"))
    await asyncio.sleep(0.05)
    assert (clock.time(), rung) == (stood, [])
    clock.go()
    await asyncio.wait_for(last.wait(), 5)
    assert rung == ["arranged meanwhile", "kept"]


async def test_a_short_soak_over_a_real_server_loses_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams, callers who leave, engines that die and residents put to sleep: each request has one good end."""
    for name, value in {"EVERY_SLEEP_S": 0.5, "EVERY_LOOK_S": 0.2, "RATE": 15.0, "LEAVES": 0.2, "DIES": 0.2}.items():
        monkeypatch.setattr(access_soak, name, value)
    monkeypatch.setattr(access_soak, "AGAIN_S", 0.1)
    found = await access_soak.soak(fleet, ["r000", "r001", "r002"], 3.0)
    assert found.lost == []
    assert found.outcomes["wrong"] == found.outcomes["lost"] == 0
    assert found.outcomes["answered"] > 5
    assert found.outcomes["died as told"] > 0
    assert found.slept > 0
    assert max(found.waits) < access_soak.limits().bound_s(3)
    assert all(usage.core_s > 0 and usage.descriptors > 3 for _, usage in found.looks)


def test_another_residents_answer_is_found_out(fleet: Fleet) -> None:
    """A whole answer of another, a good one under another's name and the beginning of another's are all wrong."""
    client = access_soak.Client(None, "", fleet, access_soak.Found())
    assert client.judge("r000", "r000", access_soak.signed("r000")) == "answered"
    assert client.judge("r000", "r000", access_soak.signed("r001")) == "wrong"
    assert client.judge("r000", "r001", access_soak.signed("r000")) == "wrong"
    assert client.may_begin("r000", access_soak.signed("r000")[:9])
    assert not client.may_begin("r000", access_soak.signed("r001")[:9])


def test_growth_is_not_called_flat() -> None:
    """Memory that doubles and descriptors that pile up miss their bounds; what stays meets them."""
    flat = [(float(at), Usage(1.0, 10**8, 10**8, 40, 3)) for at in range(40)]
    leaking = [(float(at), Usage(1.0, 10**8, 10**8 + at * 10**7, 40 + at, 3)) for at in range(40)]
    assert [each.met for each in access_soak.flat(flat)] == [True, True]
    assert [each.met for each in access_soak.flat(leaking)] == [False, False]
    assert [each.value for each in access_soak.flat(flat[:5])] == [None, None]


def test_core_seconds_of_ended_processes_count() -> None:
    """What a child's child used is there after both have ended."""
    this = psutil.Process()
    before, own = core_s(this), this.cpu_times()
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"])
    used = sum(this.cpu_times()[:2]) - sum(own[:2])
    assert core_s(this) - before - used >= 0.29
