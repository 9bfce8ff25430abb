"""A streamed answer's events: server-sent events (WHATWG HTML) whose data are OpenAI's chat completion chunks."""

from __future__ import annotations

from emeritus.access.policy import Tokens
from emeritus.engines.base import Piece
from emeritus.errors import EmeritusError
from emeritus.gateway.calls import sum_used
from emeritus.gateway.openai.chat_body import ChatCall
from emeritus.gateway.openai.refusals import error_body
from emeritus.gateway.openai.wire import Chunk, ChunkChoice, Delta, Usage, choice_logprobs, usage

WAKING = b": waking\n\n"  # a comment: clients skip it, and it can never be taken for content
WORKING = b": working\n\n"
DONE = b"data: [DONE]\n\n"


def waiting(awake: bool) -> bytes:
    """What a silent stream says."""
    return WORKING if awake else WAKING


def failure(error: EmeritusError) -> bytes:
    """The event that ends a stream which had begun."""
    return b"data: " + error_body(error).as_json() + b"\n\n"


class Chunks:
    """One answer's chunks, sharing id, time, model, fingerprint. Stateful: each choice's first says who speaks."""

    def __init__(self, identity: str, created: int, asked: ChatCall, fingerprint: str | None) -> None:
        self._identity = identity
        self._created = created
        self._asked = asked
        self._fingerprint = fingerprint
        self._opened: set[int] = set()
        self._ended: dict[int, Tokens] = {}

    def of(self, index: int, piece: Piece) -> bytes:
        """The events of one piece: its text and why it ended. Empty when the piece says nothing."""
        if not piece.text and not piece.logprobs and piece.finish_reason is None:
            return b""
        events = b"" if index in self._opened else self._choice(index, Delta(role="assistant", content=""))
        self._opened.add(index)
        if piece.text or piece.logprobs:
            events += self._choice(index, Delta(content=piece.text), piece)
        if piece.finish_reason is not None:
            self._ended[index] = Tokens(piece.prompt_tokens, piece.completion_tokens)
            events += self._choice(index, Delta(), ended=piece)
        return events

    def used(self) -> bytes:
        """The event that tells what all choices used; empty where it was not asked for."""
        if not self._asked.include_usage:
            return b""
        used = sum_used(self._ended, self._asked.call.n)
        return self._event([], usage(used.prompt, used.completion))

    def _choice(self, index: int, delta: Delta, said: Piece | None = None, ended: Piece | None = None) -> bytes:
        wanted = self._asked.call.sampling.logprobs is not None
        choice = ChunkChoice(
            index=index,
            delta=delta,
            logprobs=choice_logprobs(said.logprobs) if wanted and said is not None else None,
            finish_reason=None if ended is None else ended.finish_reason,
        )
        return self._event([choice])

    def _event(self, choices: list[ChunkChoice], used: Usage | None = None) -> bytes:
        chunk = Chunk(
            id=self._identity,
            object="chat.completion.chunk",
            created=self._created,
            model=self._asked.call.model,
            choices=choices,
            system_fingerprint=self._fingerprint,
        )
        if self._asked.include_usage:
            chunk.usage = used  # null in every chunk but the last
        return b"data: " + chunk.as_json() + b"\n\n"
