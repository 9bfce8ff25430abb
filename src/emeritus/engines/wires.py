"""The two wire formats of remote models, as pure functions: what to send, and what an event of the stream means.

An answer that comes whole is one event by itself, whose `Reading` says so. Sources: OpenAI's "Create chat completion"
and Anthropic's "Messages" references (whole and streaming). A wire's reader raises UpstreamRefused for events that do
not have the documented shape; it never guesses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic_core import from_json

from emeritus.engines.base import FinishReason, Message, Piece, Sampling, TokenLogprob
from emeritus.engines.sse import Event
from emeritus.errors import EngineDied, UpstreamRefused

Json = dict[str, Any]


@dataclass
class Reading:
    """What an answer has said so far, besides its text."""

    whole: bool = False  # it comes as one document, not as a stream
    model: str | None = None
    finish: FinishReason | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    pieces: int = 0
    over: bool = False  # the wire's own end mark was seen
    stop_sequence: str | None = None  # what the server named as the stop sequence that ended the answer
    extra: Json = field(default_factory=dict)  # what identifies the serving side, e.g. system_fingerprint


class Wire(Protocol):
    """One wire format."""

    def url(self, base_url: str) -> str:
        """Where to post, under the base address as that vendor's SDK takes it."""

    def headers(self, key: str | None) -> dict[str, str]:
        """Authentication and version."""

    def body(self, model: str, messages: Sequence[Message], sampling: Sampling) -> Json:
        """The request, as a stream."""

    def whole_body(self, model: str, messages: Sequence[Message], sampling: Sampling) -> Json:
        """The request, to be answered in one document."""

    def read(self, event: Event, reading: Reading) -> Piece | None:
        """Note what the event says; the piece of text it brings, if any (without raw bytes)."""


