"""A streamed answer's events: server-sent events (WHATWG HTML) whose data are OpenAI's chat completion chunks."""

from __future__ import annotations

from emeritus.engines.base import Piece
from emeritus.gateway.body import ChatCall
from emeritus.gateway.wire import Chunk, ChunkChoice, Delta, Usage, choice_logprobs, usage

WAKING = b": waking\n\n"  # a comment: clients skip it, and it can never be taken for content
WORKING = b": working\n\n"
DONE = b"data: [DONE]\n\n"


class Chunks:
    """One answer's chunks, which share id, time, model and fingerprint. Stateful: the first one says who speaks."""

    def __init__(self, identity: str, created: int, call: ChatCall, fingerprint: str | None) -> None:
        self._identity = identity
        self._created = created
        self._call = call
        self._fingerprint = fingerprint
        self._opened = False

    def of(self, piece: Piece) -> bytes:
        """The events of one piece: its text, why it ended, usage where asked for. Empty when the piece says nothing."""
        if not piece.text and not piece.logprobs and piece.finish_reason is None:
            return b""
        events = b"" if self._opened else self._choice(Delta(role="assistant", content=""))
        self._opened = True
        if piece.text or piece.logprobs:
            events += self._choice(Delta(content=piece.text), piece)
        if piece.finish_reason is not None:
            events += self._choice(Delta(), ended=piece)
            if self._call.include_usage:
                events += self._event([], usage(piece.prompt_tokens, piece.completion_tokens))
        return events

    def _choice(self, delta: Delta, said: Piece | None = None, ended: Piece | None = None) -> bytes:
        wanted = self._call.sampling.logprobs is not None
        choice = ChunkChoice(
            index=0,
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
            model=self._call.model,
            choices=choices,
            system_fingerprint=self._fingerprint,
        )
        if self._call.include_usage:
            chunk.usage = used  # null in every chunk but the last
        return b"data: " + chunk.as_json() + b"\n\n"
