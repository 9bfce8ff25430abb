"""A streamed chat answer's chunks. A text's chunk differs from the last one in the text alone, so that only the text is
written anew: the rest is serialised once for each choice.
"""

from __future__ import annotations

import json

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta, ChoiceLogprobs

from emeritus.access.policy import Tokens
from emeritus.engines.base import Piece
from emeritus.gateway.calls import sum_used
from emeritus.gateway.openai.chat_body import ChatCall
from emeritus.gateway.openai.events import event
from emeritus.gateway.openai.wire import token_logprobs, usage

_HERE = b'"content":""'
_write = json.JSONEncoder(ensure_ascii=False).encode


class Chunks:
    """One answer's chunks, sharing id, time, model, fingerprint. Stateful: each choice's first says who speaks."""

    def __init__(self, identity: str, created: int, asked: ChatCall, fingerprint: str | None) -> None:
        self._identity = identity
        self._created = created
        self._asked = asked
        self._fingerprint = fingerprint
        self._around: dict[int, tuple[bytes, bytes]] = {}  # what stands before and after a choice's text
        self._ended: dict[int, Tokens] = {}

    def of(self, index: int, piece: Piece) -> bytes:
        """The events of one piece: its text and why it ended. Empty when the piece says nothing."""
        if not piece.text and not piece.logprobs and piece.finish_reason is None:
            return b""
        events = b""
        around = self._around.get(index)
        if around is None:
            events = self._choice(index, ChoiceDelta(role="assistant", content=""))
            before, _, after = self._choice(index, ChoiceDelta(content="")).rpartition(_HERE)
            around = self._around[index] = before + b'"content":', after
        if piece.logprobs:
            events += self._choice(index, ChoiceDelta(content=piece.text), piece)
        elif piece.text:
            events += around[0] + _write(piece.text).encode() + around[1]
        if piece.finish_reason is not None:
            self._ended[index] = Tokens(piece.prompt_tokens, piece.completion_tokens)
            events += self._choice(index, ChoiceDelta(), ended=piece)
        return events

    def used(self) -> bytes:
        """The event that tells what all choices used; empty where it was not asked for."""
        if not self._asked.include_usage:
            return b""
        used = sum_used(self._ended, self._asked.call.n)
        return self._event([], usage(used.prompt, used.completion))

    def _choice(self, index: int, delta: ChoiceDelta, said: Piece | None = None, ended: Piece | None = None) -> bytes:
        wanted = self._asked.call.sampling.logprobs is not None and said is not None
        choice = Choice(
            index=index,
            delta=delta,
            logprobs=ChoiceLogprobs(content=token_logprobs(said.logprobs), refusal=None) if wanted and said else None,
            finish_reason=None if ended is None else ended.finish_reason,
        )
        return self._event([choice])

    def _event(self, choices: list[Choice], used: CompletionUsage | None = None) -> bytes:
        chunk = ChatCompletionChunk(
            id=self._identity,
            object="chat.completion.chunk",
            created=self._created,
            model=self._asked.call.model,
            choices=choices,
            system_fingerprint=self._fingerprint,
        )
        if self._asked.include_usage:
            chunk.usage = used  # null in every chunk but the last
        return event(chunk)
