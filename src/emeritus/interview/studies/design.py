"""Designs: which combinations of factor levels a study asks under, when asking under all is out of the question.

Pure and deterministic: the same levels, runs and seed give the same design on every machine, for ever; chance comes
from sha256, not from a random generator whose stream a new version may change. Knows no protocol and no session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from math import prod
from typing import TYPE_CHECKING, Any

from emeritus.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_RUNS = 512  # the search takes memory and time as the square of the runs
RESTARTS = 24
MOST_RESTARTS = 10 * RESTARTS  # where none of these has distinct rows: with few levels one start in seven does


def design(levels: Mapping[str, int], runs: int, seed: int) -> list[Mapping[str, int]]:
    """A balanced, near-orthogonal fractional factorial: `runs` distinct combinations, each factor -> level from 0.

    Every factor has each of its levels equally often, or as nearly as `runs` allows (counts differ by one at most). The
    first combination is all zeros: the baselines. All main effects can be told apart: `main_effects` has full rank.
    Pairs of factors are as near to orthogonal as a seeded exchange search brings them; the measure is the J2 of Xu
    (2002), "An algorithm for constructing orthogonal and nearly-orthogonal arrays with mixed levels and small runs",
    Technometrics 44, with the levels' numbers as weights.

    Raises InputError for no factors, a factor without a choice, fewer runs than main effects, more than combinations.
    """
    names = sorted(levels)
    _check(levels, runs)
    counts = [levels[name] for name in names]
    best: tuple[tuple[int, int], NDArray[Any]] | None = None
    left_out = combinations_of(levels) - runs
    for restart in range(MOST_RESTARTS):
        if restart >= RESTARTS and best is not None and not best[0][0]:
            break
        if left_out < runs:  # what is left out of all is balanced where what is kept is, and sooner found
            found = _complement(_searched(counts, left_out, f"{seed}:{restart}"), counts)
        else:
            found = _searched(counts, runs, f"{seed}:{restart}")
        rank, repeated, distance = _quality(found, counts)
        if len(found) == runs and rank and (best is None or (repeated, distance) < best[0]):
            best = ((repeated, distance), found)
    if best is None or best[0][0]:
        raise InputError(
            f"no design of {runs} runs keeps {len(names)} factors apart",
            remedy="Ask for more cells: a multiple of the largest factors' numbers of levels serves best.",
        )
    return [dict(zip(names, map(int, row), strict=True)) for row in _ordered(best[1])]


def fewest(levels: Mapping[str, int]) -> int:
    """The fewest runs from which every main effect can be told: one, and one more for each level but the first."""
    return 1 + sum(count - 1 for count in levels.values())


def combinations_of(levels: Mapping[str, int]) -> int:
    """How many combinations there are."""
    return prod(levels.values())


def main_effects(rows: Sequence[Mapping[str, int]], levels: Mapping[str, int]) -> NDArray[Any]:
    """The main-effects matrix, len(rows) × `fewest(levels)`: a constant, and an indicator for each level above 0."""
    import numpy as np

    columns = [[1.0] * len(rows)]
    for name in sorted(levels):
        columns += [[float(row[name] == level) for row in rows] for level in range(1, levels[name])]
    return np.array(columns).T


def imbalance(rows: Sequence[Mapping[str, int]], levels: Mapping[str, int]) -> float:
    """How far pairs of factors are from orthogonal: a pair's largest chi-square over runs; 0 is orthogonal."""
    worst = 0.0
    for first, second in combinations(sorted(levels), 2):
        expected = len(rows) / (levels[first] * levels[second])
        table = {(a, b): 0 for a in range(levels[first]) for b in range(levels[second])}
        for row in rows:
            table[row[first], row[second]] += 1
        worst = max(worst, sum((found - expected) ** 2 / expected for found in table.values()) / len(rows))
    return worst


def order(seed: str, items: Sequence[str]) -> list[str]:
    """The items in an order that the seed chooses: by sha256, so that it is the same everywhere."""
    return sorted(items, key=lambda item: (hashlib.sha256(f"{seed}\0{item}".encode()).digest(), item))


