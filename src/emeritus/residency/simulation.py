"""A trace replayed through the real scheduler on a virtual clock: loads, waits and memory held. Pure; starts nothing.

Loads take what the trace says of a resident, closes no time; nothing fails.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from emeritus.residency.decisions import HOST, Admit, Decision, Leave, Limits, Load, Refuse
from emeritus.residency.scheduler import Scheduler
from emeritus.residency.traces import Trace

_LOADED, _RELEASED, _ASKED, _LEFT = range(4)  # the order of what happens at one moment


@dataclass(slots=True)
class Replay:
    """What came of a trace. `waits` in seconds, in the order of admission, with whom; `held` in byte seconds."""

    loads: int = 0
    load_s: float = 0.0
    held: float = 0.0
    waits: list[tuple[str, float]] = field(default_factory=list)
    bound_s: float = 0.0

    def wait(self, share: float) -> float:
        """The wait that this share of the calls does not exceed, in seconds."""
        ordered = sorted(wait for _, wait in self.waits)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def replay(trace: Trace, limits: Limits, load_seconds: Mapping[str, float] | None = None) -> Replay:
    """What the scheduler does with a trace. Every resident must fit the budget of the host."""
    return _Run(trace, limits, load_seconds).run()


class _Run:
    def __init__(self, trace: Trace, limits: Limits, load_seconds: Mapping[str, float] | None) -> None:
        self._trace = trace
        self._scheduler = Scheduler(limits, load_seconds)
        self._found = Replay()
        self._now = 0.0
        self._numbers = itertools.count()
        self._queue: list[tuple[float, int, int, str, int]] = []
        self._since: dict[str, float] = {}

    def run(self) -> Replay:
        """Until the last call has been answered."""
        for ticket, call in enumerate(self._trace.calls):
            self._queue.append((call.at, _ASKED, next(self._numbers), call.resident, ticket))
        heapq.heapify(self._queue)
        open_calls = len(self._queue)
        while open_calls:
            tick = self._scheduler.next_tick()
            if tick is not None and (not self._queue or tick < self._queue[0][0]):
                self._now = tick
                self._carry_out(self._scheduler.tick(tick))
                continue
            self._now, what, _, name, ticket = heapq.heappop(self._queue)
            if what == _ASKED:
                need = {HOST: self._trace.residents[name].size}
                self._carry_out(self._scheduler.ask(ticket, name, need, self._now))
            elif what == _LOADED:
                self._carry_out(self._scheduler.loaded(name, self._now))
            elif what == _LEFT:
                self._carry_out(self._scheduler.left(name, self._now))
            else:
                open_calls -= 1
                self._carry_out(self._scheduler.release(ticket, name, self._now))
        for name, since in self._since.items():
            self._found.held += self._trace.residents[name].size * (self._now - since)
        self._found.bound_s = self._scheduler.bound_s
        return self._found

    def _carry_out(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            match decision:
                case Load(name):
                    seconds = self._trace.residents[name].load_s
                    self._found.loads += 1
                    self._found.load_s += seconds
                    self._since[name] = self._now
                    self._later(seconds, _LOADED, name)
                case Leave(name):
                    self._found.held += self._trace.residents[name].size * (self._now - self._since.pop(name))
                    self._later(0.0, _LEFT, name)
                case Admit(ticket, name):
                    call = self._trace.calls[ticket]
                    self._found.waits.append((name, self._now - call.at))
                    self._later(call.answer_s, _RELEASED, name, ticket)
                case Refuse():
                    raise AssertionError("nothing fails here, so nothing is refused")

    def _later(self, seconds: float, what: int, name: str, ticket: int = 0) -> None:
        heapq.heappush(self._queue, (self._now + seconds, what, next(self._numbers), name, ticket))
