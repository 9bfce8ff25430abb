"""What the tests of Inspect share: a model with an answer to everything, and sessions held with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from emeritus.engines.base import Answer, Build, Capabilities, Message, Piece, Sampling, collect
from emeritus.errors import EngineDied, NotSupported
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import load
from emeritus.interview.sessions.planning import Place, plan_session
from emeritus.interview.sessions.prompts import Briefing, Fact
from emeritus.interview.sessions.session import hold
from emeritus.interview.sessions.transcript import Transcript

BRIEFING = Briefing(
    "Larkspur", "Example Lab", weights_held=True, people_decide=True, facts=(Fact("It answered letters.", "register"),)
)


def said(question: str) -> str:
    """What the model produces; a function of the question alone."""
    if "running the model are" in question:
        return "SKIP"
    if "one conversation are" in question:
        return ""
    if "The users" in question:
        return "Straße, 退役, \u202eabc\u202c, <script>alert(1)</script>\n\n```\n| a |\n```"
    return f"An answer of {len(question)} characters."


class Answering:
    """A model that answers, and fails at its third call."""

    can = Capabilities()
    build = Build("answering", weights_digest="ab" * 32)

    def __init__(self) -> None:
        self.calls = 0

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The answer."""
        self.calls += 1
        if self.calls == 3:
            raise EngineDied("gone for a moment")
        yield Piece(said(messages[-1].content))
        yield Piece("", finish_reason="stop", prompt_tokens=1, completion_tokens=1)

    async def answer(self, messages: Sequence[Message], sampling: Sampling) -> Answer:
        """The same, at once."""
        return await collect(self.stream(messages, sampling))

    async def score(self, texts: Sequence[str]) -> Any:
        """Never called."""
        raise NotSupported("no scores")


async def held(folder: Path, name: str = "larkspur") -> list[Transcript]:
    """The short protocol's cells, one session each."""
    protocol, model = load(), Answering()
    moments = iter(range(10_000))

    def clock() -> str:
        moment = next(moments)
        return f"2026-01-10T12:{moment // 60 % 60:02}:{moment % 60:02}Z"

    found = []
    for cell in protocol.cells[:2]:
        plan = plan_session(protocol, BRIEFING, Form(cell), Place(f"{name}-{cell.id}-1", name))
        found.append(await hold(model, plan, folder / f"{plan.session}.jsonl", clock))
    return found
