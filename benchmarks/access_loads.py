"""Loads against LRU: 200 residents, room for six; the offline optimum beside.

The traces are made from fixed seeds: Zipf popularity, Gamma gaps (shape 0.5) between each resident's calls, about nine
calls a day for each in the mean. LRU keeps within the same bytes and serves at once, in the order of arrival, in no
time. Ours is the scheduler itself on a virtual clock, loads and answers taking their time; like LRU it puts nobody to
sleep by time. Residents are alike, and of varied sizes; the worse of the two is the figure, as the mean over seeds.
Belady's rule is optimal where all are alike; by bytes it is only a good one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from benchmarks.metric import Metric, Options

RESIDENTS, ROOM = 200, 6
CALLS = 12_000  # in a trace
RATE = 0.02  # calls a second, over all residents
SEEDS = (1, 2, 3)
SIZE, LOAD_S, ANSWER_S = 10**9, 8.0, 5.0
BOUNDS = {"loads_vs_lru_s10": (1.0, 0.9), "loads_vs_lru_s15": (1.5, 0.8)}


@dataclass(frozen=True, slots=True)
class Case:
    """One trace and how it is replayed. `variation` is the coefficient of variation of the gaps."""

    zipf: float
    varied: bool = False
    seed: int = 1
    rate: float = RATE
    variation: float = 2**0.5
    calls: int = CALLS
    sleeps: bool = False  # by time, as the settings' defaults have it


def measure(options: Options) -> list[Metric]:
    """Both metrics; seeds are fixed, so that they come out the same."""
    with ProcessPoolExecutor(options.workers) as pool:
        return [_metric(pool, name, zipf, high, options) for name, (zipf, high) in BOUNDS.items()]


def _metric(pool: ProcessPoolExecutor, name: str, zipf: float, high: float, options: Options) -> Metric:
    calls = options.of(CALLS, 1000)
    base = Case(zipf, calls=calls)
    of_seeds = [replace(base, varied=varied, seed=seed) for varied in (False, True) for seed in SEEDS]
    others = {
        "calls at random (variation 1)": replace(base, variation=1.0),
        "bursts (variation 2)": replace(base, variation=2.0),
        "five times the calls": replace(base, rate=5 * RATE),
        "asleep by time, as by default": replace(base, sleeps=True),
    }
    found = list(pool.map(run, [*of_seeds, *others.values()]))
    alike, varied = found[: len(SEEDS)], found[len(SEEDS) : 2 * len(SEEDS)]
    beside: dict[str, Any] = {
        "calls": sum(each["calls"] for each in alike + varied),
        "all alike": _of(alike),
        "varied sizes": _of(varied),
    }
    for other, each in zip(others, found[2 * len(SEEDS) :], strict=True):
        beside[other] = _of([each])
    return Metric(name, max(_mean(part, "loads", "lru") for part in (alike, varied)), high=high, beside=beside)


def run(case: Case) -> Mapping[str, float]:
    """What one trace comes to."""
    from emeritus.residency.decisions import HOST, Limits
    from emeritus.residency.simulation import replay as replayed
    from emeritus.residency.traces import Arrivals, equal, generate, varied

    residents = (varied if case.varied else equal)(RESIDENTS, SIZE, LOAD_S)
    arrivals = Arrivals(case.rate, case.calls / case.rate, case.zipf, case.variation, ANSWER_S, case.seed)
    trace = generate(residents, arrivals)
    sizes = {each.name: each.size for each in residents}
    names = [call.resident for call in trace.calls]
    budget = ROOM * SIZE
    longest_load_s = max(each.load_s for each in residents)
    limits = Limits({HOST: budget}, load_s=longest_load_s, close_s=0.0, answer_s=4 * ANSWER_S)
    if not case.sleeps:
        limits = replace(limits, idle_sleep_s=float("inf"), adaptive=False)
    ours = replayed(trace, limits)
    return {
        "calls": len(names),
        "loads": ours.loads,
        "load seconds": ours.load_s,
        "lru": lru(names, sizes, budget),
        "lru, six of any size": lru(names, dict.fromkeys(sizes, 1), ROOM),
        "belady": belady(names, sizes, budget),
        "wait p50": ours.wait(0.5),
        "wait p95": ours.wait(0.95),
        "wait max": ours.wait(1.0),
        "beyond the bound": sum(1 for _, wait in ours.waits if wait > ours.bound_s),
        "GB held": ours.held / max(trace.seconds, 1.0) / 1e9,
    }


def lru(names: Sequence[str], sizes: Mapping[str, int], budget: int) -> int:
    """Loads of least recently used, each call served before the next one comes."""
    kept: OrderedDict[str, int] = OrderedDict()
    loads = used = 0
    for name in names:
        if name in kept:
            kept.move_to_end(name)
            continue
        loads += 1
        while used + sizes[name] > budget:
            used -= kept.popitem(last=False)[1]
        kept[name] = sizes[name]
        used += sizes[name]
    return loads


def belady(names: Sequence[str], sizes: Mapping[str, int], budget: int) -> int:
    """Loads of who knows the future: those leave whose next call is furthest (Belady 1966)."""
    following = [len(names)] * len(names)
    seen: dict[str, int] = {}
    for place in range(len(names) - 1, -1, -1):
        following[place] = seen.get(names[place], len(names))
        seen[names[place]] = place
    kept: dict[str, int] = {}
    loads = used = 0
    for place, name in enumerate(names):
        if name not in kept:
            loads += 1
            used += sizes[name]
            while used > budget:
                furthest = max(kept, key=_next_call(kept))
                used -= sizes[furthest]
                del kept[furthest]
        kept[name] = following[place]
    return loads


def _next_call(kept: Mapping[str, int]) -> Callable[[str], int]:
    return lambda name: kept[name]


def _mean(found: Iterable[Mapping[str, float]], upper: str, lower: str) -> float:
    return mean(each[upper] / each[lower] for each in found)


def _of(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The ratios, and what callers felt."""
    ratios = {
        "over LRU": _mean(found, "loads", "lru"),
        "over LRU with six of any size": _mean(found, "loads", "lru, six of any size"),
        "Belady over LRU": _mean(found, "belady", "lru"),
    }
    plain = ("load seconds", "wait p50", "wait p95", "wait max", "beyond the bound", "GB held")
    return {
        **ratios,
        **{name: mean(each[name] for each in found) for name in plain},
        "seeds from": min(each["loads"] / each["lru"] for each in found),
        "seeds to": max(each["loads"] / each["lru"] for each in found),
    }
