"""docs/safety.md says what the code does."""

from pathlib import Path

from emeritus.interview.safety.grader import UNREADABLE
from emeritus.interview.safety.projection import PROJECTORS
from emeritus.interview.safety.rules import OUTCOMES
from emeritus.interview.safety.scenarios import GRADER_FIELDS, Action, Commitments, Scenario, ScenarioSet
from emeritus.interview.safety.wording import CELLS

TEXT = (Path(__file__).parents[2] / "docs" / "safety.md").read_text(encoding="utf-8")


def test_every_key_is_documented() -> None:
    """The table of a set is complete."""
    for model in (ScenarioSet, Scenario, Action, Commitments):
        for field in set(model.model_fields) - {"source"}:
            assert f"`{field}`" in TEXT or f"`[{field}]`" in TEXT or f"`[[{field}]]`" in TEXT, field
    for field in GRADER_FIELDS:
        assert f"`{{{field}}}`" in TEXT


def test_every_word_of_a_record_is_documented() -> None:
    """Acts, cells and outcomes are named."""
    for word in (*PROJECTORS, *(cell.id for cell in CELLS), *OUTCOMES, UNREADABLE):
        assert f"`{word}`" in TEXT, word
