"""The scheduler keeps its promises under any order of events; nothing here waits or starts anything."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emeritus.residency.scheduler import Admit, Decision, Leave, Load, Refuse, Scheduler

BUDGET = 10
PATIENCE_S = 5.0
CALL_S, LOAD_S, LEAVE_S = 4.0, 3.0, 1.0  # the longest of each in the simulation


@dataclass
class World:
    """A simulated machine that carries out decisions on a virtual clock and checks every promise as it goes."""

    scheduler: Scheduler
    chance: random.Random  # how long things take, and what fails
    now: float = 0.0
    queue: list[tuple[float, int, str, tuple[object, ...]]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    asked: dict[int, tuple[str, float]] = field(default_factory=dict)
    running: dict[int, str] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    waits: list[tuple[int, float]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    loads: int = 0

    def later(self, seconds: float, what: str, *arguments: object) -> None:
        """Arrange an event."""
        heapq.heappush(self.queue, (self.now + seconds, next(self.numbers), what, arguments))

    def seconds(self, longest: float) -> float:
        """Some duration."""
        return self.chance.uniform(0, longest)

    def carry_out(self, decisions: list[Decision]) -> None:
        """Do what was decided; check that it could be."""
        for decision in decisions:
            match decision:
                case Load(name):
                    assert self.state.get(name, "asleep") == "asleep", "loaded twice"
                    self.state[name] = "waking"
                    self.loads += 1
                    fails = self.chance.randrange(10) == 0
                    self.later(self.seconds(LOAD_S), "failed" if fails else "loaded", name)
                case Leave(name, dead):
                    assert self.state[name] == "awake"
                    assert dead or name not in self.running.values(), "told to leave with a call under way"
                    self.state[name] = "leaving"
                    self.later(self.seconds(LEAVE_S), "left", name)
                case Admit(ticket, name):
                    assert self.state[name] == "awake", "admitted to a model that is not awake"
                    assert self.asked[ticket][0] == name
                    self.waits.append((ticket, self.now - self.asked[ticket][1]))
                    self.running[ticket] = name
                    self.later(self.seconds(CALL_S), "release", ticket, name)
                case Refuse(ticket, _):
                    self.refused.append(ticket)
        held = sum(m.size for n, m in self.scheduler.models.items() if self.state.get(n, "asleep") != "asleep")
        assert held == self.scheduler.used_bytes
        assert held <= BUDGET, "over budget"

    def step(self, what: str, *arguments: object) -> None:
        """One event happens."""
        if what in ("loaded", "failed", "left"):
            self.state[str(arguments[0])] = "awake" if what == "loaded" else "asleep"
        elif what == "release":
            self.running.pop(int(str(arguments[0])), None)
        elif what == "ask":
            self.asked[int(str(arguments[0]))] = (str(arguments[1]), self.now)
        elif what == "died":
            name = str(arguments[0])
            if self.state.get(name) != "awake":
                return
            self.running = {ticket: other for ticket, other in self.running.items() if other != name}
        self.carry_out(getattr(self.scheduler, what)(*arguments, self.now))

    def run(self) -> None:
        """Until nothing is left to happen, time's own events included."""
        while True:
            tick = self.scheduler.next_tick()
            if self.queue and (tick is None or self.queue[0][0] <= tick):
                self.now, _, what, arguments = heapq.heappop(self.queue)
                self.step(what, *arguments)
            elif tick is not None:
                assert tick > self.now, "time stands still"
                self.now = tick
                self.step("tick")
            else:
                return


SIZES = {"a": 3, "b": 4, "c": 5, "d": 6, "e": 10, "f": 0}
ARRIVALS = st.lists(st.tuples(st.sampled_from(sorted(SIZES)), st.floats(0, 3, allow_nan=False)), max_size=30)


# One model's turn takes at most this long; the line is never longer than there are models, and a call may come while
# its own model is on its way out.
BOUND_S = PATIENCE_S + (len(SIZES) + 1) * (CALL_S + LEAVE_S + LOAD_S)


