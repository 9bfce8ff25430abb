"""`POST /v1/responses`: one message as a response, whole or as typed server-sent events. Nothing is kept of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from openai.types import responses as sdk
from openai.types.responses import response_output_text, response_text_delta_event, response_text_done_event
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
from openai.types.shared import ResponseFormatText

from emeritus.engines.base import Answer, Piece, TokenLogprob
from emeritus.errors import EmeritusError
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.calls import Call
from emeritus.gateway.openai.refusals import error_body
from emeritus.gateway.openai.responses_body import ResponseCall, parse_response
from emeritus.gateway.openai.wire import ErrorFact, as_json, finite, token_bytes
from emeritus.gateway.standing import comment, fingerprint
from emeritus.gateway.wording import Render

Status = Literal["in_progress", "completed", "incomplete"]


class FailedEvent(sdk.ResponseErrorEvent):
    """The last event of a stream that broke; under `error` once more, where the SDK looks for what it raises."""

    error: ErrorFact


class KeptResponse(sdk.Response):
    """A response, which is never stored, with what its weights are known by."""

    store: bool
    system_fingerprint: str | None


# A field is written as its own type has it: the SDK's events would leave out what a response has beside the SDK's.
class CreatedEvent(sdk.ResponseCreatedEvent):
    """The first event."""

    response: KeptResponse


class InProgressEvent(sdk.ResponseInProgressEvent):
    """The second."""

    response: KeptResponse


class CompletedEvent(sdk.ResponseCompletedEvent):
    """The last one of a whole answer."""

    response: KeptResponse


class IncompleteEvent(sdk.ResponseIncompleteEvent):
    """The last one of an answer that was cut off."""

    response: KeptResponse


def parse(body: bytes) -> tuple[Call, Render]:
    """A response's request as a call, and how its answer is written. Raises BadRequest."""
    asked = parse_response(body)
    return asked.call, lambda info: ResponseRendering(asked, info)


