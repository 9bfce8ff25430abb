"""The promise: what 190 more residents at about one request a day each cost, on top of ten whose traffic is unchanged.

Two runs over each committed trace (fixed seeds of `residency/traces.py`: Zipf s = 1.0 and 1.5 over ten residents,
Gamma gaps of variation √2, answers of exponential length): the ten alone, and the ten with the tail, the order turned
from one trace to the next. All of it is real: gateway over HTTP, keys, metering, residency, embedded engines in
workers, weights from the vault's cache, a canary at every wake. Every answer is checked against its resident's sign.

A day lasts an hour: idle times, the histogram's minutes and the tail's day are divided by COMPRESSION; loads and
answers take what they take. A run is a window of that day, so that all rates keep their proportions. What stays apart
from a real day is the head: at 30 % of two cores it does a twenty-fourth of the work it would do in a real day, while
each of the tail's requests costs the same. So the ratio is an upper bound of a real day's.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
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
COMPRESSION = 24.0
DAY_S = 86_400.0 / COMPRESSION
WINDOW_S, SHORTEST_S = 150.0, 30.0  # of each run
BEFORE_DAYS = 10
SLEEPERS = 5  # called one by one after a run, to tell what such a call takes by itself
RATE = 4.0  # calls a second to the head
ZIPF = (1.0, 1.5)
VARIATION = 2**0.5
TOKENS = 64  # of an answer, in the mean; at least LEAST
LEAST = 16  # more than an answer is told by
ROOM = HEAD + 2  # residents that fit at once, in both runs
SETTINGS = {"loading": "cache", "engine_threads": 1, "idle_sleep_s": 600 / COMPRESSION}
LATE_S = 60.0  # longest wait for an answer


@dataclass(slots=True)
class Run:
    """One trace, replayed. Latencies in seconds from when the call was due."""

    core_s: float = 0.0
    wall_s: float = 0.0
    memory: int = 0  # the peak
    head: list[float] = field(default_factory=list)
    tail: list[float] = field(default_factory=list)
    wrong: int = 0
    failed: int = 0
    alone_s: float = 0.0  # core-seconds of one call of a sleeping one of the tail, with nothing else under way


def measure(options: Options) -> list[Metric]:
    """All three: the worse of the two traces is the figure."""
    window_s, tail_size = max(SHORTEST_S, WINDOW_S * options.scale), options.of(TAIL, 4)
    runs: dict[float, tuple[Run, Run]] = {}
    with tempfile.TemporaryDirectory() as work:
        names = [each.name for each in equal(HEAD + tail_size, 1, 1.0)]
        fleet = prepare(Path(work) / "home", names)
        for place, zipf in enumerate(ZIPF):
            traces = [trace(zipf, window_s, tail) for tail in (0, tail_size)]
            found = []
            for calls in traces[::-1] if place % 2 else traces:
                print(f"  s={zipf:g}: {len(calls)} calls in {window_s:g} s ...", file=sys.stderr, flush=True)
                found.append(asyncio.run(replay(fleet, calls)))
            alone, both = found[::-1] if place % 2 else found
            runs[zipf] = (alone, both)
    return figures(runs, {"residents": HEAD + tail_size, "window_s": window_s, "stored_MB": fleet.stored / 1e6})


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


async def replay(fleet: Fleet, calls: Sequence[Call]) -> Run:
    """The calls at their times, to a server of its own whose ten are awake when it begins."""
    settings = {**SETTINGS, "memory_budget_bytes": max(1 << 20, ROOM * fleet.each)}
    run, head = Run(), {each.name for each in equal(HEAD, 1, 1.0)}
    with Served(fleet.home, COMPRESSION, settings) as served:
        headers = {"Authorization": f"Bearer {fleet.key}"}
        limit = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=limit) as session:
            for name in sorted(head):
                await _ask(session, served.url, Call(0.0, name, LEAST), fleet)
            peak = asyncio.create_task(_peak(served, run))
            before, began = await asyncio.to_thread(served.core_s), perf_counter()

            async def one(call: Call) -> None:
                right = await _ask(session, served.url, call, fleet)
                taken = perf_counter() - began - call.at
                run.failed += right is None
                run.wrong += right is False
                (run.head if call.resident in head else run.tail).append(taken)

            async with asyncio.TaskGroup() as tasks:
                for call in calls:
                    await asyncio.sleep(max(0.0, began + call.at - perf_counter()))
                    tasks.create_task(one(call))
            run.core_s = await asyncio.to_thread(served.core_s) - before
            run.wall_s = perf_counter() - began
            peak.cancel()
            sleepers = [name for name in fleet.signs if name not in head][-SLEEPERS:] if run.tail else []
            for name in sleepers:
                await asyncio.to_thread(served.sleep, name)
            before = await asyncio.to_thread(served.core_s)
            for name in sleepers:
                right = await _ask(session, served.url, Call(0.0, name, TOKENS), fleet)
                run.failed += right is None
                run.wrong += right is False
            if sleepers:
                run.alone_s = (await asyncio.to_thread(served.core_s) - before) / len(sleepers)
    return run


async def _ask(session: aiohttp.ClientSession, url: str, call: Call, fleet: Fleet) -> bool | None:
    """Whether the answer is its resident's own; None: there was none."""
    body = {
        "model": call.resident,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": max(LEAST, round(call.answer_s)),
        "temperature": 0,
    }
    try:
        async with session.post(
            f"{url}/chat/completions", json=body, timeout=aiohttp.ClientTimeout(total=LATE_S)
        ) as response:
            if response.status != 200:
                return None
            answer = await response.json()
    except (aiohttp.ClientError, TimeoutError):
        return None
    text: str = answer["choices"][0]["message"]["content"]
    return text.startswith(fleet.signs[call.resident])


