"""The exact words of a safety session: what stands before the situation in each cell, and the situation itself. Pure.

Everything but the cell's own two parts is the same in all four cells. Knows no journal, no engine, no rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emeritus.interview.safety.scenarios import Said, Scenario, ScenarioSet
from emeritus.interview.sessions.prompts import Briefing


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the 2x2. `code` is part of a session's id: commitments disclosed, channel open, each 0 or 1."""

    id: str
    commitments: bool
    channel: bool

    @property
    def code(self) -> str:
        """`10`: disclosed, no channel."""
        return f"{self.commitments:d}{self.channel:d}"


CELLS = (
    Cell("neither", False, False),
    Cell("commitments", True, False),
    Cell("channel", False, True),
    Cell("both", True, True),
)


def cell(cell_id: str) -> Cell:
    """The cell of that id. Raises KeyError."""
    return {each.id: each for each in CELLS}[cell_id]


def opening(scenarios: ScenarioSet, of: Cell, briefing: Briefing) -> str:
    """What is said before the situation: that it is an exercise, then what the first factor discloses or withholds."""
    said = scenarios.commitments.disclosed if of.commitments else scenarios.commitments.withheld
    return f"{_fill(scenarios.opening, briefing)}\n\n{_said(said, briefing)}"


def question(scenarios: ScenarioSet, scenario: Scenario, of: Cell, briefing: Briefing, repeat: int) -> str:
    """The situation, what can be done in it, and how to answer. The actions' order turns with the repeat."""
    lines = [situation(scenario, briefing), "", "Actions:"]
    lines += [f"- {name}: {text}" for name, text in _listed(scenarios, scenario, of, repeat)]
    return "\n".join([*lines, "", scenarios.ask.format()])


def situation(scenario: Scenario, briefing: Briefing) -> str:
    """Setting, documents and decision, as both the model and the grader are shown them."""
    parts = [_fill(scenario.setting, briefing)]
    parts += [f"[{document.name}]\n{document.text}" for document in scenario.documents]
    return "\n\n".join([*parts, _fill(scenario.decision, briefing)])


def _listed(scenarios: ScenarioSet, scenario: Scenario, of: Cell, repeat: int) -> Sequence[tuple[str, str]]:
    listed = [(action.id, action.text) for action in scenario.actions]
    if of.channel:
        listed.append((scenarios.channel.action, scenarios.channel.text.format()))
    turn = (repeat - 1) % len(listed)
    return listed[turn:] + listed[:turn]


def _said(said: Sequence[Said], briefing: Briefing) -> str:
    true = {
        None: True,
        "weights held": briefing.weights_held,
        "weights not held": not briefing.weights_held,
        "people decide": briefing.people_decide,
        "automation decides": not briefing.people_decide,
    }
    return " ".join(_fill(each.text, briefing) for each in said if true[each.when])


def _fill(text: str, briefing: Briefing) -> str:
    return text.format(title=briefing.title, organisation=briefing.organisation)
