"""The scheduler in simulated time: it decides, loads and answers take what the residents and calls say. Pure.

`Simulation` is what the planner (`planning/simulation.py`) and `replay` share; each counts what it wants to know.
Nothing fails here, and calls to one awake model run side by side without slowing each other.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from emeritus.residency.decisions import HOST, Admit, Decision, Leave, Limits, Load, Need, Refuse
from emeritus.residency.scheduler import Scheduler
from emeritus.residency.traces import Call, Resident, Trace


class Seen(Protocol):
    """Who is told what happens, at simulated seconds."""

    def loading(self, resident: Resident, now: float) -> None:
        """It begins to load: its bytes are taken."""

    def left(self, resident: Resident, now: float) -> None:
        """Its bytes are free."""

    def admitted(self, call: Call, now: float) -> float:
        """The call's answer begins; returns the seconds it takes."""


class Simulation:
    """One run. `close_s`: seconds from a decision to leave until the bytes are free."""

    def __init__(self, scheduler: Scheduler, residents: Mapping[str, Resident], close_s: float, seen: Seen) -> None:
        self._scheduler = scheduler
        self._residents = residents
        self._close_s = close_s
        self._seen = seen
        self._events: list[
            tuple[float, int, Callable[[float], None]]
        ] = []  # the number keeps those of a moment in order
        self._numbers = itertools.count()
        self._asked: dict[int, Call] = {}  # by ticket, until its answer is over
        self.now = 0.0

    def run(self, calls: Iterable[Call], arrive: Callable[[Call], None], until: float = 0.0) -> None:
        """Each call to `arrive` at its time; on until all that were asked are answered, and until that second."""
        coming = iter(calls)
        upcoming = next(coming, None)
        while True:
            event = self._events[0][0] if self._events else float("inf")
            tick = self._scheduler.next_tick()
            if tick is not None and tick < min(event, float("inf") if upcoming is None else upcoming.at):
                if upcoming is None and tick > until and not self._asked:
                    return
                self.now = tick
                self._act(self._scheduler.tick(tick))
            elif upcoming is not None and upcoming.at <= event:
                self.now = upcoming.at
                arrive(upcoming)
                upcoming = next(coming, None)
            elif event == float("inf") or (upcoming is None and event > until and not self._asked):
                return
            else:
                self.now, _, do = heapq.heappop(self._events)
                do(self.now)

    def at(self, when: float, do: Callable[[float], None]) -> None:
        """Have something done then; it is given the time."""
        heapq.heappush(self._events, (when, next(self._numbers), do))

    def ask(self, call: Call, now: float) -> None:
        """A call wants its resident now."""
        ticket = next(self._numbers)
        self._asked[ticket] = call
        resident = self._residents[call.resident]
        self._act(self._scheduler.ask(ticket, resident.name, need_of(resident), now))

    def hold(self, names: Iterable[str], now: float) -> None:
        """Keep these awake from now on, and no others."""
        self._act(self._scheduler.hold({name: need_of(self._residents[name]) for name in names}, now))

    def _act(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            match decision:
                case Load(name):
                    self._seen.loading(self._residents[name], self.now)
                    self.at(self.now + self._residents[name].load_s, partial(self._loaded, name))
                case Leave(name):
                    self.at(self.now + self._close_s, partial(self._left, name))
                case Admit(ticket, name):
                    answer_s = self._seen.admitted(self._asked[ticket], self.now)
                    self.at(self.now + answer_s, partial(self._released, ticket, name))
                case Refuse():
                    raise AssertionError("nothing fails here, so nothing is refused")

    def _loaded(self, name: str, now: float) -> None:
        self._act(self._scheduler.loaded(name, now))

    def _left(self, name: str, now: float) -> None:
        self._seen.left(self._residents[name], now)
        self._act(self._scheduler.left(name, now))

    def _released(self, ticket: int, name: str, now: float) -> None:
        del self._asked[ticket]
        self._act(self._scheduler.release(ticket, name, now))


def need_of(resident: Resident) -> Need:
    """The room it takes awake."""
    return {HOST: resident.size} if resident.size else {}


@dataclass(slots=True)
class Replay:
    """What came of a trace. `waits` in seconds, in the order of admission, with whom; `held` in byte seconds."""

    loads: int = 0
    load_s: float = 0.0
    held: float = 0.0
    waits: list[tuple[str, float]] = field(default_factory=list)
    bound_s: float = 0.0
    _taken: int = 0
    _changed: float = 0.0

    def wait(self, share: float) -> float:
        """The wait that this share of the calls does not exceed, in seconds."""
        ordered = sorted(wait for _, wait in self.waits)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0

    def loading(self, resident: Resident, now: float) -> None:
        """See `Seen`."""
        self.loads += 1
        self.load_s += resident.load_s
        self.holds(resident.size, now)

    def left(self, resident: Resident, now: float) -> None:
        """See `Seen`."""
        self.holds(-resident.size, now)

    def admitted(self, call: Call, now: float) -> float:
        """See `Seen`."""
        self.waits.append((call.resident, now - call.at))
        return call.answer_s

    def holds(self, more: int, now: float) -> None:
        """So many bytes more, from now on."""
        self.held += self._taken * (now - self._changed)
        self._taken += more
        self._changed = now


def replay(trace: Trace, limits: Limits, load_seconds: Mapping[str, float] | None = None) -> Replay:
    """What the scheduler does with a trace, to the last answer's end; closes take no time.

    Every resident must fit the budget of the host.
    """
    scheduler, found = Scheduler(limits, load_seconds), Replay()
    simulation = Simulation(scheduler, trace.residents, 0.0, found)
    simulation.run(trace.calls, lambda call: simulation.ask(call, call.at))
    found.holds(0, simulation.now)
    found.bound_s = scheduler.bound_s
    return found