class OpenAI:
    """`/chat/completions`. A base address without a path gets `/v1`, as the vendor's has."""

    finishes: Mapping[str, FinishReason] = {"stop": "stop", "length": "length"}

    def __init__(self, max_tokens_field: str = "max_tokens") -> None:
        self._max_tokens_field = max_tokens_field

    def url(self, base_url: str) -> str:
        """See `Wire`."""
        base = base_url.rstrip("/")
        return f"{base}{'' if '/' in base.partition('://')[2] else '/v1'}/chat/completions"

    def headers(self, key: str | None) -> dict[str, str]:
        """See `Wire`."""
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def body(self, model: str, messages: Sequence[Message], sampling: Sampling) -> Json:
        """See `Wire`."""
        body = self._body(model, sampling) | {"messages": [each.as_dict() for each in messages]}
        if sampling.logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
        return body

    def whole_body(self, model: str, messages: Sequence[Message], sampling: Sampling) -> Json:
        """See `Wire`."""
        return _whole(self.body(model, messages, sampling))

    def read(self, event: Event, reading: Reading) -> Piece | None:
        """See `Wire`."""
        if event.data == "[DONE]":
            reading.over = True
            return None
        said = _parse(event)
        if said.get("error"):
            raise EngineDied("the upstream reported an error while answering", upstream=said["error"])
        reading.model = said.get("model") or reading.model
        if said.get("system_fingerprint"):
            reading.extra["system_fingerprint"] = said["system_fingerprint"]
        try:
            if usage := said.get("usage"):
                reading.prompt_tokens, reading.completion_tokens = usage["prompt_tokens"], usage["completion_tokens"]
            if not said.get("choices"):
                return None
            choice = said["choices"][0]
            text, logprobs = self._text(choice, reading), self._logprobs(choice.get("logprobs") or {})
            if reason := choice.get("finish_reason"):
                reading.finish = _finish(self.finishes, reason)
                if isinstance(by := choice.get("stop_reason"), str):  # vLLM's field; the vendor has none
                    reading.stop_sequence = by
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise _misshapen(event) from error
        return Piece(text, logprobs) if text or logprobs else None

    def _body(self, model: str, sampling: Sampling) -> Json:
        """All but what is asked. Fields at their neutral value are left out: some models refuse them even then."""
        body: Json = {
            "model": model,
            self._max_tokens_field: sampling.max_tokens,
            "temperature": sampling.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.top_p != 1:
            body["top_p"] = sampling.top_p
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        return body

    def _text(self, choice: Json, reading: Reading) -> str:
        return choice["message" if reading.whole else "delta"].get("content") or ""

    def _logprobs(self, said: Json) -> tuple[TokenLogprob, ...]:
        return tuple(_openai_logprob(each) for each in said.get("content") or ())


class Completions(OpenAI):
    """`/completions`, where raw text goes on: always `max_tokens`, and log-probabilities in lists side by side."""

    def __init__(self) -> None:
        super().__init__()

    def url(self, base_url: str) -> str:
        """See `Wire`."""
        return super().url(base_url).removesuffix("/chat/completions") + "/completions"

    def body(self, model: str, messages: Sequence[Message], sampling: Sampling) -> Json:
        """See `Wire`. The text is the only message's."""
        body = self._body(model, sampling) | {"prompt": messages[0].content}
        return body if sampling.logprobs is None else body | {"logprobs": sampling.logprobs}

    def _text(self, choice: Json, _reading: Reading) -> str:
        return choice.get("text") or ""

    def _logprobs(self, said: Json) -> tuple[TokenLogprob, ...]:
        if "content" in said:  # llama.cpp's server: the chat's shape here too
            return super()._logprobs(said)
        tokens = said.get("tokens") or ()
        tops = said.get("top_logprobs") or [None] * len(tokens)
        return tuple(
            TokenLogprob(str(token), float(value), tuple(sorted((top or {}).items(), key=lambda pair: -pair[1])))
            for token, value, top in zip(tokens, said.get("token_logprobs") or (), tops, strict=True)
        )


class Anthropic:
    """`/v1/messages`. Has no place for a seed or log-probabilities; system messages travel apart from the turns."""

    finishes: Mapping[str, FinishReason] = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}

    def url(self, base_url: str) -> str:
        """See `Wire`."""
        return f"{base_url.rstrip('/').removesuffix('/v1')}/v1/messages"

    def headers(self, key: str | None) -> dict[str, str]:
        """See `Wire`."""
        return {"anthropic-version": "2023-06-01"} | ({} if key is None else {"x-api-key": key})

    def body(self, model: str, messages: Sequence[Message], sampling: Sampling) -> Json:
        """See `Wire`."""
        system = "\n\n".join(each.content for each in messages if each.role == "system")
        body: Json = {
            "model": model,
            "messages": [each.as_dict() for each in messages if each.role != "system"],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stream": True,
        }
        if system:
            body["system"] = system
        if sampling.top_p != 1:
            body["top_p"] = sampling.top_p
        if sampling.stop:
            body["stop_sequences"] = list(sampling.stop)
        return body

    def whole_body(self, model: str, messages: Sequence[Message], sampling: Sampling) -> Json:
        """See `Wire`."""
        return _whole(self.body(model, messages, sampling))

    def count_url(self, base_url: str) -> str:
        """Where a prompt's tokens are counted."""
        return f"{self.url(base_url)}/count_tokens"

    def count_body(self, model: str, messages: Sequence[Message]) -> Json:
        """What is counted: the request's part about the prompt."""
        body = self.body(model, messages, Sampling())
        return {name: body[name] for name in ("model", "messages", "system") if name in body}

    def read(self, event: Event, reading: Reading) -> Piece | None:
        """See `Wire`."""
        said = _parse(event)
        try:
            match said["type"]:
                case "message" if reading.whole:
                    reading.model = said["model"]
                    reading.prompt_tokens = said["usage"]["input_tokens"]
                    reading.completion_tokens = said["usage"]["output_tokens"]
                    reading.finish = _finish(self.finishes, said["stop_reason"])
                    reading.stop_sequence = said.get("stop_sequence")
                    text = "".join([block["text"] for block in said["content"] if block["type"] == "text"])
                    return Piece(text) if text else None
                case "message_start":
                    reading.model = said["message"].get("model")
                    reading.prompt_tokens = said["message"]["usage"]["input_tokens"]
                case "content_block_delta" if said["delta"]["type"] == "text_delta":
                    text = said["delta"]["text"]
                    return Piece(text) if text else None
                case "message_delta":
                    reading.completion_tokens = said["usage"]["output_tokens"]
                    reading.finish = _finish(self.finishes, said["delta"]["stop_reason"])
                    reading.stop_sequence = said["delta"].get("stop_sequence")
                case "message_stop":
                    reading.over = True
                case "error":
                    raise EngineDied("the upstream reported an error while answering", upstream=said["error"])
                case _:  # ping, block starts and ends; new kinds are to be ignored, says the reference
                    pass
        except (KeyError, TypeError, AttributeError) as error:
            raise _misshapen(event) from error
        return None


def _whole(body: Json) -> Json:
    """A stream's request as one for the whole answer."""
    body.pop("stream_options", None)
    return body | {"stream": False}


def _parse(event: Event) -> Json:
    try:
        said = from_json(event.data)
    except ValueError:
        said = _parse_leniently(event)  # half of a character pair, written as an escape, is JSON to most
    if not isinstance(said, dict):
        raise _misshapen(event)
    return said


def _parse_leniently(event: Event) -> Any:
    try:
        return json.loads(event.data)
    except ValueError as error:
        raise UpstreamRefused("the upstream sent what is not JSON", sent=event.data[:200]) from error


def _misshapen(event: Event) -> UpstreamRefused:
    return UpstreamRefused("the upstream sent what its API does not document", sent=event.data[:200])


def _finish(known: Mapping[str, FinishReason], reason: str) -> FinishReason:
    """Ours for theirs. An answer that was cut for any other reason (a filter, a tool) is not passed off as whole."""
    if reason not in known:
        raise UpstreamRefused(f"the upstream broke the answer off: {reason}", finish_reason=reason)
    return known[reason]


def _openai_logprob(each: Json) -> TokenLogprob:
    top = tuple((str(other["token"]), float(other["logprob"])) for other in each.get("top_logprobs") or ())
    return TokenLogprob(str(each["token"]), float(each["logprob"]), top)
