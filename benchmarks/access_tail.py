"""The promise: what 190 more residents at about one request a day each cost, on top of ten whose traffic is unchanged.

Two runs over each committed trace (fixed seeds of `residency/traces.py`: Zipf s = 1.0 and 1.5 over ten residents, Gamma
gaps of variation √2, answers of exponential length): the ten alone, and the ten with the tail. All of it is real:
gateway over HTTP, keys, metering, residency, embedded engines in workers, weights from the vault's cache, a canary at
every wake. Every answer is checked against its resident's sign. Each run has a home and a server of its own; they are
driven by turns of some seconds, one's clock standing while the other is called, so that whatever else the machine does
falls on both alike.

The mix. The head is called RATE times a second and a day lasts DAY_S, so a day has 14,400 calls of the ten to 190 of
the tail: 1.3 % of the calls for 95 % of the residents, as Aegaeon's fleet has it (94.1 % of the models take 1.35 %).
The cost of the tail over that of the head depends on this mix and on what a call takes, not on how fast a day passes.

The compression. A day is COMPRESSION times shorter than a real one: whatever goes by the clock (arrivals, idle times,
the histogram's minutes) is, loads and answers are not. So a sleeper's load, which takes as long as ever, comes
COMPRESSION times as often in a second, and a call of the head would meet one COMPRESSION times as often as on a real
day. Latencies are therefore those of the real day: a call of the head in a busy period (a span in which some call was
always under way, so that delays pass from one to the next) with one of the tail in it counts by 1/COMPRESSION as it was
measured, and by the rest as the same call was without the tail. A call that had
to wake its own resident is not discounted: how often the tail takes the head's room does not depend on the compression,
since idle times are compressed with the arrivals. The ratios without any discount are reported beside ("as replayed"),
and so is by how much the calls that met the tail were slower.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp

from benchmarks.access_fleet import PROMPT, Fleet, prepare
from benchmarks.access_served import Served
from benchmarks.metric import Metric, Options
from emeritus.residency.traces import Arrivals, Call, equal, generate, steady

HEAD, TAIL = 10, 190
RATE = 8.0  # calls a second to the head
HEAD_CALLS = 14_400  # a day
COMPRESSION = 86_400 * RATE / HEAD_CALLS
DAY_S = 86_400.0 / COMPRESSION
WINDOW_S, SHORTEST_S = 75.0, 15.0  # of each run
TURN_S = 7.5
BEFORE_DAYS = 10
SLEEPERS = 5  # called one by one after a run, to tell what such a call takes by itself
ZIPF = (1.0, 1.5)
VARIATION = 2**0.5
TOKENS = 32  # of an answer, in the mean; at least LEAST
LEAST = 16  # more than an answer is told by
ROOM = HEAD + 2  # residents that fit at once, in both runs
SETTINGS: dict[str, Any] = {"loading": "cache", "engine_threads": 1, "idle_sleep_s": 600 / COMPRESSION}
LATE_S = 60.0  # longest wait for an answer

Span = tuple[float, float]  # from when until when, by `perf_counter`


@dataclass(slots=True)
class Run:
    """One trace, replayed. Latencies in seconds from when the call was due; those of the head in the trace's order."""

    core_s: float = 0.0
    wall_s: float = 0.0
    memory: int = 0  # the most that was seen at the end of a turn
    head: list[float] = field(default_factory=list)
    tail: list[float] = field(default_factory=list)
    met: frozenset[int] = frozenset()  # calls of the head that shared a busy period with the tail, by place
    tail_s: float = 0.0  # in which any of the tail was called
    head_loads: int = 0
    tail_loads: int = 0
    wrong: int = 0
    failed: int = 0
    alone_s: float = 0.0  # core-seconds of one call of a sleeping one of the tail, with nothing else under way


