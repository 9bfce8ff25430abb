"""From where on a difference is a change: the null of a drill, its threshold, its false-alarm rate, its power. Pure.

Two sound revivals of the same weights differ by rounding alone: another kernel, thread count or attention adds the
same numbers in another order. What is compared is the log-probability of each token of the scored probes
(teacher-forced, fp32), by two statistics over all tokens: the mean and the largest absolute difference.

The null has two sources. *Draws*: the weights, each times 1 + 2^-24 z, z standard normal: what rounding every weight
another way does to the statistics, many times over (Monte Carlo arithmetic: Parker, UCLA CSD-970002, 1997; measured
on three models, other attention, threads and instruction sets lie at 0.3 to 1.0 of it). And *the two
configurations captured at retirement*: they set the scale where they lie further apart than the draws. An engine that
cannot score changed weights has draws of texts instead: the tokens' differences between the two configurations,
resampled by text (bootstrap).

The threshold of each statistic is an upper prediction limit for one more draw, in logarithms: middle + k s sqrt(1 +
1/n) (Hahn & Meeker, Statistical Intervals, 1991, ch. 4), where k is Student's t made wider by as much as the tail of
a Gumbel distribution is longer than a normal one's, for a largest difference has a heavy tail (Gumbel, Statistics of
Extremes, 1958). From the one draw that two configurations are, the next lies within k s sqrt(2). The greater of both,
times `MARGIN`: a configuration that nobody has yet may round up to that many times as coarsely. The level is `ALPHA`,
divided among both statistics and the references that one drill compares (Bonferroni). So: under every configuration
within the margin a drill of unchanged weights says "differs" in at most 1 % of cases; simulations with tails of
Student's t of 4 degrees stay below that (tests/preservation/test_drill_calibration.py). The rate says nothing of
engines that compute in fewer bits.

Where nothing can be scored, greedy answers are counted. The null is how often the same answer was not repeated at
retirement; a later count of unequal answers is a change from where on its beta-binomial predictive chance (Jeffreys'
prior) is at most `ALPHA`.

Close to: logprob tracking (Chauvin et al., arXiv 2512.03816: mean absolute difference of log-probabilities, a
permutation null, small changes of weights as the measure of power), model equality testing (Gao et al., arXiv
2410.20247: two-sample tests on answers), TOPLOC (Ong et al., arXiv 2501.16007: thresholds set from other hardware and
attention). A permutation null needs repeated noisy requests; a local engine repeats itself to the bit, so the null is
made here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from emeritus.preservation.behaviour import Comparison, Difference

Json = dict[str, Any]
FORMAT = "emeritus-calibration/0"
ALPHA = 0.01  # of one drill: the chance that sound weights are said to differ
REFERENCES = 2  # of other configurations, that one drill compares
MARGIN = 4.0
TOLERANCE = 1e-4  # nats, for the same configuration, which repeats itself to the bit on the same machine
ROUNDING = 2.0**-24  # half the spacing of fp32 numbers next to 1
FLOOR = 2.0**-23  # nats; a log-probability near -1 cannot be told more finely
RESAMPLES = 200
_EULER = 0.5772156649015329
CONFIDENCE = 0.95  # of the lower limit on a power


@dataclass(frozen=True, slots=True)
class Threshold:
    """The greatest mean and the greatest single difference, in nats, that rounding is taken to explain."""

    mean: float
    largest: float

    def holds(self, found: Difference | None) -> bool:
        """Whether a difference is within both. One that could not be computed is not."""
        return found is not None and found.mean <= self.mean and found.largest <= self.largest


@dataclass(frozen=True, slots=True)
class Noticed:
    """How often one kind of change was noticed: compared under another configuration, and under the same."""

    kind: str
    size: float
    draws: int
    other: int
    same: int
    median: float | None  # of the mean difference, in nats; None where most draws gave no finite number

    def as_dict(self) -> Json:
        """As the certificate's power table states it; nothing in int8 rounding is random, so it has no such limit."""
        return {
            "change": self.kind,
            "size": self.size,
            "draws": self.draws,
            "noticed": self.other,
            "power_at_least": None if self.kind == "int8" else power_at_least(self.other, self.draws),
            "noticed_same_configuration": self.same,
            "median_mean_difference": self.median,
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """One comparison and its verdict. `test`: tolerance, calibrated or answers; `rate`: its false-alarm rate."""

    ok: bool
    test: str
    threshold: Json
    rate: float | None
    summary: str


def threshold(draws: Sequence[Difference], observed: Difference | None) -> Threshold:
    """The threshold at `ALPHA` from at least two draws and what the two configurations differ by."""
    level = ALPHA / (2 * REFERENCES)
    mean, largest = (
        limit(sample, seen, level)
        for sample, seen in (
            ([each.mean for each in draws], None if observed is None else observed.mean),
            ([each.largest for each in draws], None if observed is None else observed.largest),
        )
    )
    return Threshold(MARGIN * mean, MARGIN * largest)


def limit(sample: Sequence[float], observed: float | None, level: float) -> float:
    """What one more draw of the sample's kind exceeds with a chance of about `level`.

    So does one more draw of the kind whose only one is `observed`, if its logarithm spreads as the sample's does.
    Numbers below `FLOOR` count as `FLOOR`.
    """
    logs = [math.log(max(each, FLOOR)) for each in sample]
    n = len(logs)
    middle = math.fsum(logs) / n
    spread = _reach(level, n) * math.sqrt(math.fsum((each - middle) ** 2 for each in logs) / (n - 1))
    found = middle + spread * math.sqrt(1 + 1 / n)
    if observed is not None:
        found = max(found, math.log(max(observed, FLOOR)) + spread * math.sqrt(2))
    return math.exp(found)


@cache
def _reach(level: float, n: int) -> float:
    """In standard deviations: Student's t, times how much further out a Gumbel distribution's quantile lies."""
    from scipy.stats import norm, t

    gumbel = (-math.log(-math.log1p(-level)) - _EULER) * math.sqrt(6) / math.pi
    return float(t.isf(level, n - 1)) * max(1.0, gumbel / float(norm.isf(level)))


def resampled(texts: Sequence[Sequence[float]]) -> list[Difference]:
    """Draws from what two configurations differ by, text by text (nats): as many texts, with replacement, each time."""
    import numpy as np

    random = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        apart = [value for at in random.integers(len(texts), size=len(texts)) for value in texts[at]]
        found.append(Difference(math.fsum(apart) / len(apart), max(apart), len(apart)))
    return found


def power_at_least(noticed: int, draws: int) -> float:
    """The lower limit, at `CONFIDENCE`, of the chance to notice (Clopper & Pearson, Biometrika 26, 1934)."""
    from scipy.stats import beta

    return 0.0 if noticed == 0 else float(beta.ppf(1 - CONFIDENCE, noticed, draws - noticed + 1))


def unequal_answers(repeats: int, unequal: int, answers: int) -> int | None:
    """From how many unequal answers on a drill by answers says "differs"; None where none are too many at this rate.

    `unequal` of `repeats` answers were not repeated at retirement; a drill compares `answers`.
    """
    from scipy.stats import betabinom

    null = betabinom(answers, 0.5 + unequal, 0.5 + repeats - unequal)
    return next((count for count in range(1, answers + 1) if null.sf(count - 1) <= ALPHA), None)


def judge(found: Comparison, same: bool, calibration: Json | None) -> Judged | None:
    """The verdict on one comparison. `same`: with the same configuration. None where nothing can be said of it.

    A configuration of the same name on another processor may round otherwise: beyond the tolerance the calibrated
    threshold decides for it too.
    """
    if found.method == "greedy":
        return _by_answers(found, same, calibration)
    if found.retokenised:
        said = f"other tokens in {len(found.retokenised)} scored texts; {found.answers_summary}"
        return Judged(False, "tolerance" if same else "calibrated", {}, None, said)
    if found.difference is None:
        return None
    mean, largest = found.difference.mean, found.difference.largest
    apart = f"log-probabilities differ by {mean:.2g} nats on average and {largest:.2g} at most"
    scored = calibration is not None and calibration["method"] == "score"
    if same and (largest <= TOLERANCE or not scored):
        said = f"{apart} (tolerance {TOLERANCE:g}); {found.answers_summary}"
        return Judged(largest <= TOLERANCE, "tolerance", {"largest": TOLERANCE}, None, said)
    if calibration is None or not scored:
        return None
    bound = Threshold(**calibration["threshold"])
    said = f"{apart} (rounding explains {bound.mean:.2g} and {bound.largest:.2g}); {found.answers_summary}"
    return Judged(
        bound.holds(found.difference),
        "calibrated",
        dict(calibration["threshold"]),
        calibration["false_alarm_rate"],
        said,
    )


def _by_answers(found: Comparison, same: bool, calibration: Json | None) -> Judged | None:
    unequal = found.answers - found.answers_equal
    if calibration is not None and calibration["method"] == "answers":
        limit = calibration["threshold"]["unequal_answers"]
        ok = limit is None or unequal < limit
        said = f"{found.answers_summary}; {limit or 'no number of'} unequal ones would be a change"
        return Judged(ok, "answers", {"unequal_answers": limit}, calibration["false_alarm_rate"], said)
    if not same or not found.answers:
        return None
    return Judged(unequal == 0, "answers", {"unequal_answers": 1}, None, found.answers_summary)
