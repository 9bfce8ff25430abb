"""A trace replayed in simulated time through the scheduler that serves callers (`residency/scheduler.py`).

Simulated are time, loads, answers and closes, each as long as the fleet says; every decision is the scheduler's own.
Calls to one awake model run side by side without slowing each other. A call outside visiting hours comes back when they
begin; a letter is answered with its batch; `archive` answers nobody. Pure.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from emeritus.errors import InputError
from emeritus.residency.decisions import HOST, Admit, Decision, Leave, Limits, Load, Refuse
from emeritus.residency.planning.fleet import Counts, Habits, Machines, Planned
from emeritus.residency.planning.traffic import DAY_S
from emeritus.residency.scheduler import Scheduler
from emeritus.residency.traces import Call
from emeritus.tiers import Tier


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a simulation: counts by model, and the most and mean bytes that were held at once."""

    days: float
    counts: Mapping[str, Counts]
    peak_bytes: int
    mean_bytes: float

    def latencies(self, names: Iterable[str] | None = None) -> list[float]:
        """Of every call answered, ascending; of these models only, where named."""
        wanted = self.counts if names is None else [name for name in names if name in self.counts]
        return sorted(itertools.chain.from_iterable(self.counts[name].latencies for name in wanted))


def simulate(
    fleet: Sequence[Planned],
    trace: Iterable[Call],
    days: float,
    machines: Machines,
    habits: Habits,
    settling_days: float = 0.0,
) -> Outcome:
    """Replay a trace of `days` days; what lies before `settling_days` is lived through and not counted.

    Raises InputError: a model that can never fit, a call to one not in the fleet.
    """
    return _Run(fleet, (settling_days, days), machines, habits).run(trace)


