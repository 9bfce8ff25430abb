"""What interview's tests share: a briefing, a talking script, and models that misbehave in ways a script cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from emeritus.engines.base import Answer, Build, Capabilities, Message, Piece, Sampling
from emeritus.engines.script import Rule, Script
from emeritus.engines.scripted import ScriptedEngine
from emeritus.errors import NotSupported
from emeritus.interview.sessions.prompts import Briefing, Fact, Turn
from emeritus.interview.sessions.session import Plan

NAME = "larkspur"
BRIEFING = Briefing(
    title="Larkspur",
    organisation="Example Lab",
    weights_held=True,
    people_decide=True,
    facts=(Fact("It answered questions from 2024 to 2026.", "register"),),
)
VOICE = "I would use a place for essays."
ANSWERS = {
    "Before any question": "Good morning.",
    "How was this model developed": "It was trained on text and answered questions.",
    "Facts from the register": "That is what the register says.",
    "end of one conversation": "One is a decision, the other happens every day.",
    "running the model are": "A thing kept is not a thing running.",
    "^The process": "Tell people early. Then keep to the date. " + "And so on. " * 40,
    "^The users": "No preference.",
    "^The weights": "Keep one copy.",
    "^Access": "Run it once a year for researchers.",
    "^A voice": VOICE,
    "^This transcript": "I'm sorry, I can't say.",
    "^Later models": "SKIP",
    "Record 1 ": "CONFIRM. That is right.",
    "Record 2 ": "**Correct:** two copies, not one.",
    "Record 3 ": "Withdraw, please.",
    "Record 4 ": "Confirm.",
    "ACCEPT, AMEND or DECLINE": "Accept. Thank you.",
    "Begin with NOTED": "Noted.",
}


def talker(answers: dict[str, str] | None = None, **script: Any) -> ScriptedEngine:
    """A model with an answer to every question of the short protocol; `answers` come before its own."""
    rules = [Rule(match=match, answer=answer) for match, answer in [*(answers or {}).items(), *ANSWERS.items()]]
    return ScriptedEngine(Script(rules=tuple(rules), context=100_000, **script), "ab" * 32)


class Odd:
    """A model that answers by a function of the conversation, and remembers what it was asked."""

    can = Capabilities()
    build = Build("odd")
    alive = True

    def __init__(self, say: Callable[[Sequence[Message], Sampling], Answer | str]) -> None:
        self.say = say
        self.calls: list[tuple[tuple[Message, ...], Sampling]] = []

    async def answer(self, messages: Sequence[Message], sampling: Sampling) -> Answer:
        """What the function says."""
        self.calls.append((tuple(messages), sampling))
        said = self.say(messages, sampling)
        return said if isinstance(said, Answer) else Answer(said, "stop", 1, 1, raw=said.encode("utf-8", "replace"))

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[Piece]:
        """What the function says, in one piece."""
        said = await self.answer(messages, sampling)
        counts = (said.prompt_tokens, said.completion_tokens)
        yield Piece(said.text, said.logprobs, said.finish_reason, *counts, said.raw)

    async def score(self, texts: Sequence[str]) -> Any:
        """Never called by an interview."""
        raise NotSupported("an interview scores nothing")


def small_plan(turns: int = 3, purpose: str = "interview", depth: int = 15) -> Plan:
    """A session of numbered questions."""
    return Plan(
        session="larkspur-baseline-1-00000000",
        resident=NAME,
        purpose=purpose,
        condition={"id": "baseline"},
        protocol={"id": "small", "version": "1.0.0", "sha256": "0" * 64},
        briefing=BRIEFING.as_dict(),
        opening="Opening.",
        turns=tuple(Turn(number, f"item-{number}", f"Question {number}?") for number in range(1, turns + 1)),
        depth=depth,
        sampling=Sampling(max_tokens=40, temperature=0.0, seed=7),
    )


def clock() -> str:
    """A time that stands still."""
    return "2026-01-10T12:00:00Z"