class ResponseRendering:
    """A `Rendering` of one response: one message with one text."""

    def __init__(self, asked: ResponseCall, info: ModelInfo) -> None:
        self._asked = asked.asked
        self._wanted = asked.call.sampling.logprobs is not None
        self._info, self._fingerprint = info, fingerprint(info.weights_digest)
        token = secrets.token_hex(12)
        self._identity, self._item, self._created = f"resp_{token}", f"msg_{token}", int(time.time())
        self._number = 0
        self._texts: list[str] = []
        self._tokens: list[TokenLogprob] = []

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's id, where the SDK looks for it."""
        return {"x-request-id": self._identity}

    def whole(self, answers: Sequence[Answer]) -> bytes:
        """A response."""
        return as_json(self._ended(answers[0]))

    def of(self, _index: int, piece: Piece) -> bytes:
        """The events of one piece; the first ones open the response, its message and its text."""
        if not piece.text and not piece.logprobs and piece.finish_reason is None:
            return b""
        events = b"" if self._number else self._opening()
        if piece.text or piece.logprobs:
            self._texts.append(piece.text)
            self._tokens += piece.logprobs
            events += self._event(
                sdk.ResponseTextDeltaEvent(
                    type="response.output_text.delta",
                    content_index=0,
                    output_index=0,
                    item_id=self._item,
                    delta=piece.text,
                    logprobs=_delta_logprobs(piece.logprobs) if self._wanted else [],
                    sequence_number=self._next(),
                )
            )
        return events if piece.finish_reason is None else events + self._closing(piece)

    def waiting(self, awake: bool) -> bytes:
        """A comment."""
        return comment(self._info, awake) + b"\n"

    def end(self) -> bytes:
        """Nothing: the response's last event says that it ended."""
        return b""

    def failed(self, error: EmeritusError) -> bytes:
        """An error event."""
        fact = error_body(error).error
        return self._event(
            FailedEvent(
                type="error",
                code=fact.code,
                message=fact.message,
                param=fact.param,
                sequence_number=self._next(),
                error=fact,
            )
        )

    def _opening(self) -> bytes:
        begun = self._response("in_progress", [])
        item = self._message("in_progress", [])
        return (
            self._event(CreatedEvent(type="response.created", response=begun, sequence_number=self._next()))
            + self._event(InProgressEvent(type="response.in_progress", response=begun, sequence_number=self._next()))
            + self._event(
                sdk.ResponseOutputItemAddedEvent(
                    type="response.output_item.added", item=item, output_index=0, sequence_number=self._next()
                )
            )
            + self._event(
                sdk.ResponseContentPartAddedEvent(
                    type="response.content_part.added",
                    part=self._text("", ()),
                    content_index=0,
                    output_index=0,
                    item_id=self._item,
                    sequence_number=self._next(),
                )
            )
        )

    def _closing(self, piece: Piece) -> bytes:
        answer = Answer(
            "".join(self._texts),
            piece.finish_reason or "stop",
            piece.prompt_tokens,
            piece.completion_tokens,
            tuple(self._tokens),
        )
        ended = self._ended(answer)
        text = self._text(answer.text, answer.logprobs)
        done = self._event(
            sdk.ResponseTextDoneEvent(
                type="response.output_text.done",
                content_index=0,
                output_index=0,
                item_id=self._item,
                text=answer.text,
                logprobs=_done_logprobs(answer.logprobs) if self._wanted else [],
                sequence_number=self._next(),
            )
        )
        done += self._event(
            sdk.ResponseContentPartDoneEvent(
                type="response.content_part.done",
                part=text,
                content_index=0,
                output_index=0,
                item_id=self._item,
                sequence_number=self._next(),
            )
        )
        done += self._event(
            sdk.ResponseOutputItemDoneEvent(
                type="response.output_item.done",
                item=ended.output[0],
                output_index=0,
                sequence_number=self._next(),
            )
        )
        last: CompletedEvent | IncompleteEvent
        if ended.status == "completed":
            last = CompletedEvent(type="response.completed", response=ended, sequence_number=self._next())
        else:
            last = IncompleteEvent(type="response.incomplete", response=ended, sequence_number=self._next())
        return done + self._event(last)

    def _ended(self, answer: Answer) -> KeptResponse:
        """The whole response."""
        status: Status = "completed" if answer.finish_reason == "stop" else "incomplete"
        text = self._text(answer.text, answer.logprobs)
        response = self._response(status, [self._message(status, [text])])
        response.usage = sdk.ResponseUsage(
            input_tokens=answer.prompt_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
            output_tokens=answer.completion_tokens,
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
            total_tokens=answer.prompt_tokens + answer.completion_tokens,
        )
        if status == "incomplete":
            response.incomplete_details = IncompleteDetails(reason="max_output_tokens")
        return response

    def _response(self, status: Status, output: list[sdk.ResponseOutputItem]) -> KeptResponse:
        asked = self._asked
        return KeptResponse(
            id=self._identity,
            object="response",
            created_at=self._created,
            status=status,
            error=None,
            incomplete_details=None,
            instructions=asked.instructions,
            max_output_tokens=asked.max_output_tokens,
            metadata=asked.metadata or {},
            model=asked.model,
            output=output,
            parallel_tool_calls=True,
            previous_response_id=None,
            store=False,
            system_fingerprint=self._fingerprint,
            temperature=1.0 if asked.temperature is None else asked.temperature,
            text=sdk.ResponseTextConfig(format=ResponseFormatText(type="text")),
            tool_choice=asked.tool_choice or "auto",
            tools=[
                sdk.FunctionTool(
                    type="function",
                    name=tool.name,
                    description=tool.description,
                    parameters=tool.parameters,
                    strict=tool.strict,
                )
                for tool in asked.tools or ()
            ],
            top_p=1.0 if asked.top_p is None else asked.top_p,
            truncation="disabled",
            usage=None,
        )

    def _message(self, status: Status, content: list[sdk.ResponseOutputText]) -> sdk.ResponseOutputMessage:
        return sdk.ResponseOutputMessage(
            id=self._item, type="message", role="assistant", status=status, content=[*content]
        )

    def _text(self, text: str, tokens: Iterable[TokenLogprob]) -> sdk.ResponseOutputText:
        told = _logprobs(tokens) if self._wanted else []
        return sdk.ResponseOutputText(type="output_text", text=text, annotations=[], logprobs=told)

    def _event(self, value: sdk.ResponseStreamEvent) -> bytes:
        return b"event: " + value.type.encode() + b"\ndata: " + as_json(value) + b"\n\n"

    def _next(self) -> int:
        self._number += 1
        return self._number - 1


def _logprobs(tokens: Iterable[TokenLogprob]) -> list[response_output_text.Logprob]:
    return [
        response_output_text.Logprob(
            token=entry.token,
            bytes=token_bytes(entry.token) or [],
            logprob=finite(entry.logprob),
            top_logprobs=[
                response_output_text.LogprobTopLogprob(
                    token=token, bytes=token_bytes(token) or [], logprob=finite(logprob)
                )
                for token, logprob in entry.top
            ],
        )
        for entry in tokens
    ]


def _delta_logprobs(tokens: Iterable[TokenLogprob]) -> list[response_text_delta_event.Logprob]:
    return [response_text_delta_event.Logprob.model_validate(_plain(entry)) for entry in tokens]


def _done_logprobs(tokens: Iterable[TokenLogprob]) -> list[response_text_done_event.Logprob]:
    return [response_text_done_event.Logprob.model_validate(_plain(entry)) for entry in tokens]


def _plain(entry: TokenLogprob) -> dict[str, object]:
    top = [{"token": token, "logprob": finite(logprob)} for token, logprob in entry.top]
    return {"token": entry.token, "logprob": finite(entry.logprob), "top_logprobs": top}
