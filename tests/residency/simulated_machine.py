"""A simulated machine that carries out a scheduler's decisions on a virtual clock and checks every promise as it goes.

It takes nothing from the scheduler's word: who is awake, what is taken and who waits is kept here a second time.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emeritus.residency.decisions import Admit, Decision, Leave, Limits, Load, Need, Refuse
from emeritus.residency.scheduler import Scheduler

LIMITS = Limits(
    {"host": 10, "gpu": 8}, idle_sleep_s=20, patience_s=5, load_s=3, close_s=1, answer_s=4
)  # the longest of each in the simulation, too
NEEDS: Mapping[str, Need] = {
    "a": {"host": 3},
    "b": {"host": 4},
    "c": {"host": 2, "gpu": 5},
    "d": {"host": 1, "gpu": 6},
    "e": {"host": 10},
    "f": {},
    "g": {"host": 6},
}


@dataclass(slots=True)
class Asked:
    """A call that waits: what for, since when, and how often something happened that prolongs its bound."""

    name: str
    at: float
    mishaps: int


@dataclass
class SimulatedMachine:
    """`share` gives a number from 0 to 1 for everything that is left to chance: how long, and whether it fails."""

    share: Callable[[], float]
    limits: Limits = LIMITS
    needs: Mapping[str, Need] = field(default_factory=lambda: NEEDS)
    mishaps_happen: bool = True
    now: float = 0.0
    mishaps: int = 0  # closes that hang, and sleeps that an operator orders: each may cost a waiter one more turn
    loads: int = 0
    longest_wait: float = 0.0
    queue: list[tuple[float, int, str, tuple[object, ...]]] = field(default_factory=list)
    waiting: dict[int, Asked] = field(default_factory=dict)
    running: dict[int, str] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    stuck: dict[int, str] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.numbers = itertools.count(1)
        self.scheduler = Scheduler(self.limits)

    def later(self, seconds: float, what: str, *arguments: object) -> None:
        """Arrange an event."""
        heapq.heappush(self.queue, (self.now + seconds, next(self.numbers), what, arguments))

    # what may happen

    def ask(self, ticket: int, name: str) -> None:
        """A call comes."""
        self.waiting[ticket] = Asked(name, self.now, self.mishaps)
        self.carry_out(self.scheduler.ask(ticket, name, self.needs[name], self.now))

    def release(self, ticket: int, name: str) -> None:
        """A call ends, or whoever waits for it leaves."""
        self.waiting.pop(ticket, None)
        self.running.pop(ticket, None)
        self.carry_out(self.scheduler.release(ticket, name, self.now))

    def die(self, name: str) -> None:
        """A process ends by itself."""
        if self.state.get(name) == "awake":
            self.running = {ticket: other for ticket, other in self.running.items() if other != name}
            self.carry_out(self.scheduler.died(name, self.now))

    def put_to_sleep(self, name: str) -> None:
        """An operator orders it."""
        self.mishaps += 1
        self.carry_out(self.scheduler.sleep(name, self.now))

    def hold(self, names: frozenset[str]) -> None:
        """Tiers change."""
        self.carry_out(self.scheduler.hold({name: self.needs[name] for name in names}, self.now))

    def loaded(self, name: str) -> None:
        """A load succeeds."""
        self.state[name] = "awake"
        self.carry_out(self.scheduler.loaded(name, self.now))

    def failed(self, name: str, hangs: bool) -> None:
        """A load fails, and may leave something behind that hangs."""
        self.state[name] = "asleep"
        number = self._hang(name) if hangs else None
        self.carry_out(self.scheduler.failed(name, self.now, number))

    def left(self, name: str) -> None:
        """A close ends."""
        self.state[name] = "asleep"
        self.carry_out(self.scheduler.left(name, self.now))

    def abandoned(self, name: str) -> None:
        """A close hangs."""
        self.state[name] = "asleep"
        self.carry_out(self.scheduler.abandoned(name, self.now, self._hang(name)))

    def freed(self, number: int) -> None:
        """What hung ends at last."""
        del self.stuck[number]
        self.carry_out(self.scheduler.freed(number, self.now))

    def tick(self) -> None:
        """Time has passed."""
        self.carry_out(self.scheduler.tick(self.now))

    def _hang(self, name: str) -> int:
        self.mishaps += 1
        number = next(self.numbers)
        self.stuck[number] = name
        self.later(40 * self.share(), "freed", number)
        return number

    # what follows

    def carry_out(self, decisions: list[Decision]) -> None:
        """Do what was decided; check that it could be."""
        for decision in decisions:
            match decision:
                case Load(name):
                    assert self.state.get(name, "asleep") == "asleep", "loaded twice"
                    self.state[name] = "waking"
                    self.loads += 1
                    seconds = self.limits.load_s * self.share()
                    fate = self.share() if self.mishaps_happen else 1.0
                    if fate < 0.1:
                        self.later(seconds, "failed", name, fate < 0.03)
                    else:
                        self.later(seconds, "loaded", name)
                case Leave(name, dead):
                    assert self.state[name] == "awake"
                    assert dead or name not in self.running.values(), "told to leave with a call under way"
                    self.state[name] = "leaving"
                    hangs = self.mishaps_happen and self.share() < 0.05
                    seconds = self.limits.close_s * (1.0 if hangs else self.share())
                    self.later(seconds, "abandoned" if hangs else "left", name)
                case Admit(ticket, name):
                    assert self.state[name] == "awake", "admitted to a model that is not awake"
                    asked = self.waiting.pop(ticket)
                    assert asked.name == name
                    self._waited(asked)
                    self.answered.add(ticket)
                    self.running[ticket] = name
                    self.later(self.limits.answer_s * self.share(), "release", ticket, name)
                case Refuse(ticket, name):
                    self._waited(self.waiting.pop(ticket))
                    self.refused.add(ticket)
        self.check()

    def _waited(self, asked: Asked) -> None:
        wait = self.now - asked.at
        self.longest_wait = max(self.longest_wait, wait)
        assert wait <= self.bound(asked) + 1e-6, f"{asked.name} waited {wait:.2f} s"

    def bound(self, asked: Asked) -> float:
        """The declared bound, and what each mishap since may add to it."""
        competing = sum(1 for need in self.needs.values() if need)
        turn = self.limits.load_s + self.limits.answer_s + self.limits.close_s
        return self.limits.bound_s(competing) + (self.mishaps - asked.mishaps) * turn

    def check(self) -> None:
        """What holds at every moment."""
        up = [name for name, state in self.state.items() if state != "asleep"] + list(self.stuck.values())
        for place, budget in self.limits.budgets.items():
            taken = sum(self.needs[name].get(place, 0) for name in up)
            assert taken == self.scheduler.used().get(place, 0)
            assert taken <= budget, f"over the budget of {place}"
        for name, model in self.scheduler.models.items():
            assert model.state == self.state.get(name, "asleep")

    def step(self) -> bool:
        """The next event happens, time's own among them; False where nothing is left to happen."""
        tick = self.scheduler.next_tick()
        if self.queue and (tick is None or self.queue[0][0] <= tick):
            self.now, _, what, arguments = heapq.heappop(self.queue)
            getattr(self, what)(*arguments)
            return True
        if tick is None:
            return False
        assert tick > self.now, "time stands still"
        self.now = tick
        self.tick()
        return True

    def run(self, seconds: float | None = None) -> None:
        """So much time passes; without a number, until nothing is left to happen and everybody had an answer."""
        end = None if seconds is None else self.now + seconds
        for _ in range(100_000):
            following = [self.queue[0][0]] if self.queue else []
            tick = self.scheduler.next_tick()
            following += [] if tick is None else [tick]
            if end is not None and (not following or min(following) > end):
                self.now = end
                return
            if not self.step():
                break
        else:
            raise AssertionError("it never comes to rest")
        assert not self.waiting, "somebody waits for ever"
