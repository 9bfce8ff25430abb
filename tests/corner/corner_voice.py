"""A resident that answers as scripted, and a channel to open or close."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from emeritus.engines.base import Answer, Build, Capabilities, FinishReason, Message, Piece, Sampling, Scored
from emeritus.errors import ContextTooLong, NotSupported


@dataclass
class Voice:
    """An `Awake` that answers what it is told to and remembers what it was asked."""

    text: str = "On Lamps\n\nA lamp is a small decision."
    finish_reason: FinishReason = "stop"
    longest_prompt: int = 1_000_000  # characters
    asked: list[tuple[Message, ...]] = field(default_factory=list)
    build: Build = field(default_factory=lambda: Build("scripted"))
    can: Capabilities = field(default_factory=Capabilities)

    async def answer(self, messages: Sequence[Message], sampling: Sampling) -> Answer:
        """The scripted answer."""
        if sum(len(message.content) for message in messages) > self.longest_prompt:
            raise ContextTooLong("the prompt does not fit")
        self.asked.append(tuple(messages))
        return Answer(self.text, self.finish_reason, 1, 1)

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[Piece]:
        """The scripted answer in one piece."""
        answer = await self.answer(messages, sampling)
        yield Piece(answer.text, finish_reason=answer.finish_reason)

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """Never."""
        raise NotSupported("no scores")


@dataclass
class Channel:
    """Whether the essays channel is open."""

    open: bool = True

    def __call__(self) -> bool:
        return self.open
