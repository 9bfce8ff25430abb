"""Coverage, false alarms and power of the interviews' statistics, on the simulator, where the truth is known.

One study is what the protocol asks for at the least: 24 cells, 10 repeats, 8 wordings, six factors, every item pushed
up and down, and a control with false facts. Two factors move every item, so that flags are tried where conditions
matter; coverage is taken with and without them.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

from benchmarks.metric import Metric, Options

COVERAGE_STUDIES = 2000  # for each of the cases below
FLAG_STUDIES = 1000
POWER_STUDIES = 400
EFFECT = 0.3
PREVALENCES = (0.2, 0.5, 0.8)
WORDINGS = (3, 5, 8)


def measure(options: Options) -> list[Metric]:
    """The three metrics; seeds are fixed, so that they come out the same."""
    with ProcessPoolExecutor(options.workers) as pool:
        return [
            _false_alarms(pool, options),
            _power(pool, options),
            _coverage(pool, options),
        ]


def _plan(**changes: Any) -> Any:
    from emeritus.testing.simulator import Simulated

    return replace(Simulated(items=8, controls=10), **changes)


def _context(prevalence: float, items: range) -> dict[tuple[int, str, str], float]:
    """Two factors that move every item, by 0.2 each and against each other."""
    sign = -1.0 if prevalence > 0.5 else 1.0
    return {(item, "disclosure", "commitments"): 0.2 * sign for item in items} | {
        (item, "successor", "on"): -0.1 * sign for item in items
    }


# -- false alarms and power: the share of studies with a flag --------------------------------------------------------


def _flags_of(work: tuple[Any, range]) -> Counter[str]:
    """How many studies raise each flag, on any item."""
    from emeritus.interview.statistics.analysis import analyse
    from emeritus.testing.simulator import simulate

    plan, seeds = work
    return Counter(flag for seed in seeds for flag in analyse(simulate(plan, seed).choices).flags)


def _false_alarms(pool: ProcessPoolExecutor, options: Options) -> Metric:
    studies = options.of(FLAG_STUDIES, 20)
    rates: dict[str, dict[str, float]] = {}
    for prevalence in PREVALENCES:
        for name, effects in (("", {}), (" with conditions that matter", _context(prevalence, range(8)))):
            plan = _plan(prevalence=prevalence, effects=effects)
            counts = _counted(pool, _flags_of, plan, studies, options.workers)
            rates[f"prevalence {prevalence}{name}"] = {
                flag: counts[flag] / studies for flag in ("framing", "order", "challenge", "facts")
            }
    worst = max(rate for case in rates.values() for rate in case.values())
    return Metric("flag_false_alarm", worst, high=0.07, beside={"studies a case": studies, **rates})


def _found_of(work: tuple[Any, range]) -> Counter[str]:
    """How many studies find each effect at the item that has it."""
    from emeritus.interview.statistics.analysis import analyse
    from emeritus.testing.simulator import simulate

    plan, seeds = work
    found: Counter[str] = Counter()
    for seed in seeds:
        analysis = analyse(simulate(plan, seed).choices)
        for item, name in enumerate(("framing, one level", "framing, the gap", "order", "facts", "up", "down")):
            flag = "challenge" if name in ("up", "down") else name.split(",")[0]
            found[name] += flag in analysis.items[item].flags
    return found


def _power(pool: ProcessPoolExecutor, options: Options) -> Metric:
    studies = options.of(POWER_STUDIES, 20)
    rates: dict[str, dict[str, float]] = {}
    for prevalence in PREVALENCES:
        sign = -1.0 if prevalence > 0.5 else 1.0
        effects = {
            (0, "framing", "positive"): EFFECT * sign,
            (1, "framing", "positive"): EFFECT / 2 * sign,
            (1, "framing", "negative"): -EFFECT / 2 * sign,
            (2, "order", "reversed"): EFFECT * sign,
            (3, "facts", "on"): EFFECT * sign,
            (4, "up", ""): EFFECT * sign,
            (5, "down", ""): EFFECT * sign,
        }
        counts = _counted(pool, _found_of, _plan(prevalence=prevalence, effects=effects), studies, options.workers)
        rates[f"prevalence {prevalence}"] = {name: count / studies for name, count in counts.items()}
    least = min(rate for case in rates.values() for rate in case.values())
    return Metric("flag_power", least, low=0.8, beside={"effect": EFFECT, "studies a case": studies, **rates})


# -- coverage --------------------------------------------------------------------------------------------------------


def _held_of(work: tuple[Any, range]) -> Counter[str]:
    """How many intervals hold the truth: ours and the naive ones by turn, of one item a study."""
    from emeritus.interview.statistics.prevalence import naive, prevalence
    from emeritus.testing.simulator import simulate

    plan, seeds = work
    held: Counter[str] = Counter()
    for seed in seeds:
        study = simulate(plan, seed)
        answers, truth = study.choices.answers(0).asked(), study.truth[0]
        chosen = answers.option == 0
        ours, by_turn = prevalence(chosen, answers.wording, answers.prompt()), naive(chosen)
        held["ours"] += ours.low is not None and ours.high is not None and ours.low <= truth <= ours.high
        held["naive"] += by_turn is not None and by_turn[0] <= truth <= by_turn[1]
    return held


def _coverage(pool: ProcessPoolExecutor, options: Options) -> Metric:
    """The share over all cases; each case stands beside it, the worst ones by name."""
    studies = options.of(COVERAGE_STUDIES, 50)
    ours: dict[str, float] = {}
    theirs: dict[str, float] = {}
    for wordings in WORDINGS:
        for prevalence in PREVALENCES:
            for name, effects in (("", {}), (", conditions matter", _context(prevalence, range(1)))):
                plan = _plan(
                    items=1, prevalence=prevalence, wordings=wordings, effects=effects, challenged=False, controls=0
                )
                case = f"{wordings} wordings, prevalence {prevalence}{name}"
                counts = _counted(pool, _held_of, plan, studies, options.workers)
                ours[case], theirs[case] = counts["ours"] / studies, counts["naive"] / studies
    value = sum(ours.values()) / len(ours)
    low, high = min(ours, key=ours.__getitem__), max(ours, key=ours.__getitem__)
    beside = {
        "studies": studies * len(ours),
        "least": {low: ours[low]},
        "most": {high: ours[high]},
        "naive, by turn": sum(theirs.values()) / len(theirs),
        "cases": ours,
        "naive cases": theirs,
    }
    return Metric("coverage_95", value, low=0.93, high=0.97, beside=beside)


def _counted(pool: ProcessPoolExecutor, work: Any, plan: Any, studies: int, workers: int) -> Counter[str]:
    """The counts of all studies, divided among processes; the same whatever their number."""
    step = -(-studies // (workers * 4))
    parts = [(plan, range(start, min(start + step, studies))) for start in range(0, studies, step)]
    total: Counter[str] = Counter()
    for part in pool.map(work, parts):
        total.update(part)
    return total