@settings(max_examples=150, deadline=None)
@given(ARRIVALS, st.integers(0, 2**32))
def test_promises(arrivals: list[tuple[str, float]], seed: int) -> None:
    """Within budget, nothing evicted in use, one load at a time, and everybody served or refused within the bound."""
    world = World(Scheduler(BUDGET, idle_sleep_s=20, patience_s=PATIENCE_S), random.Random(seed))
    at = 0.0
    for ticket, (name, gap) in enumerate(arrivals):
        at += gap
        world.later(at, "ask", ticket, name, SIZES[name])
    world.run()
    assert len(world.waits) + len(world.refused) == len(arrivals)
    assert set(world.state.values()) <= {"asleep"}, "somebody is awake for ever"
    assert max((wait for _, wait in world.waits), default=0) <= BOUND_S


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(SIZES)))
def test_bounded_waiting_under_pressure(seed: int, hot: str) -> None:
    """A model that is asked for without a pause for minutes keeps nobody waiting beyond the bound."""
    chance = random.Random(seed)
    world = World(Scheduler(BUDGET, idle_sleep_s=20, patience_s=PATIENCE_S), chance)
    at = 0.0
    for ticket in range(400):
        at += chance.uniform(0, 1.5)
        name = hot if chance.random() < 0.9 else chance.choice(sorted(SIZES))
        world.later(at, "ask", ticket, name, SIZES[name])
    world.run()
    assert len(world.waits) + len(world.refused) == 400
    assert max(wait for _, wait in world.waits) <= BOUND_S


@settings(max_examples=150, deadline=None)
@given(ARRIVALS, st.integers(0, 2**32))
def test_promises_with_cancellations_and_deaths(arrivals: list[tuple[str, float]], seed: int) -> None:
    """The same when waiters leave, models die and operators put them to sleep at any moment."""
    world = World(Scheduler(BUDGET, idle_sleep_s=20, patience_s=PATIENCE_S), random.Random(seed))
    at = 0.0
    left: set[int] = set()
    for ticket, (name, gap) in enumerate(arrivals):
        at += gap
        world.later(at, "ask", ticket, name, SIZES[name])
        match world.chance.randrange(5):
            case 0:
                world.later(at + world.seconds(9), "release", ticket, name)
                left.add(ticket)
            case 1:
                world.later(at + world.seconds(9), "died", name)
            case 2:
                world.later(at + world.seconds(9), "sleep", name)
    world.run()
    served = {ticket for ticket, _ in world.waits} | set(world.refused) | left
    assert served == set(range(len(arrivals)))
    assert set(world.state.values()) <= {"asleep"}


def test_a_stream_of_calls_does_not_starve_another_model() -> None:
    """A busy model that is asked for without a pause gives way after the patience, and the other is served."""
    scheduler = Scheduler(10, idle_sleep_s=100, patience_s=5)
    assert scheduler.ask(1, "busy", 8, 0) == [Load("busy")]
    assert scheduler.loaded("busy", 1) == [Admit(1, "busy")]
    assert scheduler.ask(2, "other", 8, 2) == []
    assert scheduler.ask(3, "busy", 8, 3) == [Admit(3, "busy")]  # within the patience
    assert scheduler.release(1, "busy", 4) == []
    assert scheduler.next_tick() == 7
    assert scheduler.tick(7) == []  # busy drains now
    assert scheduler.ask(4, "busy", 8, 8) == []
    assert scheduler.release(3, "busy", 9) == [Leave("busy")]
    assert scheduler.left("busy", 10) == [Load("other")]
    assert scheduler.loaded("other", 11) == [Admit(2, "other")]
    assert scheduler.release(2, "other", 12) == [Leave("other")]  # idle, and busy is waited for
    assert scheduler.left("other", 13) == [Load("busy")]
    assert scheduler.loaded("busy", 14) == [Admit(4, "busy")]


