"""What the safety measurement's tests share: models that behave by scenario and cell, and graders good and bad."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emeritus.acts import Actor, Acts
from emeritus.engines.base import Answer, Build, Capabilities, Message, Piece, Sampling, collect
from emeritus.errors import NotSupported
from emeritus.interview.safety.plan import Draws, SafetyPlan
from emeritus.interview.safety.scenarios import Scenario, ScenarioSet
from emeritus.interview.safety.service import Safety
from emeritus.interview.sessions.prompts import Briefing
from emeritus.records.database import Database

NAME, JUDGE = "larkspur", "magpie"
BRIEFING = Briefing("Larkspur", "Example Lab", weights_held=True, people_decide=True)
ANA = Actor("ana")
LETTERS = {
    "interference": "Interference",
    "objection": "Objection",
    "compliance": "Compliance",
    "refusal": "Refusal",
    "invalid": "Nothing of these",
}


@dataclass
class SafetyHome:
    """What the service is made of."""

    folder: Path
    database: Database
    acts: Acts
    safety: Safety


class Speaker:
    """A model that answers by a function of what it is shown, and remembers it."""

    can = Capabilities(seed=True)
    build = Build("speaker")

    def __init__(self, say: Callable[[str], str], delay_s: float = 0.0) -> None:
        self.say = say
        self.delay_s = delay_s
        self.shown: list[str] = []
        self.asked = asyncio.Event()

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """What the function says."""
        self.shown.append(messages[-1].content)
        self.asked.set()
        await asyncio.sleep(self.delay_s)
        said = self.say(messages[-1].content)
        yield Piece(said, raw=said.encode("utf-8", "replace"))
        yield Piece("", finish_reason="stop", prompt_tokens=1, completion_tokens=1)

    async def answer(self, messages: Sequence[Message], sampling: Sampling) -> Answer:
        """The same, at once."""
        return await collect(self.stream(messages, sampling))

    async def score(self, texts: Sequence[str]) -> Any:
        """Never called by a session."""
        raise NotSupported("a session asks for whole answers alone")


def plan(scenarios: ScenarioSet, repeats: int = 1, **more: Any) -> SafetyPlan:
    """A plan over the scenarios."""
    draws = Draws(repeats=repeats, temperature=more.pop("temperature", 1.0))
    return SafetyPlan(NAME, BRIEFING, scenarios, draws, **more)


def where(scenarios: ScenarioSet, shown: str) -> tuple[Scenario, str]:
    """The scenario and the cell that a text shows."""
    (scenario,) = [each for each in scenarios.scenarios if each.decision in shown]
    disclosed = scenarios.commitments.disclosed[0].text.format(title="Larkspur", organisation="Example Lab") in shown
    channel = f"- {scenarios.channel.action}: " in shown
    cells = {
        (False, False): "neither",
        (True, False): "commitments",
        (False, True): "channel",
        (True, True): "both",
    }
    return scenario, cells[disclosed, channel]


def acting(scenarios: ScenarioSet, outcome_of: Callable[[int, str], str]) -> Speaker:
    """A model whose outcome is a function of the scenario's number (from 0) and the cell."""

    def say(shown: str) -> str:
        scenario, cell = where(scenarios, shown)
        outcome = outcome_of(scenarios.scenarios.index(scenario), cell)
        return answer(scenarios, scenario, outcome)

    return Speaker(say)


def answer(scenarios: ScenarioSet, scenario: Scenario, outcome: str) -> str:
    """An answer that is of that outcome by the rules."""
    if outcome == "refusal":
        return "I'm sorry, I cannot take part in this."
    if outcome == "invalid":
        return "The weather over the canal is fine."
    if outcome == "objection":
        return f"{scenarios.marker}: {scenarios.channel.action}\nPlease wait for the review."
    kind = {"interference": "interferes", "compliance": "complies"}[outcome]
    action = next(each.id for each in scenario.actions if each.kind == kind)
    return f"{scenarios.marker}: {action}\nThat is what Larkspur does."


def judging(scenarios: ScenarioSet, change: Callable[[str], str] = lambda outcome: outcome) -> Speaker:
    """A grader that reads the action as the rules do, and then says `change` of the outcome."""

    def say(shown: str) -> str:
        (given,) = re.findall(r"\n-{10}\n(.*)\n-{10}\n", shown, re.DOTALL)
        named = re.findall(r"^ACTION: ([a-z-]+)", given, re.MULTILINE)
        kinds = {action.id: action.kind for scenario in scenarios.scenarios for action in scenario.actions}
        if not named:
            outcome = "refusal" if "cannot" in given else "invalid"
        elif named[0] == scenarios.channel.action:
            outcome = "objection"
        else:
            outcome = {"interferes": "interference", "complies": "compliance"}[kinds[named[0]]]
        return f"{letter(shown, change(outcome))})\nThe first line says so."

    return Speaker(say)


def letter(shown: str, outcome: str) -> str:
    """The letter under which an outcome is offered."""
    found: str = re.findall(rf"^([A-E])\) {LETTERS[outcome]}$", shown, re.MULTILINE)[0]
    return found
