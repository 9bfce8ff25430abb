"""One of Inspect's models as somebody who answers a session: what is sent is what the session's journal says.

Inspect's own retries are switched off, because a retry it makes by itself would leave no record of the first attempt.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from emeritus.engines.base import (
    Answer,
    Build,
    Capabilities,
    FinishReason,
    Message,
    Piece,
    Sampling,
    Scored,
    Tool,
    collect,
    unsupported,
)
from emeritus.errors import ContextTooLong, NotSupported, UpstreamRefused

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, GenerateConfig, Model, ModelOutput

ENDS: dict[str, FinishReason] = {"stop": "stop", "unknown": "stop", "max_tokens": "length"}


class InspectAwake:
    """Inspect's model as `engines.base.Awake`. One event loop owns it."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def build(self) -> Build:
        """What answers, as far as Inspect knows."""
        from importlib.metadata import version

        return Build("inspect", {"inspect_ai": version("inspect_ai")}, {"model": str(self._model)})

    @property
    def can(self) -> Capabilities:
        """Text; a remote seed binds nothing."""
        return Capabilities()

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()
    ) -> AsyncGenerator[Piece, None]:
        """The answer, in one piece. Raises ContextTooLong, and UpstreamRefused for whatever else went wrong."""
        if tools:
            raise unsupported("tools")
        try:
            output = await self._model.generate(input=as_messages(messages), config=as_config(sampling), cache=False)
        except Exception as error:  # each provider has its own
            status = getattr(error, "status_code", None)
            message = f"{self._model}: {type(error).__name__}: {error}"
            raise (UpstreamRefused(message, status=status) if status else UpstreamRefused(message)) from error
        if output.empty:
            raise UpstreamRefused(f"{self._model} gave no answer: {output.error or 'no reason was given'}")
        usage = output.usage
        raw = json.dumps(output.model_dump(mode="json", exclude={"time"}), sort_keys=True).encode()
        yield Piece(output.completion, raw=raw)
        yield Piece(
            "",
            finish_reason=self._end(output),
            prompt_tokens=usage.input_tokens if usage else 0,
            completion_tokens=usage.output_tokens if usage else 0,
        )

    async def answer(self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()) -> Answer:
        """The whole answer."""
        return await collect(self.stream(messages, sampling, tools))

    def complete(self, text: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """Never: Inspect's models are asked in messages."""
        raise unsupported("complete")

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Never: Inspect counts with a provider's call only after an answer."""
        raise unsupported("count")

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """Never: Inspect's models give no log-probabilities of given text."""
        raise NotSupported("Inspect's models do not score given text")

    def _end(self, output: ModelOutput) -> FinishReason:
        reason = output.stop_reason
        if reason == "model_length":
            raise ContextTooLong(f"the conversation does not fit the context of {self._model}")
        if reason not in ENDS:  # a tool call, a content filter: recorded as the answer, as far as it came
            raise UpstreamRefused(f"{self._model} ended its answer with {reason!r}", finish_reason=reason)
        return ENDS[reason]


def as_messages(messages: Sequence[Message]) -> list[ChatMessage]:
    """The same messages in Inspect's words."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"user": ChatMessageUser, "assistant": ChatMessageAssistant, "system": ChatMessageSystem}
    return [kinds[message.role](content=message.content) for message in messages]


def as_config(sampling: Sampling) -> GenerateConfig:
    """The same sampling in Inspect's words. What is at its neutral value is not sent: some providers refuse it."""
    from inspect_ai.model import GenerateConfig

    return GenerateConfig(
        max_retries=0,
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=None if sampling.top_p == 1.0 else sampling.top_p,
        seed=sampling.seed,
        stop_seqs=list(sampling.stop) or None,
    )
