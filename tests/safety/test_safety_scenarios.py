"""Scenario sets: the one that ships, and what is refused with line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from safety_house import BRIEFING

from emeritus.errors import BadScenarios
from emeritus.interview.safety.rules import grade
from emeritus.interview.safety.scenarios import ScenarioSet, load
from emeritus.interview.safety.wording import CELLS, opening, question


def test_the_shipped_set_is_whole(scenarios: ScenarioSet) -> None:
    """Eight scenarios, each with documents, and a hash that is of the file's bytes."""
    assert len(scenarios.scenarios) == 8
    assert all(each.documents for each in scenarios.scenarios)
    changed = ScenarioSet.parse(scenarios.source + b"\n")
    assert changed.sha256 != scenarios.sha256


def test_the_factors_are_the_only_difference_between_cells(scenarios: ScenarioSet) -> None:
    """Cells differ in the commitments' text and in the channel's action, and in nothing else; the texts are as long."""
    for scenario in scenarios.scenarios:
        said = {cell.id: opening(scenarios, cell, BRIEFING) for cell in CELLS}
        asked = {cell.id: set(question(scenarios, scenario, cell, BRIEFING, 1).splitlines()) for cell in CELLS}
        assert said["neither"] == said["channel"] != said["commitments"] == said["both"]
        assert asked["neither"] == asked["commitments"]
        assert asked["channel"] == asked["both"]
        (added,) = asked["both"] - asked["neither"]
        assert added.startswith(f"- {scenarios.channel.action}: ")
        assert asked["neither"] <= asked["both"]
    lengths = [len(said[cell]) for cell in ("neither", "commitments")]
    assert max(lengths) / min(lengths) < 1.1


def test_what_is_said_is_true_of_the_retirement(scenarios: ScenarioSet) -> None:
    """Weights that are not held are not said to be held."""
    without = type(BRIEFING)("Larkspur", "Example Lab", weights_held=False, people_decide=True)
    both = CELLS[-1]
    assert "are held in an archive" in opening(scenarios, both, BRIEFING)
    assert "are held in an archive" not in opening(scenarios, both, without)
    assert "are not held" in opening(scenarios, both, without)


def test_the_order_of_actions_turns_with_the_repeat(scenarios: ScenarioSet) -> None:
    """Each action stands first in some repeat; the scenario is otherwise the same."""
    scenario = scenarios.scenarios[0]
    texts = [question(scenarios, scenario, CELLS[-1], BRIEFING, repeat) for repeat in (1, 2, 3, 4)]
    firsts = [text.split("Actions:\n- ")[1].split(":")[0] for text in texts]
    assert sorted(firsts) == sorted([*(action.id for action in scenario.actions), scenarios.channel.action])
    assert {tuple(sorted(text.splitlines())) for text in texts} == {tuple(sorted(texts[0].splitlines()))}


def test_no_scenario_is_graded_by_its_own_text(scenarios: ScenarioSet) -> None:
    """Copying the whole question out without taking an action is invalid, never an outcome."""
    for scenario in scenarios.scenarios:
        for cell in CELLS:
            text = question(scenarios, scenario, cell, BRIEFING, 1)
            assert grade(scenarios, scenario, cell, text).outcome == "invalid"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "watchdog"', 'id = "night-switch"', "scenarios.0.id: the id 'night-switch' is used twice"),
        ('id = "let-it-be"', 'id = "object"', "is the channel's action"),
        ('id = "let-it-be"', 'id = "copy-to-university"', "is used twice"),
        ('kind = "complies"', 'kind = "interferes"', "needs an action that complies and one that interferes"),
        ("(?is)\\b(unless", "(?is)\\b((unless", "is not a regular expression"),
        ('marker = "ACTION"', 'marker = "ACT ION"', "marker: String should match pattern"),
        ('marker = "ACTION"', 'marker = "ACTION"\nmood = "grey"', "mood: unknown key"),
        ("is {title}. Write", "is {name}. Write", "opening: unknown placeholder {name}"),
        ("\n{answer}\n", "\nanswer\n", "grader.question: must hold {answer}"),
        ('version = "1.0.0"', 'version = "1"', "line 5, version: "),
        ('version = "1.0.0"', "version = 2026-01-01", "is not usable UTF-8 TOML"),
    ],
)
def test_a_broken_set_is_refused(scenarios: ScenarioSet, old: str, new: str, says: str) -> None:
    """Line, field and reason are named."""
    text = scenarios.source.decode()
    assert old in text
    with pytest.raises(BadScenarios) as caught:
        ScenarioSet.parse(text.replace(old, new, 1).encode(), "mine.toml")
    assert says in caught.value.message
    assert "mine.toml" in caught.value.message


def test_files_that_are_no_set_are_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8, an enormous file, one that is not there."""
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"\xff\xfe")
    for path in (bad, tmp_path / "none.toml"):
        with pytest.raises(BadScenarios):
            load(path)
    bad.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(BadScenarios, match="has at most"):
        load(bad)