def measure(options: Options) -> list[Metric]:
    """All three: the worse of the two traces is the figure."""
    window_s, tail_size = max(SHORTEST_S, WINDOW_S * options.scale), options.of(TAIL, 4)
    runs: dict[float, tuple[Run, Run]] = {}
    traces = {zipf: (trace(zipf, window_s, 0), trace(zipf, window_s, tail_size)) for zipf in ZIPF}
    names = [each.name for each in equal(HEAD + tail_size, 1, 1.0)]
    called = {call.resident for _, both in traces.values() for call in both}.union(names[:HEAD], names[-SLEEPERS:])
    with tempfile.TemporaryDirectory() as work:
        print(f"  making {len(names)} residents ...", file=sys.stderr, flush=True)
        fleet = prepare(Path(work) / "home", names, called=called)
        for zipf, (alone, both) in traces.items():
            print(f"  s={zipf:g}: {len(alone)} and {len(both)} calls, by turns ...", file=sys.stderr, flush=True)
            runs[zipf] = asyncio.run(compare(fleet, alone, both))
    beside = {"residents": len(names), "window_s": window_s, "stored_MB": fleet.stored / 1e6}
    return figures(runs, beside)


def trace(zipf: float, seconds: float, tail: int) -> list[Call]:
    """The head's calls, the same whatever the tail; and those of so many of the tail. `answer_s` is in tokens."""
    arrivals = Arrivals(RATE, seconds, zipf, VARIATION, float(TOKENS))
    everybody = equal(HEAD + tail, 1, 1.0)
    calls = list(generate(everybody[:HEAD], arrivals).calls)
    # The tail has been called for days before: a window that is shorter than a gap must not begin with everybody's
    # first call. Fewer of them at a small scale, but as many calls.
    before = BEFORE_DAYS * DAY_S
    for each in everybody[HEAD:]:
        since = steady(each.name, TAIL / tail / DAY_S, replace(arrivals, seconds=before + seconds))
        calls += [replace(call, at=call.at - before) for call in since if call.at >= before]
    return sorted(calls)


