"""Nobody waits beyond the declared bound, whatever happens in whatever order; nor is any other promise broken."""

from __future__ import annotations

import itertools
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from simulated_machine import LIMITS, NEEDS, SimulatedMachine

from emeritus.residency.decisions import Limits

MODELS = st.sampled_from(sorted(NEEDS))


class Waiting(RuleBasedStateMachine):
    """Calls, cancels, deaths, hangs, operators and tiers, in any order, with time in between."""

    def __init__(self) -> None:
        super().__init__()
        self.tickets = itertools.count(1)
        self.draw = random.Random(0)
        self.machine = SimulatedMachine(lambda: self.draw.random())
        self.asked = 0
        self.cancelled = 0

    @rule(seed=st.integers(0, 2**32))
    def chance(self, seed: int) -> None:
        """How long things take and what fails, from here on."""
        self.draw.seed(seed)

    @rule(name=MODELS, times=st.integers(1, 4))
    def ask(self, name: str, times: int) -> None:
        """Calls come at once."""
        for _ in range(times):
            self.asked += 1
            self.machine.ask(next(self.tickets), name)

    @rule(names=st.lists(MODELS, min_size=2, max_size=12), gap=st.sampled_from([0.0, 0.3, 1.1]))
    def rush(self, names: list[str], gap: float) -> None:
        """A stream of calls for many."""
        for name in names:
            self.ask(name, 1)
            self.machine.run(gap)

    @precondition(lambda self: self.machine.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Whoever waits leaves."""
        ticket = data.draw(st.sampled_from(sorted(self.machine.waiting)))
        self.cancelled += 1
        self.machine.release(ticket, self.machine.waiting[ticket].name)

    @rule(name=MODELS)
    def die(self, name: str) -> None:
        """A process ends by itself."""
        self.machine.die(name)

    @rule(name=MODELS)
    def put_to_sleep(self, name: str) -> None:
        """An operator orders it."""
        self.machine.put_to_sleep(name)

    @rule(names=st.frozensets(MODELS, max_size=3))
    def hold(self, names: frozenset[str]) -> None:
        """Tiers change, to more than fits, too."""
        self.machine.hold(names)

    @rule(seconds=st.sampled_from([0.1, 0.7, 2.0, 5.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes, and what is due happens."""
        self.machine.run(seconds)

    @invariant()
    def nobody_is_overdue(self) -> None:
        """Those who still wait are within their bound, too."""
        for asked in self.machine.waiting.values():
            assert self.machine.now - asked.at <= self.machine.bound(asked) + 1e-6

    def teardown(self) -> None:
        """Once nothing more happens everybody has been answered or refused, and everybody sleeps who is not held."""
        self.machine.hold(frozenset())
        self.machine.run()
        had = len(self.machine.answered | self.machine.refused)
        assert had + self.cancelled == self.asked
        assert set(self.machine.state.values()) <= {"asleep"}


Waiting.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestWaiting = Waiting.TestCase


def test_the_bound_is_not_idle_talk() -> None:
    """With room for one and everybody asked for at once, the last waits for all: no policy could promise much less."""
    needs = {f"m{number}": {"host": 1} for number in range(8)}
    limits = Limits({"host": 1}, patience_s=5, load_s=3, close_s=1, answer_s=4)
    machine = SimulatedMachine(lambda: 1.0, limits=limits, needs=needs, mishaps_happen=False)
    for ticket, name in enumerate(needs):
        machine.ask(ticket, name)
    machine.run()
    inevitable = 7 * (3 + 4 + 1) + 3
    assert inevitable <= machine.longest_wait <= limits.bound_s(8)


def test_a_hot_model_starves_nobody() -> None:
    """A model called without a pause for minutes lets others in within the bound, and itself is served as well."""
    chance = random.Random(7)
    machine = SimulatedMachine(chance.random, mishaps_happen=False)
    for ticket in range(600):
        machine.ask(ticket, "e" if chance.random() < 0.9 else chance.choice("abcdfg"))
        machine.run(chance.uniform(0, 1.5))
    machine.run()
    assert len(machine.answered) == 600
    assert machine.longest_wait > LIMITS.patience_s


def test_held_models_starve_nobody() -> None:
    """Tiers that take the whole memory leave callers of others their turn, and come back when those rest."""
    machine = SimulatedMachine(random.Random(3).random, mishaps_happen=False)
    machine.hold(frozenset("ag"))
    machine.run(30)
    assert {name for name, state in machine.state.items() if state == "awake"} == {"a", "g"}
    for ticket in range(40):
        machine.ask(ticket, "eb"[ticket % 2])
        machine.run(2)
    machine.run(60)
    assert len(machine.answered) == 40
    assert {name for name, state in machine.state.items() if state == "awake"} == {"a", "g"}
    machine.hold(frozenset())
    machine.run()
    assert set(machine.state.values()) == {"asleep"}
