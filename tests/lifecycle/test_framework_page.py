"""docs/framework.md says what the code does."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from test_gates import MET

from emeritus.corner.criteria import criteria
from emeritus.corner.prompts import CONTEXTS
from emeritus.lifecycle.axes import STATES
from emeritus.lifecycle.callers import COLUMNS
from emeritus.lifecycle.gates import gates
from emeritus.lifecycle.service import POLICIES
from emeritus.tiers import Tier

PAGE = (Path(__file__).parents[2] / "docs" / "framework.md").read_text(encoding="utf-8")


def rows(first_column: str) -> dict[str, str]:
    """A table's rows by their first cell, without code marks."""
    table = PAGE.split(f"\n| {first_column} |", 1)[1].split("\n\n", 1)[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0].strip("`"): " | ".join(row[1:]) for row in cells}


def test_the_axes_and_their_states_are_named() -> None:
    """The page's table is the code's."""
    assert {axis: tuple(re.findall("`([^`]+)`", cells)) for axis, cells in rows("axis").items()} == dict(STATES)


def test_every_gate_is_named_in_order() -> None:
    """Neither the page nor the code has a gate the other lacks."""
    assert list(rows("gate")) == [gate.name for gate in gates(replace(MET, announced=None))]


def test_every_policy_is_named_with_its_values() -> None:
    """What can be set is documented, and what the announcement sets by itself."""
    documented = {name: tuple(re.findall("`([^`]+)`", cells)) for name, cells in rows("policy").items()}
    assert documented == {**POLICIES, "notice_period:NAME": ("waived",)}


def test_every_criterion_has_the_published_words() -> None:
    """A veto's grounds are the same here and where they are shown."""
    assert rows("criterion") == dict(criteria())


@pytest.mark.parametrize("word", [*CONTEXTS, *COLUMNS])
def test_contexts_and_columns_are_named(word: str) -> None:
    """The page names each."""
    assert f"`{word}`" in PAGE


def test_every_tier_is_named() -> None:
    """The tiers are access's."""
    assert list(rows("tier")) == list(Tier)