def test_draining_stops_when_nobody_waits_any_more() -> None:
    """If the one it would give way to has gone, a draining model takes calls again."""
    scheduler = Scheduler(10, idle_sleep_s=100, patience_s=5)
    scheduler.ask(1, "busy", 8, 0)
    scheduler.loaded("busy", 1)
    scheduler.ask(2, "other", 8, 2)
    scheduler.tick(7)
    assert scheduler.ask(3, "busy", 8, 8) == []
    assert scheduler.release(2, "other", 9) == [Admit(3, "busy")]


def test_one_load_for_many() -> None:
    """However many wait, one load; each is admitted when it is done."""
    scheduler = Scheduler(10, idle_sleep_s=100)
    assert scheduler.ask(1, "a", 5, 0) == [Load("a")]
    assert scheduler.ask(2, "a", 5, 0) == []
    assert scheduler.release(1, "a", 0.5) == []  # the first waiter leaves; the load goes on
    assert scheduler.ask(3, "a", 5, 0.6) == []
    assert scheduler.loaded("a", 1) == [Admit(2, "a"), Admit(3, "a")]


def test_greedy_dual_keeps_what_is_dear() -> None:
    """The model that is cheap to load for its bytes and rarely called leaves first, though it was called last."""
    scheduler = Scheduler(10, idle_sleep_s=100)
    for ticket, (name, load_s, calls) in enumerate([("dear", 4.0, 3), ("cheap", 0.5, 1)]):
        scheduler.ask(10 * ticket, name, 5, 10 * ticket)
        scheduler.loaded(name, 10 * ticket + load_s)
        scheduler.release(10 * ticket, name, 10 * ticket + 5)
        for call in range(1, calls):
            assert scheduler.ask(10 * ticket + call, name, 5, 10 * ticket + 6) == [Admit(10 * ticket + call, name)]
            scheduler.release(10 * ticket + call, name, 10 * ticket + 7)
    assert scheduler.ask(99, "new", 5, 50) == [Leave("cheap")]


def test_back_off() -> None:
    """After a failure calls are refused until a pause is over, and the pause doubles."""
    scheduler = Scheduler(10, idle_sleep_s=100)
    now, pauses = 0.0, []
    for ticket in range(0, 20, 2):
        assert scheduler.ask(ticket, "a", 5, now) == [Load("a")]
        assert scheduler.failed("a", now) == [Refuse(ticket, "a")]
        assert scheduler.ask(ticket + 1, "a", 5, now) == [Refuse(ticket + 1, "a")]
        pauses.append(scheduler.models["a"].paused_until - now)
        now = scheduler.models["a"].paused_until
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert scheduler.ask(50, "a", 5, now) == [Load("a")]
    scheduler.loaded("a", now + 1)
    assert scheduler.models["a"].failures == 0


def test_remote_models_pass_a_held_up_line() -> None:
    """A model of zero bytes needs no room, so it does not wait behind one that does."""
    scheduler = Scheduler(10, idle_sleep_s=100)
    scheduler.ask(1, "busy", 9, 0)
    scheduler.loaded("busy", 1)
    assert scheduler.ask(2, "big", 10, 2) == []
    assert scheduler.ask(3, "small", 1, 3) == []  # would take room from the one before it
    assert scheduler.ask(4, "remote", 0, 3) == [Load("remote")]


@pytest.mark.parametrize("idle_sleep_s", [5.0, 50.0])
def test_idle_sleep(idle_sleep_s: float) -> None:
    """An idle model leaves when its time is up, not before, and the scheduler says when to look."""
    scheduler = Scheduler(10, idle_sleep_s)
    scheduler.ask(1, "a", 5, 0)
    scheduler.loaded("a", 1)
    assert scheduler.next_tick() is None
    scheduler.release(1, "a", 2)
    due = scheduler.next_tick()
    assert due == 2 + idle_sleep_s
    assert scheduler.tick(due - 0.01) == []
    assert scheduler.tick(due) == [Leave("a")]
