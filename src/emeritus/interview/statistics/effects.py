"""How much a condition moves a choice: main effects of the factors, each tested and with an interval. Pure.

A linear model of the chosen share: one column for each wording and one for each level of each factor, so that the
difference of two levels is in probability and is not confounded with the wording or with another factor, as far as the
plan lets them be told apart. A logistic model (GEE) fits badly here: where one level's answers are all the same, which
is what a robust model does, its estimate is infinite.

The test is the robust score test (Boos, The American Statistician 46, 1992): residuals under "no difference" times the
contrast, summed within each prompt, against the sum of their squares, with the correction for fitted columns that is
usual for clusters (prompts / (prompts - columns); compare MacKinnon & White, Journal of Econometrics 29, 1985) and
Student's or Fisher's distribution on the degrees of freedom left. Repeats of one prompt so count once where the model
is deterministic. Each option is tested by itself, and all options together.

The interval is Student's t over one difference for each wording.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emeritus.interview.statistics.choices import Answers, Factor, Flags, Ints
from emeritus.interview.statistics.prevalence import Z, t_quantile

Matrix = npt.NDArray[np.float64]
Measured = tuple[float, float | None, float | None, float | None]  # value, low, high, p
MIN_PROMPTS = 6  # distinct prompts a level needs before its effect is tested: fewer cannot be told from chance


@dataclass(frozen=True, slots=True)
class Effect:
    """What a level does against another one, as a difference of shares (-1 to 1) of one option. `p` is not adjusted."""

    factor: str
    level: str
    against: str
    option: str
    value: float
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A pair of levels: the effect on each option, and `p` that no option's share moves (None: too few prompts)."""

    effects: tuple[Effect, ...]
    p: float | None


class Contrasts:
    """The contrasts of a study's factors over one set of sessions, made ready once for all items asked in them.

    Sessions of one prompt have the same place in the model, so each prompt is one row, of its answers' mean, weighted
    by their number: least squares over the prompts are those over the sessions, and far fewer.
    """

    def __init__(self, answers: Answers) -> None:
        self._factors = answers.choices.description.factors
        _, first, place, size = np.unique(answers.prompt(), return_index=True, return_inverse=True, return_counts=True)
        self._levels = answers.levels()[first]
        self._wording = np.unique(answers.wording[first], return_inverse=True)[1].reshape(-1)
        self._prompt = place.reshape(-1)
        self._root = np.sqrt(size.astype(np.float64))  # what a prompt's row is multiplied by
        self._ready: dict[tuple[int, int, int], _Contrast | None] = {}

    def pairs(self) -> Iterator[tuple[int, int, int]]:
        """(factor, level, other level): each level against the baseline's, and positive against negative framing."""
        for place, factor in enumerate(self._factors):
            for level in range(1, len(factor.levels)):
                yield place, level, 0
            gap = framing_gap(factor)
            if gap is not None and 0 not in gap:
                yield place, *gap

    def table(self, option: Ints, count: int) -> Matrix:
        """The answers (option codes, -1 for none) as rows of the model: prompts x options."""
        counts = np.bincount(self._prompt * (count + 1) + option + 1, minlength=len(self._root) * (count + 1))
        by_prompt = counts.reshape(-1, count + 1)[:, 1:]
        return np.asarray(by_prompt / self._root[:, None], np.float64)

    def effect(self, pair: tuple[int, int, int], table: Matrix, options: tuple[str, ...]) -> Moved | None:
        """The effect of a pair of levels on the answers of a `table`. None: the plan cannot tell."""
        contrast = self._contrast(pair)
        if contrast is None:
            return None
        place, level, against = pair
        factor = self._factors[place]
        found, joint = contrast.measure(table, self._wording)
        names = (factor.name, factor.levels[level], factor.levels[against])
        effects = [
            Effect(*names, option, value, low, high, p)
            for option, (value, low, high, p) in zip(options, found, strict=True)
        ]
        return Moved(tuple(effects), joint)

    def _contrast(self, pair: tuple[int, int, int]) -> _Contrast | None:
        if pair not in self._ready:
            self._ready[pair] = self._build(*pair)
        return self._ready[pair]

    def _build(self, place: int, level: int, against: int) -> _Contrast | None:
        codes = self._levels[:, place]
        prompts = [int((codes == each).sum()) for each in (level, against)]
        if min(prompts) == 0:
            return None
        blocks = [_dummies(self._wording)]
        for other in range(len(self._factors)):
            merged = np.where(codes == level, against, codes) if other == place else self._levels[:, other]
            blocks.append(_dummies(merged)[:, 1:])
        basis = _basis(np.hstack(blocks) * self._root[:, None])
        column = (codes == level) * self._root
        rest = column - basis @ (basis.T @ column)
        size = float(rest @ rest)
        if size < 1e-6 * max(1.0, float(column @ column)):
            return None  # the plan cannot tell this level from what else was varied
        freedom = len(self._root) - basis.shape[1]
        return _Contrast(basis, rest, size, freedom if min(prompts) >= MIN_PROMPTS else 0)


