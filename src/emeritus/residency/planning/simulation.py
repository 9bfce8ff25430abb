"""What a fleet does with a trace, model by model: `residency/simulation.py` with tiers, counted.

Loads, answers and closes are as long as the fleet says. A call outside visiting hours comes back when they begin; a
letter is answered with its batch; `archive` answers nobody. Pure.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from emeritus.errors import InputError
from emeritus.residency.decisions import HOST, Limits
from emeritus.residency.planning.fleet import Counts, Habits, Machines, Planned
from emeritus.residency.planning.traffic import DAY_S
from emeritus.residency.scheduler import Scheduler
from emeritus.residency.simulation import Simulation
from emeritus.residency.traces import Call, Resident
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
    """One simulation, and who counts in it (`Seen`)."""

    def __init__(self, fleet: Sequence[Planned], span: tuple[float, float], machines: Machines, habits: Habits) -> None:
        self._fleet = {each.name: each for each in fleet}
        for each in fleet:
            if each.bytes > machines.bytes:
                raise InputError(f"{each.name!r} takes {each.bytes} bytes, more than the {machines.bytes} there are")
        self._start, self._end = (each * DAY_S for each in span)
        self._habits = habits
        limits = Limits(
            {HOST: machines.bytes},
            habits.idle_sleep_s,
            habits.patience_s,
            close_s=habits.close_s,
            load_worth=habits.load_worth,
        )
        residents = {each.name: Resident(each.name, each.bytes, each.load_s) for each in fleet}
        scheduler = Scheduler(limits, {each.name: each.load_s for each in fleet})
        self._simulation = Simulation(scheduler, residents, habits.close_s, self)
        self._tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
        self._used = self._peak = 0
        self._byte_s, self._changed = 0.0, self._start

    def run(self, trace: Iterable[Call]) -> Outcome:
        """To the end of the trace, and until the last answer is out."""
        self._open(0.0)
        self._simulation.run(trace, self._arrive, self._end)
        self._hold(self._end)
        for tally in self._tallies.values():
            if tally.since is not None:
                tally.held_s += self._within(tally.since, self._end)
        counts = {name: self._counts(self._tallies[name]) for name in self._fleet}
        span = self._end - self._start
        return Outcome(span / DAY_S, counts, self._peak, self._byte_s / span if span else 0.0)

    def loading(self, resident: Resident, now: float) -> None:
        """See `Seen`."""
        tally = self._tallies[resident.name]
        if now >= self._start:
            tally.loads += 1
            tally.load_s += resident.load_s
        tally.since = now
        self._hold(now, resident.size)

    def left(self, resident: Resident, now: float) -> None:
        """See `Seen`."""
        tally = self._tallies[resident.name]
        if tally.since is not None:
            tally.held_s += self._within(tally.since, now)
            tally.since = None
        self._hold(now, -resident.size)

    def admitted(self, call: Call, now: float) -> float:
        """See `Seen`."""
        service = call.answer_s or self._fleet[call.resident].service_s
        tally = self._tallies[call.resident]
        if call.at >= self._start:
            tally.answering_s += service
            tally.waits.append(now - call.at)
            tally.latencies.append(now - call.at + service)
        return service

    def _open(self, now: float) -> None:
        """Hold those whose tier has them awake now, and look again when visiting hours begin or end."""
        opens = self._habits.opens(now)
        kept = {Tier.AWAKE, Tier.HOURS} if opens == now else {Tier.AWAKE}
        self._simulation.hold([each.name for each in self._fleet.values() if each.tier in kept], now)
        if any(each.tier is Tier.HOURS for each in self._fleet.values()) and now <= self._end:
            self._simulation.at(opens if opens > now else self._habits.closes(now), self._open)

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
                self._simulation.at(self._habits.opens(call.at), partial(self._simulation.ask, call))
            case Tier.CORRESPONDENCE:
                self._simulation.at(self._habits.batch(call.at), partial(self._simulation.ask, call))
            case _:
                self._simulation.ask(call, call.at)

    def _hold(self, now: float, more: int = 0) -> None:
        now = min(max(now, self._start), self._end)
        self._byte_s += self._used * max(now - self._changed, 0.0)
        self._changed = max(now, self._changed)
        self._used += more
        self._peak = max(self._peak, self._used)

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