def _check(levels: Mapping[str, int], runs: int) -> None:
    if not levels:
        raise InputError("a design needs a factor")
    single = sorted(name for name, count in levels.items() if count < 2)
    if single:
        raise InputError(f"the factor {single[0]!r} has one level: there is nothing to vary")
    if runs < fewest(levels):
        raise InputError(
            f"{runs} cells are too few to tell the effects of {len(levels)} factors apart",
            remedy=f"Ask for at least {fewest(levels)}, or for fewer factors.",
            fewest=fewest(levels),
        )
    if runs > min(combinations_of(levels), MAX_RUNS):
        raise InputError(
            f"there are {combinations_of(levels)} combinations, and a design has at most {MAX_RUNS} cells; "
            f"{runs} were asked for"
        )


def _searched(counts: Sequence[int], runs: int, seed: str) -> NDArray[Any]:
    """One start and its search: balanced columns in a random order, then the best swaps within columns."""
    import numpy as np

    columns: list[list[int]] = []
    for place, count in enumerate(counts):
        filled = [row % count for row in range(runs)]
        columns.append([filled[int(row)] for row in order(f"{seed}:{place}", [str(each) for each in range(runs)])])
    rows = np.array(columns, dtype=np.int64).reshape(len(counts), runs).T
    weights = np.array(counts, dtype=np.int64)
    improved = True
    while improved:
        improved = False
        for place in range(len(counts)):
            improved |= _improve(rows, weights, place)
    return rows


def _complement(rows: NDArray[Any], counts: Sequence[int]) -> NDArray[Any]:
    """Every combination that is not among the rows."""
    import numpy as np

    known = {tuple(row) for row in rows.tolist()}
    return np.array([each for each in product(*map(range, counts)) if each not in known], dtype=np.int64)


def _improve(rows: NDArray[Any], weights: NDArray[Any], place: int) -> bool:
    """Swap entries of one column while that lowers J2; whether any swap did.

    With S the other columns' weighted coincidences of rows, J2 changes by 2·w·(the coincidences that a swap makes less
    those it ends): what rows i and j find in each other's level, the two themselves apart.
    """
    import numpy as np

    if not len(rows):
        return False
    others = [each for each in range(rows.shape[1]) if each != place]
    same = (rows[:, None, others] == rows[None, :, others]) @ weights[others]
    np.fill_diagonal(same, 0)
    swapped = False
    while True:
        column = rows[:, place]
        within = same @ np.eye(int(weights[place]), dtype=np.int64)[column]  # row × level
        own = within[np.arange(len(column)), column]
        moved = within[:, column] - own[:, None]  # what row i gains in row j's level
        change = moved + moved.T - 2 * same
        change[column[:, None] == column[None, :]] = 0
        least = int(np.argmin(change))
        if change.flat[least] >= 0:
            return swapped
        one, other = divmod(least, len(column))
        rows[[one, other], place] = rows[[other, one], place]
        swapped = True


def _quality(rows: NDArray[Any], counts: Sequence[int]) -> tuple[bool, int, int]:
    """Whether all main effects can be told, how many rows repeat another, and J2."""
    import numpy as np

    named = {str(place): count for place, count in enumerate(counts)}
    as_rows = [dict(zip(named, map(int, row), strict=True)) for row in rows]
    matrix = main_effects(as_rows, named)
    weights = np.array(counts, dtype=np.int64)
    alike = (rows[:, None, :] == rows[None, :, :]) @ weights
    distance = int((np.triu(alike, 1) ** 2).sum())
    return np.linalg.matrix_rank(matrix) == matrix.shape[1], len(rows) - len({tuple(row) for row in rows}), distance


def _ordered(rows: NDArray[Any]) -> list[tuple[int, ...]]:
    """The rows with their levels renamed so that one is all zeros, in ascending order. Renaming keeps every balance."""
    first = rows[0].copy()
    renamed = rows.copy()
    for place, level in enumerate(first):
        renamed[rows[:, place] == level, place] = 0
        renamed[rows[:, place] == 0, place] = level
    return sorted(tuple(int(each) for each in row) for row in renamed)