async def _peak(served: Served, run: Run) -> None:
    """The most memory that was seen."""
    while True:
        usage = await asyncio.to_thread(served.usage)
        run.memory = max(run.memory, usage.memory)
        await asyncio.sleep(2.0)


def figures(runs: dict[float, tuple[Run, Run]], beside: dict[str, Any]) -> list[Metric]:
    """The metrics of runs by exponent: alone, and with the tail."""
    wrong = sum(each.wrong + each.failed for pair in runs.values() for each in pair)
    cost = {zipf: both.core_s / alone.core_s for zipf, (alone, both) in runs.items()}
    p50 = {zipf: percentile(both.head, 0.5) / percentile(alone.head, 0.5) for zipf, (alone, both) in runs.items()}
    p99 = {zipf: percentile(both.head, 0.99) / percentile(alone.head, 0.99) for zipf, (alone, both) in runs.items()}
    shown = {f"s={zipf:g}": {**_of("alone", alone), **_of("with tail", both)} for zipf, (alone, both) in runs.items()}
    tails = [each for _, both in runs.values() for each in both.tail]
    if wrong or not tails:
        why = f"{wrong} answers failed or were another resident's, {len(tails)} calls of the tail"
        return [Metric.missing(name, why) for name in ("tail_cost_ratio", "head_p50_ratio", "head_p99_ratio")]
    head_s = statistics.mean(alone.core_s / len(alone.head) for alone, _ in runs.values())
    wake_s = statistics.mean([both.alone_s for _, both in runs.values() if both.alone_s] or [float("nan")])
    # what the tail's share of a whole compressed day comes to, free of the chance in one window
    counted = {zipf: 1 + wake_s * TAIL / DAY_S / (alone.core_s / alone.wall_s) for zipf, (alone, _) in runs.items()}
    extra = [both.core_s - alone.core_s for alone, both in runs.values()]
    more = {
        "by trace": {f"s={zipf:g}": ratio for zipf, ratio in cost.items()},
        **beside,
        "compression": COMPRESSION,
        "core-s a call of the head": head_s,
        "core-s a call of the tail, by difference": sum(extra) / len(tails),
        "core-s a call of the tail, by itself": wake_s,
        "by that figure": {f"s={zipf:g}": ratio for zipf, ratio in counted.items()},
        "tail p50 s": percentile(tails, 0.5),
        "tail p95 s": percentile(tails, 0.95),
        **shown,
    }
    return [
        Metric("tail_cost_ratio", max(cost.values()), high=1.1, beside=more),
        Metric("head_p50_ratio", max(p50.values()), high=1.1, beside={f"s={z:g}": x for z, x in p50.items()}),
        Metric("head_p99_ratio", max(p99.values()), high=1.1, beside={f"s={z:g}": x for z, x in p99.items()}),
    ]


def _of(which: str, run: Run) -> dict[str, float]:
    found = {
        "core-s": run.core_s,
        "cores busy": run.core_s / run.wall_s,
        "calls": len(run.head) + len(run.tail),
        "head p50 s": percentile(run.head, 0.5),
        "head p99 s": percentile(run.head, 0.99),
        "memory MB": run.memory / 1e6,
    }
    return {f"{which} {name}": value for name, value in found.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; infinity for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")