async def compare(fleet: Fleet, alone: Sequence[Call], both: Sequence[Call]) -> tuple[Run, Run]:
    """Two traces, each to a server and a home of its own, turn and turn about."""
    turns = int(max(call.at for call in (*alone, *both)) // TURN_S) + 1
    with ExitStack() as stack:
        driven = []
        for name in ("alone", "both"):
            home = fleet.home.with_name(name)
            shutil.copytree(fleet.home, home)
            stack.callback(shutil.rmtree, home)
            driven.append(Served(home, COMPRESSION, {**SETTINGS, "memory_budget_bytes": ROOM * fleet.each}))
        for served in driven:  # both have begun to start
            stack.enter_context(served)
        async with Driven(driven[0], fleet, alone) as first, Driven(driven[1], fleet, both) as second:
            for turn in range(turns):
                for each in (first, second) if turn % 2 else (second, first):
                    await each.turn(turn * TURN_S, (turn + 1) * TURN_S)
            return await first.ended(), await second.ended()


class Driven:
    """One trace and the server that it goes to. Its ten are awake when it begins; its clock stands between turns."""

    def __init__(self, served: Served, fleet: Fleet, calls: Sequence[Call]) -> None:
        self._served = served
        self._fleet = fleet
        self._calls = calls
        self._head = sorted(each.name for each in equal(HEAD, 1, 1.0))
        self._run = Run()
        self._spans: dict[Call, Span] = {}

    async def __aenter__(self) -> Driven:
        limit, headers = aiohttp.TCPConnector(limit=0), {"Authorization": f"Bearer {self._fleet.key}"}
        self._session = aiohttp.ClientSession(headers=headers, connector=limit)
        for name in self._head:
            await self._ask(Call(0.0, name, LEAST))
        await asyncio.to_thread(self._served.stand)
        self._loads = len(await asyncio.to_thread(self._served.loads))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def turn(self, since: float, until: float) -> None:
        """The calls due in that part of the trace, until all are answered."""
        await asyncio.to_thread(self._served.go)
        before, began = await asyncio.to_thread(self._served.core_s), perf_counter()

        async def one(call: Call) -> None:
            await self._ask(call)
            self._spans[call] = (began + call.at - since, perf_counter())

        async with asyncio.TaskGroup() as tasks:
            for call in self._calls:
                if since <= call.at < until:
                    await asyncio.sleep(max(0.0, began + call.at - since - perf_counter()))
                    tasks.create_task(one(call))
            await asyncio.sleep(max(0.0, began + until - since - perf_counter()))
        self._run.core_s += await asyncio.to_thread(self._served.core_s) - before
        self._run.wall_s += perf_counter() - began
        await asyncio.to_thread(self._served.stand)
        self._run.memory = max(self._run.memory, (await asyncio.to_thread(self._served.usage)).memory)

    async def ended(self) -> Run:
        """What came of it; afterwards some of the tail are called one by one, where there is one."""
        run = self._run
        loads = (await asyncio.to_thread(self._served.loads))[self._loads :]
        head = [(call.resident, self._spans[call]) for call in self._calls if call.resident in self._head]
        tail = [self._spans[call] for call in self._calls if call.resident not in self._head]
        woke = {name: [(since, until) for who, since, until in loads if who == name] for name in self._head}
        run.head = [until - since for _, (since, until) in head]
        run.tail = [until - since for since, until in tail]
        shared = [period for period in busy(self._spans.values()) if _meet(period, tail)]
        run.tail_s = sum(until - since for since, until in busy(tail))
        run.met = frozenset(
            place for place, (name, span) in enumerate(head) if _meet(span, shared) and not _meet(span, woke[name])
        )
        run.head_loads = sum(len(spans) for spans in woke.values())
        run.tail_loads = len(loads) - run.head_loads
        sleepers = [name for name in sorted(self._fleet.signs) if name not in self._head][-SLEEPERS:] if tail else []
        await asyncio.to_thread(self._served.go)
        for name in sleepers:
            await asyncio.to_thread(self._served.sleep, name)
        before = await asyncio.to_thread(self._served.core_s)
        for name in sleepers:
            await self._ask(Call(0.0, name, TOKENS))
        if sleepers:
            run.alone_s = (await asyncio.to_thread(self._served.core_s) - before) / len(sleepers)
        await asyncio.to_thread(self._served.stand)
        return run

    async def _ask(self, call: Call) -> None:
        """Ask, and look whether the answer is the resident's own."""
        body = {
            "model": call.resident,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": max(LEAST, round(call.answer_s)),
            "temperature": 0,
        }
        url, limit = f"{self._served.url}/chat/completions", aiohttp.ClientTimeout(total=LATE_S)
        try:
            async with self._session.post(url, json=body, timeout=limit) as response:
                answer = await response.json()
                if response.status != 200:
                    self._run.failed += 1
                    return
        except (aiohttp.ClientError, TimeoutError):
            self._run.failed += 1
            return
        said: str = answer["choices"][0]["message"]["content"]
        self._run.wrong += not said.startswith(self._fleet.signs[call.resident])


def figures(runs: dict[float, tuple[Run, Run]], beside: dict[str, Any]) -> list[Metric]:
    """The metrics of runs by exponent: alone, and with the tail."""
    wrong = sum(each.wrong + each.failed for pair in runs.values() for each in pair)
    tails = [each for _, both in runs.values() for each in both.tail]
    if wrong or not tails:
        why = f"{wrong} answers failed or were another resident's, {len(tails)} calls of the tail"
        return [Metric.missing(name, why) for name in ("tail_cost_ratio", "head_p50_ratio", "head_p99_ratio")]
    cost = {zipf: both.core_s / alone.core_s for zipf, (alone, both) in runs.items()}
    head_s = statistics.mean(alone.core_s / len(alone.head) for alone, _ in runs.values())
    wake_s = statistics.mean([both.alone_s for _, both in runs.values() if both.alone_s] or [float("nan")])
    # what the tail's share of a whole day comes to, free of the chance in one window
    counted = {zipf: 1 + wake_s * TAIL / DAY_S / (alone.core_s / alone.wall_s) for zipf, (alone, _) in runs.items()}
    extra = [both.core_s - alone.core_s for alone, both in runs.values()]
    more = {
        "by trace": _by(cost),
        **beside,
        "compression": COMPRESSION,
        "core-s a call of the head": head_s,
        "core-s a call of the tail, by difference": sum(extra) / len(tails),
        "core-s a call of the tail, by itself": wake_s,
        "by that figure": _by(counted),
        "tail p50 s": percentile(tails, 0.5),
        "tail p95 s": percentile(tails, 0.95),
        **{f"s={zipf:g}": {**_of("alone", alone), **_of("with tail", both)} for zipf, (alone, both) in runs.items()},
    }
    return [
        Metric("tail_cost_ratio", max(cost.values()), high=1.1, beside=more),
        _latency("head_p50_ratio", 0.5, runs),
        _latency("head_p99_ratio", 0.99, runs),
    ]


def _latency(name: str, share: float, runs: dict[float, tuple[Run, Run]]) -> Metric:
    """A percentile of the head's latencies on a real day with the tail, over that without."""

    def over(zipf: float, latencies: Iterable[tuple[float, float]]) -> float:
        return weighted(latencies, share) / percentile(runs[zipf][0].head, share)

    day = {zipf: over(zipf, real_day(*pair)) for zipf, pair in runs.items()}
    replayed = {zipf: over(zipf, ((each, 1.0) for each in both.head)) for zipf, (_, both) in runs.items()}
    met = [(alone.head[place], both.head[place]) for alone, both in runs.values() for place in both.met]
    beside = {
        "by trace": _by(day),
        "as replayed": _by(replayed),
        "calls that met the tail": len(met),
        "theirs, s": percentile([with_tail for _, with_tail in met], share) if met else 0.0,
        "the same calls without it, s": percentile([without for without, _ in met], share) if met else 0.0,
    }
    return Metric(name, max(day.values()), high=1.1, beside=beside)


def real_day(alone: Run, both: Run) -> Iterable[tuple[float, float]]:
    """Latencies of the head with the tail, each with its weight on a day that is not compressed."""
    for place, (without, with_tail) in enumerate(zip(alone.head, both.head, strict=True)):
        weight = 1 / COMPRESSION if place in both.met else 1.0
        yield with_tail, weight
        if weight < 1:
            yield without, 1 - weight


def _by(found: dict[float, float]) -> dict[str, float]:
    return {f"s={zipf:g}": ratio for zipf, ratio in found.items()}


def _of(which: str, run: Run) -> dict[str, float]:
    found = {
        "core-s": run.core_s,
        "cores busy": run.core_s / run.wall_s,
        "calls": len(run.head) + len(run.tail),
        "head p50 s": percentile(run.head, 0.5),
        "head p99 s": percentile(run.head, 0.99),
        "head loads": run.head_loads,
        "memory MB": run.memory / 1e6,
    }
    if run.tail:
        found |= {
            "tail loads": run.tail_loads,
            "time with the tail under way": run.tail_s / run.wall_s,
            "the same on a real day": run.tail_s / run.wall_s / COMPRESSION,
        }
    return {f"{which} {name}": value for name, value in found.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; infinity for none."""
    return weighted(((value, 1.0) for value in values), share)


def weighted(values: Iterable[tuple[float, float]], share: float) -> float:
    """The same of values with weights."""
    ordered = sorted(values)
    left = share * sum(weight for _, weight in ordered)
    for value, weight in ordered:
        left -= weight
        if left < 0:
            return value
    return ordered[-1][0] if ordered else float("inf")


def busy(spans: Iterable[Span]) -> list[Span]:
    """The times in which some of them is under way, without gaps."""
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found


def _meet(span: Span, others: Iterable[Span]) -> bool:
    return any(since < span[1] and span[0] < until for since, until in others)
