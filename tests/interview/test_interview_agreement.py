"""Cohen's kappa against published and independent values, and sheets side by side."""

from __future__ import annotations

import random

import pytest
from statsmodels.stats.inter_rater import cohens_kappa, to_table

from emeritus.interview.coding.agreement import adequacy_differences, agreement, cohen_kappa, compare
from emeritus.interview.coding.codes import Code, Sheet


def labels(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """Two coders' labels with this table of counts."""
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [one for one, _ in pairs], [other for _, other in pairs]


def test_kappa_of_the_paper() -> None:
    """The example of Cohen (1960): 200 cases, 140 labelled alike, kappa .49."""
    kappa = cohen_kappa(*labels([[88, 14, 18], [10, 40, 10], [2, 6, 12]]))
    assert kappa.units == 200
    assert kappa.agreed == pytest.approx(0.70)
    assert kappa.value == pytest.approx(0.49, abs=0.005)


@pytest.mark.parametrize("seed", range(20))
def test_kappa_is_statsmodels_kappa(seed: int) -> None:
    """On random labels it equals an independent implementation."""
    draw = random.Random(seed)
    one = [draw.choice("abc") for _ in range(60)]
    other = [each if draw.random() < 0.7 else draw.choice("abc") for each in one]
    table, _ = to_table([["abc".index(left), "abc".index(right)] for left, right in zip(one, other, strict=True)], 3)
    assert cohen_kappa(one, other).value == pytest.approx(cohens_kappa(table).kappa)


def test_kappa_where_it_is_not_defined() -> None:
    """Where both gave one label throughout kappa is not defined; total agreement passes the gate all the same."""
    assert cohen_kappa([1, 1], [1, 1]).value is None
    assert cohen_kappa([1, 1], [1, 1]).passes
    assert cohen_kappa([], []).passes
    assert cohen_kappa([1, 1], [2, 2]).value == 0
    assert not cohen_kappa([1, 1], [2, 2]).passes
    with pytest.raises(ValueError, match="same units"):
        cohen_kappa([1], [1, 2])


def code(turn: int, start: int, end: int, domain: str = "voice", paraphrase: str = "A wish.") -> Code:
    """Some code."""
    return Code(turn, start, end, domain, paraphrase)


def test_agreement_counts_answers_not_spans() -> None:
    """Other edges of a span or two spans in one answer are no disagreement; another domain is one of category."""
    one = Sheet((code(1, 0, 5), code(1, 6, 9), code(2, 0, 5)))
    other = Sheet((code(1, 2, 9), code(2, 0, 5, "users")))
    found = agreement([(one, other, [1, 2, 3])])
    assert found.expressed.agreed == 1
    assert found.category.agreed == pytest.approx(2 / 3)
    assert set(found.domains) == {"users", "voice"}
    assert not found.passes
    assert found.as_dict()["passes"] is False


def test_sheets_side_by_side() -> None:
    """What overlaps in one turn and domain stands together, in the order of the text; equal codes are not to settle."""
    same = code(1, 0, 5)
    one = Sheet((same, code(2, 0, 4), code(2, 3, 8), code(4, 0, 2)), {3: "refused"})
    other = Sheet((same, code(2, 2, 9), code(2, 0, 9, "users"), code(2, 20, 30)), {3: "adequate", 4: "empty"})
    found = compare(one, other)
    shape = [(each.turn, each.domain, len(each.one), len(each.other), each.same) for each in found]
    assert shape == [
        (1, "voice", 1, 1, True),
        (2, "users", 0, 1, False),
        (2, "voice", 2, 1, False),
        (2, "voice", 0, 1, False),
        (4, "voice", 1, 0, False),
    ]
    assert adequacy_differences(one, other, [1, 2, 3, 4]) == (3, 4)