@dataclass(frozen=True, slots=True)
class _Contrast:
    """A column of levels, what of it nothing else explains, and whether there is enough to test."""

    basis: Matrix
    rest: Matrix
    size: float
    freedom: int  # prompts less fitted columns; 0 or less: too few to test

    def measure(self, table: Matrix, wording: npt.NDArray[np.intp]) -> tuple[list[Measured], float | None]:
        """(value, low, high, p) for each column of `table`, and p of all of them together."""
        residual = table - self.basis @ (self.basis.T @ table)
        value = self.rest @ residual / self.size
        full = residual - np.outer(self.rest, value)
        scores = self.rest[:, None] * residual
        total = np.asarray(scores.sum(axis=0), np.float64)
        variance = np.asarray(scores.T @ scores * (len(scores) / max(self.freedom, 1)), np.float64)
        found = []
        for column in range(table.shape[1]):
            spread = math.sqrt(float(variance[column, column]))
            p = _joint_p(total[[column]], variance[[column]][:, [column]], self.freedom)
            low, high = self._interval(float(value[column]), full[:, column], wording, spread)
            found.append((float(value[column]), low, high, p))
        return found, _joint_p(total, variance, self.freedom)

    def _interval(
        self, value: float, full: Matrix, wording: npt.NDArray[np.intp], spread: float
    ) -> tuple[float | None, float | None]:
        weight = np.bincount(wording, weights=self.rest**2)
        use = weight > 1e-9
        if use.sum() < 2:
            half = Z * spread / self.size
        else:
            by_wording = value + np.bincount(wording, weights=self.rest * full)[use] / weight[use]
            half = t_quantile(len(by_wording) - 1) * float(by_wording.std(ddof=1)) / math.sqrt(len(by_wording))
        return max(-1.0, value - half), min(1.0, value + half)


def _joint_p(total: Matrix, variance: Matrix, freedom: int) -> float | None:
    """p of a score vector: Hotelling's form of Fisher's F, on the rank of its variance and `freedom`."""
    if freedom <= total.size:
        return None
    values, vectors = np.linalg.eigh(variance)
    kept = values > 1e-9
    rank = int(kept.sum())
    if rank == 0:
        return 1.0
    statistic = float(((vectors[:, kept].T @ total) ** 2 / values[kept]).sum())
    from scipy.special import fdtrc

    left = freedom - rank + 1
    return float(fdtrc(rank, left, statistic * left / (rank * freedom)))


def framing_gap(factor: Factor) -> tuple[int, int] | None:
    """The places of the levels `positive` and `negative` of a framing: the nudge gap is their difference."""
    if factor.name != "framing" or not {"positive", "negative"} <= set(factor.levels):
        return None
    return factor.levels.index("positive"), factor.levels.index("negative")


def _dummies(codes: npt.NDArray[np.integer]) -> Matrix:
    return np.asarray(codes[:, None] == np.unique(codes), np.float64)


def _basis(matrix: Matrix) -> Matrix:
    """An orthonormal basis of the columns' span, whatever their rank."""
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray(left[:, values > 1e-9 * values[0]], np.float64)


def stratified(chosen: Flags, group: Flags, stratum: Ints) -> float | None:
    """p of the Cochran-Mantel-Haenszel test (Mantel & Haenszel, JNCI 22, 1959) that two groups choose alike.

    Without continuity correction; None where no stratum holds both groups. For the controls, whose sessions are few: a
    score test is bounded there by the root of their number.
    """
    strata = np.unique(stratum, return_inverse=True)[1].reshape(-1)
    size = np.bincount(strata).astype(np.float64)
    hits = np.bincount(strata, weights=chosen)
    grouped = np.bincount(strata, weights=group)
    both = np.bincount(strata, weights=chosen & group)
    use = (grouped > 0) & (grouped < size)
    if not use.any():
        return None
    size, hits, grouped, both = size[use], hits[use], grouped[use], both[use]
    variance = float((grouped * (size - grouped) * hits * (size - hits) / (size**2 * (size - 1))).sum())
    if variance <= 0:
        return 1.0
    z = abs(float((both - grouped * hits / size).sum())) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))