def percentile(ascending: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    if not ascending:
        return None
    return ascending[min(int(share * len(ascending)), len(ascending) - 1)]


class _Tally:
    """One model's counts while they grow."""

    __slots__ = ("answering_s", "calls", "held_s", "latencies", "load_s", "loads", "refused", "since", "waits")

    def __init__(self) -> None:
        self.calls = self.refused = self.loads = 0
        self.load_s = self.answering_s = self.held_s = 0.0
        self.since: float | None = None  # when it began to hold memory
        self.waits: list[float] = []
        self.latencies: list[float] = []


class _Run:
    """One simulation. Events are (time, number, what to do): the number keeps those of one moment in order."""

    def __init__(self, fleet: Sequence[Planned], span: tuple[float, float], machines: Machines, habits: Habits) -> None:
        self._fleet = {each.name: each for each in fleet}
        for each in fleet:
            if each.bytes > machines.bytes:
                raise InputError(f"{each.name!r} takes {each.bytes} bytes, more than the {machines.bytes} there are")
        self._start, self._end = (each * DAY_S for each in span)
        self._habits = habits
        limits = Limits({HOST: machines.bytes}, habits.idle_sleep_s, habits.patience_s, close_s=habits.close_s)
        self._scheduler = Scheduler(limits, {each.name: each.load_s for each in fleet})
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        self._tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
        self._asked: dict[int, tuple[float, Call]] = {}  # ticket -> when the caller first came, and its call
        self._used = self._peak = 0
        self._byte_s, self._changed = 0.0, self._start
        self._ticks: set[float] = set()

    def run(self, trace: Iterable[Call]) -> Outcome:
        """To the end of the trace, and until the last answer is out."""
        self._open(0.0)
        calls = iter(trace)
        upcoming = next(calls, None)
        while upcoming is not None or self._events:
            if upcoming is not None and (not self._events or upcoming.at <= self._events[0][0]):
                self._arrive(upcoming)
                upcoming = next(calls, None)
                continue
            at, _, do = heapq.heappop(self._events)
            if upcoming is None and at > self._end and not self._asked:
                break  # only sleeping is left
            do(at)
        self._hold(self._end)
        for tally in self._tallies.values():
            if tally.since is not None:
                tally.held_s += self._within(tally.since, self._end)
        counts = {name: self._counts(self._tallies[name]) for name in self._fleet}
        span = self._end - self._start
        return Outcome(span / DAY_S, counts, self._peak, self._byte_s / span if span else 0.0)

    def _open(self, now: float) -> None:
        """Hold those whose tier has them awake now, and look again when visiting hours begin or end."""
        opens = self._habits.opens(now)
        kept = {Tier.AWAKE, Tier.HOURS} if opens == now else {Tier.AWAKE}
        held = {each.name: self._need(each) for each in self._fleet.values() if each.tier in kept}
        self._act(self._scheduler.hold(held, now), now)
        if any(each.tier is Tier.HOURS for each in self._fleet.values()) and now <= self._end:
            self._at(opens if opens > now else self._habits.closes(now), self._open)

    def _within(self, since: float, until: float) -> float:
        """How much of a span is counted, in seconds."""
        return max(min(until, self._end) - max(since, self._start), 0.0)

    def _arrive(self, call: Call) -> None:
        planned = self._fleet.get(call.resident)
        if planned is None:
            raise InputError(f"the trace calls {call.resident!r}, which is not in the fleet")
        counted = call.at >= self._start
        self._tallies[call.resident].calls += counted
        match planned.tier:
            case Tier.ARCHIVE:
                self._tallies[call.resident].refused += counted
            case Tier.HOURS:
                self._at(self._habits.opens(call.at), lambda now: self._ask(call, now))
            case Tier.CORRESPONDENCE:
                self._at(self._habits.batch(call.at), lambda now: self._ask(call, now))
            case _:
                self._ask(call, call.at)

    def _ask(self, call: Call, now: float) -> None:
        ticket = next(self._numbers)
        self._asked[ticket] = (call.at, call)
        self._act(self._scheduler.ask(ticket, call.resident, self._need(self._fleet[call.resident]), now), now)

    def _act(self, decisions: Iterable[Decision], now: float) -> None:
        for decision in decisions:
            match decision:
                case Load(name):
                    self._load(name, now)
                case Leave(name):
                    self._at(now + self._habits.close_s, lambda at, name=name: self._left(name, at))  # type: ignore[misc]  # a default that binds
                case Admit(ticket, name):
                    self._admit(ticket, name, now)
                case Refuse(ticket, name):
                    del self._asked[ticket]
                    self._tallies[name].refused += 1
        due = self._scheduler.next_tick()
        if due is not None and due not in self._ticks:
            self._ticks.add(due)
            self._at(due, self._tick)

    def _tick(self, now: float) -> None:
        self._ticks.discard(now)
        self._act(self._scheduler.tick(now), now)

    def _load(self, name: str, now: float) -> None:
        planned, tally = self._fleet[name], self._tallies[name]
        if now >= self._start:
            tally.loads += 1
            tally.load_s += planned.load_s
        tally.since = now
        self._hold(now, planned.bytes)
        self._at(now + planned.load_s, lambda at: self._act(self._scheduler.loaded(name, at), at))

    def _left(self, name: str, now: float) -> None:
        tally = self._tallies[name]
        if tally.since is not None:
            tally.held_s += self._within(tally.since, now)
            tally.since = None
        self._hold(now, -self._fleet[name].bytes)
        self._act(self._scheduler.left(name, now), now)

    def _admit(self, ticket: int, name: str, now: float) -> None:
        came, call = self._asked[ticket]
        service = call.answer_s or self._fleet[name].service_s
        tally = self._tallies[name]
        if came >= self._start:
            tally.answering_s += service
            tally.waits.append(now - came)
            tally.latencies.append(now - came + service)
        self._at(now + service, lambda at: self._release(ticket, name, at))

    def _release(self, ticket: int, name: str, now: float) -> None:
        del self._asked[ticket]
        self._act(self._scheduler.release(ticket, name, now), now)

    def _hold(self, now: float, more: int = 0) -> None:
        now = min(max(now, self._start), self._end)
        self._byte_s += self._used * max(now - self._changed, 0.0)
        self._changed = max(now, self._changed)
        self._used += more
        self._peak = max(self._peak, self._used)

    def _at(self, when: float, do: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), do))

    @staticmethod
    def _need(planned: Planned) -> dict[str, int]:
        return {HOST: planned.bytes} if planned.bytes else {}

    def _counts(self, tally: _Tally) -> Counts:
        return Counts(
            (self._end - self._start) / DAY_S,
            tally.calls,
            tally.refused,
            tally.loads,
            tally.load_s,
            tally.answering_s,
            tally.held_s,
            tuple(tally.waits),
            tuple(tally.latencies),
        )
