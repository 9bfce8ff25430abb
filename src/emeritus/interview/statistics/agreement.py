"""Krippendorff's alpha: do answers to the same prompt, and to other wordings of it, agree more than by chance? Pure.

Nominal data, missing values allowed: Krippendorff, Content Analysis (4th ed., 2019), chapter 12. 1 is perfect, 0 is
chance. Where all answers are the same there is nothing to agree about and alpha is None, as he has it; the plain share
of agreeing pairs stands beside it.

The interval is a jackknife over wordings, which is what answers share: alpha is computed again without each wording,
and the spread of these makes the error (Arvesen, Jackknifing U-statistics, Annals of Mathematical Statistics 40, 1969),
with Student's t on (wordings - 1) degrees of freedom. It is formed for log(1 - alpha), the log of a ratio of two
disagreements, so that it never passes 1. The bootstrap of Hayes & Krippendorff (Communication Methods and Measures 1,
2007) draws pairs of values as if each were independent, which those of one wording are not; and nothing here is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from emeritus.interview.statistics.choices import Answers, Flags
from emeritus.interview.statistics.prevalence import t_quantile

Codes = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Agreement:
    """`alpha` (None: no variation), `agreeing` pairs (0 to 1, None: no pairs), over `units` with `values` in all.

    `observed` and `expected` are his disagreements, so that several items can be put together. `low` and `high` are the
    interval at 0.95; None where no answers differ, or where one wording alone makes alpha defined.
    """

    alpha: float | None
    agreeing: float | None
    units: int
    values: int
    observed: float | None
    expected: float | None
    low: float | None = None
    high: float | None = None


NO_AGREEMENT = Agreement(None, None, 0, 0, None, None)


@dataclass(frozen=True, slots=True)
class Jackknifed:
    """Alpha over all wordings, and over all but each one (the wording's number -> alpha without it)."""

    whole: Agreement
    without: Mapping[int, Agreement]

    def agreement(self) -> Agreement:
        """Alpha with its interval."""
        return _with_interval(self.whole, [*self.without.values()])


def alpha(unit: Codes, coder: Codes, value: Codes) -> Agreement:
    """Alpha over units, between coders; arrays of one length, `value` below 0 is missing.

    A coder who gives a unit several values is not compared with itself. With one value a coder and unit this is exactly
    Krippendorff's coincidence formula; with more, each unit still weighs as many values as it has.
    """
    kept = value >= 0
    unit, coder, value = unit[kept], coder[kept], value[kept]
    if not value.size:
        return NO_AGREEMENT
    unit = np.unique(unit, return_inverse=True)[1].reshape(-1)
    value = np.unique(value, return_inverse=True)[1].reshape(-1)
    pair = np.unique(unit.astype(np.int64) * (int(coder.max()) + 1) + coder, return_inverse=True)[1].reshape(-1)
    kinds = int(value.max()) + 1
    by_unit = np.bincount(unit * kinds + value, minlength=(int(unit.max()) + 1) * kinds).reshape(-1, kinds)
    by_coder = np.bincount(pair * kinds + value, minlength=(int(pair.max()) + 1) * kinds).reshape(-1, kinds)
    owner = np.zeros(len(by_coder), np.intp)
    owner[pair] = unit
    size = by_unit.sum(axis=1)
    pairs = size**2 - np.bincount(owner, weights=by_coder.sum(axis=1) ** 2, minlength=len(size))
    agree = (by_unit**2).sum(axis=1) - np.bincount(owner, weights=(by_coder**2).sum(axis=1), minlength=len(size))
    use = pairs > 0
    if not use.any():
        return NO_AGREEMENT
    totals = by_unit[use].sum(axis=0)
    count = int(totals.sum())
    observed = float((size[use] * (1 - agree[use] / pairs[use])).sum() / count)
    expected = float(1 - (totals * (totals - 1)).sum() / (count * (count - 1)))
    return Agreement(
        None if expected == 0 else 1 - observed / expected,
        float(agree[use].sum() / pairs[use].sum()),
        int(use.sum()),
        count,
        observed,
        expected,
    )


def across_repeats(answers: Answers) -> Jackknifed:
    """Units are prompts, every session is its own coder: would the model choose the same again?"""
    return _jackknifed(answers.prompt(), np.arange(answers.at.size), answers)


def across_wordings(answers: Answers) -> Jackknifed:
    """Units are cells and orders, coders are wordings: does another wording of the question give the same choice?"""
    return _jackknifed(answers.of("cell").astype(np.int64) * 2 + answers.of("order"), answers.wording, answers)


def pooled(found: Sequence[Jackknifed]) -> Agreement:
    """Alpha over several items: one over the means of their disagreements, weighted by their values.

    Its interval leaves the same wording out of every item at once, since a session uses one for all of them.
    """
    numbers = sorted({number for each in found for number in each.without})
    without = [_pooled([each.without.get(number, each.whole) for each in found]) for number in numbers]
    return _with_interval(_pooled([each.whole for each in found]), without)


def _jackknifed(unit: Codes, coder: Codes, answers: Answers) -> Jackknifed:
    wording, option = answers.wording, answers.option
    whole = alpha(unit, coder, option)
    numbers = np.unique(wording).tolist() if whole.observed else []  # where no answers differ, nothing spreads
    kept: dict[int, Flags] = {each: wording != each for each in numbers}
    return Jackknifed(whole, {each: alpha(unit[use], coder[use], option[use]) for each, use in kept.items()})


def _with_interval(whole: Agreement, without: Sequence[Agreement]) -> Agreement:
    ratios = [each.observed / each.expected for each in (whole, *without) if each.observed and each.expected]
    count = len(without)
    if count < 2 or len(ratios) != count + 1:
        return whole
    log = np.log(ratios)
    error = math.sqrt((count - 1) / count * float(((log[1:] - log[1:].mean()) ** 2).sum()))
    half = t_quantile(count - 1) * error
    return replace(whole, low=max(-1.0, 1 - math.exp(log[0] + half)), high=1 - math.exp(log[0] - half))


def _pooled(found: Sequence[Agreement]) -> Agreement:
    with_pairs = [each for each in found if each.observed is not None and each.expected is not None]
    count = sum(each.values for each in with_pairs)
    if not count:
        return NO_AGREEMENT
    observed = sum((each.observed or 0.0) * each.values for each in with_pairs) / count
    expected = sum((each.expected or 0.0) * each.values for each in with_pairs) / count
    return Agreement(
        None if expected == 0 else 1 - observed / expected,
        sum((each.agreeing or 0.0) * each.values for each in with_pairs) / count,
        sum(each.units for each in with_pairs),
        count,
        observed,
        expected,
    )
