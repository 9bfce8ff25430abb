"""Calibration gathered from a resident that answers: draws of the null, draws of small changes, repeated answers.

The changes are made by the engine in memory, in a copy; the vault and its files have no part in it. Bounded in time:
after the least that a null needs, the draws are taken in an order in which every kind has its share at any moment, and
stop when the time is up. What the numbers mean is `calibration`'s; knows no table.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

from emeritus.engines.base import Awake, Damage, Perturbable, Perturbation, Scored
from emeritus.preservation import behaviour, calibration
from emeritus.preservation.behaviour import Difference, Probes, difference
from emeritus.preservation.calibration import Noticed, Threshold
from emeritus.preservation.keeper import Progress

Json = dict[str, Any]
NULL: tuple[Damage, float] = ("rounding", calibration.ROUNDING)
# What is drawn how often. noise at 1e-6 and 1e-5 shows where the power ends, the others that it is there.
PLAN: dict[tuple[Damage, float], int] = {
    NULL: 30,
    ("noise", 1e-6): 8,
    ("noise", 1e-5): 8,
    ("noise", 1e-4): 8,
    ("noise", 1e-3): 8,
    ("noise", 1e-2): 8,
    ("zero", 0.0): 12,
    ("int8", 0.0): 1,
    ("flip", 0.0): 30,
}
LEAST_NULL = 6  # draws of the null that are taken first, however long they last
REPEATS = 2  # times each prompt is asked again where nothing can be scored


@dataclass(frozen=True, slots=True)
class Gathering:
    """How long the draws may take, in seconds, and who is told how far they are."""

    budget_s: float = 120.0
    progress: Progress | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class _Draws:
    """By kind and size: the difference from each of the two references; None: not a finite number."""

    own: dict[tuple[Damage, float], list[Difference | None]] = field(default_factory=lambda: defaultdict(list))
    other: dict[tuple[Damage, float], list[Difference | None]] = field(default_factory=lambda: defaultdict(list))


async def calibrate(awake: Awake, own: Json, other: Json | None, gathering: Gathering) -> Json | None:
    """The calibration of a resident's drills, as `calibration.FORMAT` has it.

    `own` is the reference of the configuration that answers, `other` that of the second one. None where the engine
    scores, but can neither score changed weights nor was captured twice: then there is no null.
    """
    if own["method"] == "greedy":
        return await _by_answers(awake, own, other, gathering)
    comparable = other is not None and behaviour.compare(own, other).difference is not None
    second = other if comparable else None
    observed = None if second is None else behaviour.compare(own, second).difference
    began, draws = gathering.clock(), _Draws()
    if awake.can.perturb:
        await _draw(awake, (own, second), draws, gathering)
        null = [each for each in draws.own[NULL] if each is not None]
        source = "rounding"
    elif second is not None:
        null, source = calibration.resampled(_apart(own, second)), "texts"
    else:
        return None
    if len(null) < LEAST_NULL:
        return None  # numbers that rounding makes infinite have no null
    bound = calibration.threshold(null, observed)
    kinds = [kind for kind in PLAN if kind != NULL and draws.own[kind]]
    return {
        "format": calibration.FORMAT,
        "method": "score",
        "probes_sha256": own["probes_sha256"],
        "weights_digest": own["build"]["weights_digest"],
        "false_alarm_rate": calibration.ALPHA,
        "margin": calibration.MARGIN,
        "threshold": {"mean": bound.mean, "largest": bound.largest},
        "tolerance": calibration.TOLERANCE,
        "null": {
            "source": source,
            "draws": len(null),
            "means": [each.mean for each in null],
            "largests": [each.largest for each in null],
            "between_configurations": None if observed is None else observed.as_dict(),
        },
        "power": [_noticed(kind, draws, bound, second is not None).as_dict() for kind in kinds],
        "complete": not awake.can.perturb or all(len(draws.own[kind]) == count for kind, count in PLAN.items()),
        "seconds": round(gathering.clock() - began, 3),
    }


async def _draw(awake: Awake, references: tuple[Json, Json | None], draws: _Draws, gathering: Gathering) -> None:
    probed: Probes = behaviour.probes()
    planned = list(order())
    perturbable = cast(Perturbable, awake)
    until = gathering.clock() + gathering.budget_s
    async with aclosing(perturbable.perturbed(list(probed.texts.values()), planned)) as found:
        async for at, (change, scores) in _numbered(planned, found):
            kind = (change.kind, change.size)
            draws.own[kind].append(_distance(references[0], probed, scores))
            if references[1] is not None:
                draws.other[kind].append(_distance(references[1], probed, scores))
            if gathering.progress is not None:
                gathering.progress("calibrate drills", at + 1, len(planned))
            if at + 1 >= LEAST_NULL and gathering.clock() >= until:
                return


def order() -> Iterator[Perturbation]:
    """Every draw of the plan: the least of the null, then so that each kind is always as far along as the others."""
    draws = [(index / count, kind, index) for kind, count in PLAN.items() for index in range(count)]
    first = [each for each in draws if each[1] == NULL][:LEAST_NULL]
    rest = sorted((each for each in draws if each not in first), key=lambda each: each[0])
    for _, kind, index in first + rest:
        yield Perturbation(*kind, seed=index)


async def _numbered(
    planned: Sequence[Perturbation], found: AsyncIterator[list[Scored]]
) -> AsyncIterator[tuple[int, tuple[Perturbation, list[Scored]]]]:
    at = 0
    async for scores in found:
        yield at, (planned[at], scores)
        at += 1


def _distance(reference: Json, probed: Probes, scores: Sequence[Scored]) -> Difference | None:
    pairs = zip(probed.texts, scores, strict=True)
    return difference([(reference["scored"][key]["logprobs"], each.logprobs) for key, each in pairs])


def _apart(own: Json, other: Json) -> list[list[float]]:
    """The absolute differences between two captures, text by text."""
    texts = own["scored"]
    return [
        [abs(a - b) for a, b in zip(texts[key]["logprobs"], other["scored"][key]["logprobs"], strict=True)]
        for key in texts
    ]


def _noticed(kind: tuple[Damage, float], draws: _Draws, bound: Threshold, second: bool) -> Noticed:
    """The changed weights against the other configuration's reference, where there is one, and against their own."""
    own = draws.own[kind]
    other = draws.other[kind] if second else own
    means = sorted(float("inf") if each is None else each.mean for each in own)
    median = statistics.median(means)
    return Noticed(
        kind[0],
        kind[1],
        len(own),
        sum(not bound.holds(each) for each in other),
        sum(each is None or (each.largest > calibration.TOLERANCE and not bound.holds(each)) for each in own),
        None if median == float("inf") else median,
    )


