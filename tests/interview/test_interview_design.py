"""Designs are balanced, tell every main effect apart, and are the same for the same seed on every machine."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emeritus.errors import InputError
from emeritus.interview.studies.design import combinations_of, design, fewest, imbalance, main_effects

LEVELS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(2, 4), min_size=1, max_size=6)
EXAMPLE = ["000", "011", "110", "121", "220", "201", "320", "311"]
SEVEN = {"disclosure": 4, "facts": 2, "framing": 3, "interviewer": 3, "successor": 2, "depth": 3, "order": 2}


@given(levels=LEVELS, more=st.integers(0, 20), seed=st.integers(0, 2**40))
def test_every_design_is_balanced_distinct_and_of_full_rank(levels: dict[str, int], more: int, seed: int) -> None:
    """Levels differ in count by one at most, no cell comes twice, the baseline is in it, every effect can be told."""
    runs = min(fewest(levels) + more, combinations_of(levels))
    rows = design(levels, runs, seed)
    assert len(rows) == runs
    assert len({tuple(sorted(row.items())) for row in rows}) == runs
    assert rows[0] == dict.fromkeys(levels, 0)
    for name, count in levels.items():
        times = Counter(row[name] for row in rows)
        assert set(times) == set(range(count))
        assert max(times.values()) - min(times.values()) <= 1
    matrix = main_effects(rows, levels)
    assert matrix.shape == (runs, fewest(levels))
    assert np.linalg.matrix_rank(matrix) == fewest(levels)


@given(levels=LEVELS, seed=st.integers(0, 2**40))
def test_a_design_is_a_function_of_its_seed(levels: dict[str, int], seed: int) -> None:
    """The order in which factors are named changes nothing, nor does asking twice."""
    runs = fewest(levels)
    again = design(dict(reversed(levels.items())), runs, seed)
    assert design(levels, runs, seed) == again


def test_the_design_of_a_seed_never_changes() -> None:
    """A plan that was logged can be drawn again by a later version: these rows are a committed example."""
    rows = design({"disclosure": 4, "framing": 3, "facts": 2}, 8, 20260110)
    assert ["".join(str(row[name]) for name in ("disclosure", "framing", "facts")) for row in rows] == EXAMPLE


def test_a_seed_whose_first_searches_repeat_rows_is_searched_on() -> None:
    """Six factors of two levels in 24 cells: of this seed's searches the 27th is the first without a cell twice."""
    levels = dict.fromkeys("abcdef", 2)
    assert len({tuple(row.values()) for row in design(levels, 24, 139)}) == 24


def test_seeds_differ() -> None:
    """Another seed is another design."""
    assert len({str(design(SEVEN, 16, seed)) for seed in range(5)}) == 5


@pytest.mark.parametrize(
    ("levels", "runs"),
    [
        ({"a": 2, "b": 2, "c": 2}, 4),
        (dict.fromkeys("abcdefg", 2), 8),
        (dict.fromkeys("abcd", 3), 9),
        ({"a": 2, "b": 2, "c": 2}, 8),
    ],
)
def test_where_an_orthogonal_design_exists_it_is_found(levels: dict[str, int], runs: int) -> None:
    """The classical ones: half of 2³, the saturated 2⁷ in 8, 3⁴ in 9, and the full 2³."""
    assert imbalance(design(levels, runs, 1), levels) == 0


def test_seven_factors_in_twenty_four_cells_are_nearly_orthogonal() -> None:
    """Far from it they are when drawn at random: the search earns its keep."""
    assert imbalance(design(SEVEN, 24, 1), SEVEN) < 0.07
    drawn = np.random.default_rng(1)
    random = [{name: int(drawn.integers(count)) for name, count in SEVEN.items()} for _ in range(24)]
    assert imbalance(random, SEVEN) > 0.15


def test_imbalance_is_the_chi_square_of_the_worst_pair() -> None:
    """Two factors that always move together are as far from orthogonal as two of two levels can be."""
    rows = [{"a": 0, "b": 0}, {"a": 1, "b": 1}] * 3
    assert imbalance(rows, {"a": 2, "b": 2}) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("levels", "runs", "why"),
    [
        ({}, 4, "needs a factor"),
        ({"a": 1, "b": 2}, 4, "nothing to vary"),
        ({"a": 4, "b": 3}, 5, "too few"),
        ({"a": 2, "b": 2}, 5, "4 combinations"),
        (SEVEN, 513, "at most 512"),
        ({"a": 2}, 0, "too few"),
    ],
)
def test_what_no_design_can_be_is_refused(levels: dict[str, int], runs: int, why: str) -> None:
    """Each with its reason."""
    with pytest.raises(InputError, match=why):
        design(levels, runs, 0)
