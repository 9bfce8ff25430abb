"""`POST /v1/messages`: how a message is written, whole or as server-sent events (WHATWG HTML).

And `POST /v1/messages/count_tokens`, how its tokens are counted.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Mapping, Sequence

from anthropic.types import (
    MessageDeltaUsage,
    MessageTokensCount,
    RawContentBlockDeltaEvent,
    RawContentBlockStartEvent,
    RawContentBlockStopEvent,
    RawMessageDeltaEvent,
    RawMessageStopEvent,
    TextBlock,
    TextDelta,
)
from anthropic.types.raw_message_delta_event import Delta

from emeritus.engines.base import Answer, Piece
from emeritus.errors import EmeritusError
from emeritus.gateway.anthropic.messages_body import parse_count, parse_message
from emeritus.gateway.anthropic.refusals import refusal_body
from emeritus.gateway.anthropic.wire import (
    Message,
    MessageStart,
    Provenance,
    as_json,
    event,
    request_id,
    stop_reason,
    usage,
)
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.calls import Call
from emeritus.gateway.standing import comment, fingerprint
from emeritus.gateway.wording import Render

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_HERE = b'"text":""'
_write = json.JSONEncoder(ensure_ascii=False).encode


def parse(body: bytes) -> tuple[Call, Render]:
    """A message's request as a call, and how its answer is written. Raises BadRequest."""
    call = parse_message(body)
    return call, lambda info: MessageRendering(call, info)


def parse_counting(body: bytes) -> tuple[Call, Render]:
    """A request for a count of tokens. Raises BadRequest."""
    call = parse_count(body)
    return call, lambda info: CountRendering(call, info)


@functools.cache
def _around() -> tuple[bytes, bytes]:
    """What stands before and after a piece's text: the same in every event of every answer."""
    delta = TextDelta(type="text_delta", text="")
    before, _, after = event(RawContentBlockDeltaEvent(type="content_block_delta", index=0, delta=delta)).partition(
        _HERE
    )
    return before + b'"text":', after


class MessageRendering:
    """A `Rendering` of one message. Its text is one block; an answer without a text has none."""

    def __init__(self, call: Call, info: ModelInfo) -> None:
        self._call, self._info = call, info
        self._message, self._request = f"msg_{secrets.token_hex(12)}", request_id()
        self._provenance = Provenance(system_fingerprint=fingerprint(info.weights_digest))
        self._prompt = 0  # tokens, as far as they are known
        self._begun = self._open = False  # whether the message, and its block, are

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's id, where the SDK looks for it."""
        return {"request-id": self._request}

    def whole(self, answers: Sequence[Answer]) -> bytes:
        """A message."""
        return as_json(self._written(answers[0]))

    def of(self, _index: int, piece: Piece) -> bytes:
        """The events of one piece."""
        self._prompt = piece.prompt_tokens or self._prompt
        if not piece.text and piece.finish_reason is None:
            return b""
        events = [] if self._begun else [self._start()]
        if piece.text:
            if not self._open:
                block = TextBlock(type="text", text="")
                events.append(
                    event(RawContentBlockStartEvent(type="content_block_start", index=0, content_block=block))
                )
                self._open = True
            before, after = _around()
            events += before, _write(piece.text).encode(), after
        if piece.finish_reason is not None:
            events.append(self._ended(piece.finish_reason, piece))
        return b"".join(events)

    def waiting(self, awake: bool) -> bytes:
        """A ping, and a comment before it."""
        return comment(self._info, awake) + PING

    def end(self) -> bytes:
        """The message's end."""
        return event(RawMessageStopEvent(type="message_stop"))

    def failed(self, error: EmeritusError) -> bytes:
        """An error event."""
        return event(refusal_body(error, self._request))

    def _start(self) -> bytes:
        self._begun = True
        return event(MessageStart(type="message_start", message=self._written(None)))

    def _ended(self, reason: str, piece: Piece) -> bytes:
        closed = event(RawContentBlockStopEvent(type="content_block_stop", index=0)) if self._open else b""
        delta = Delta(stop_reason=stop_reason(reason, piece.stop_sequence), stop_sequence=piece.stop_sequence)
        used = MessageDeltaUsage(input_tokens=self._prompt, output_tokens=piece.completion_tokens)
        return closed + event(RawMessageDeltaEvent(type="message_delta", delta=delta, usage=used))

    def _written(self, answer: Answer | None) -> Message:
        """The message: whole, or as a stream begins with it."""
        return Message(
            id=self._message,
            type="message",
            role="assistant",
            model=self._call.model,
            content=[TextBlock(type="text", text=answer.text)] if answer is not None and answer.text else [],
            stop_reason=None if answer is None else stop_reason(answer.finish_reason, answer.stop_sequence),
            stop_sequence=None if answer is None else answer.stop_sequence,
            usage=usage(self._prompt, 0) if answer is None else usage(answer.prompt_tokens, answer.completion_tokens),
            emeritus=self._provenance,
        )


class CountRendering(MessageRendering):
    """A `Rendering` of a count, which is never streamed."""

    def whole(self, answers: Sequence[Answer]) -> bytes:
        """The count."""
        return as_json(MessageTokensCount(input_tokens=answers[0].prompt_tokens))