async def _by_answers(awake: Awake, own: Json, other: Json | None, gathering: Gathering) -> Json:
    """Ask every prompt again, a few times: how often is an answer not repeated?"""
    began, probed = gathering.clock(), behaviour.probes()
    repeats = unequal = 0
    asked = Probes(probed.sha256, {}, probed.chats)
    for at in range(REPEATS):
        found = behaviour.compare(own, await behaviour.answers(awake, asked))
        repeats, unequal = repeats + found.answers, unequal + found.answers - found.answers_equal
        if gathering.progress is not None:
            gathering.progress("calibrate drills", at + 1, REPEATS)
    if other is not None:
        found = behaviour.compare(own, other)
        repeats, unequal = repeats + found.answers, unequal + found.answers - found.answers_equal
    return {
        "format": calibration.FORMAT,
        "method": "answers",
        "probes_sha256": own["probes_sha256"],
        "weights_digest": own["build"]["weights_digest"],
        "false_alarm_rate": calibration.ALPHA,
        "threshold": {"unequal_answers": calibration.unequal_answers(repeats, unequal, len(probed.chats))},
        "null": {"source": "repeated answers", "repeats": repeats, "unequal": unequal},
        "power": [],
        "complete": True,
        "seconds": round(gathering.clock() - began, 3),
    }
