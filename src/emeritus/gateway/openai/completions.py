"""`POST /v1/completions`: raw texts continued, without a chat template; whole or as server-sent events."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from openai.types import Completion, CompletionChoice, CompletionUsage
from openai.types.completion_choice import Logprobs
from pydantic import BaseModel

from emeritus.access.policy import Tokens
from emeritus.engines.base import Answer, FinishReason, Piece, TokenLogprob
from emeritus.errors import EmeritusError
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.calls import Call, sum_used, total
from emeritus.gateway.openai.completions_body import CompletionCall, parse_completion
from emeritus.gateway.openai.events import DONE, event, failure
from emeritus.gateway.openai.wire import as_json, finite, usage
from emeritus.gateway.standing import comment, fingerprint
from emeritus.gateway.wording import Render


class OpenChoice(BaseModel):
    """A choice in a stream: OpenAI sends null until it ends, which its SDK's type does not say."""

    index: int
    text: str
    logprobs: Logprobs | None
    finish_reason: FinishReason | None


class CompletionChunk(BaseModel):
    """One event of a stream: the SDK's `Completion`, with choices that are still open. `usage` only where asked for."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[OpenChoice]
    system_fingerprint: str | None
    usage: CompletionUsage | None = None


def parse(body: bytes) -> tuple[Call, Render]:
    """A completion request as a call, and how its answer is written. Raises BadRequest."""
    asked = parse_completion(body)
    return asked.call, lambda info: CompletionRendering(asked, info)


class CompletionRendering:
    """A `Rendering` of one completion."""

    def __init__(self, asked: CompletionCall, info: ModelInfo) -> None:
        self._asked = asked
        self._call = asked.call
        self._identity, self._created = f"cmpl-{secrets.token_hex(12)}", int(time.time())
        self._info, self._fingerprint = info, fingerprint(info.weights_digest)
        self._said: dict[int, int] = {}  # characters of each choice that were told
        self._ended: dict[int, Tokens] = {}

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's id, where the SDK looks for it."""
        return {"x-request-id": self._identity}

    def whole(self, answers: Sequence[Answer]) -> bytes:
        """A completion."""
        used = total(answers, self._call.n)
        choices = [
            CompletionChoice(
                index=index,
                text=self._echo(index) + answer.text,
                logprobs=self._logprobs(answer.logprobs, 0),
                finish_reason=answer.finish_reason,
            )
            for index, answer in enumerate(answers)
        ]
        return as_json(self._completion(choices, usage(used.prompt, used.completion)))

    def of(self, index: int, piece: Piece) -> bytes:
        """Completions with what was added to one choice."""
        if not piece.text and not piece.logprobs and piece.finish_reason is None:
            return b""
        text = piece.text if index in self._said else self._echo(index) + piece.text
        choice = OpenChoice(
            index=index,
            text=text,
            logprobs=self._logprobs(piece.logprobs, self._said.get(index, 0)),
            finish_reason=piece.finish_reason,
        )
        self._said[index] = self._said.get(index, 0) + len(text)
        if piece.finish_reason is not None:
            self._ended[index] = Tokens(piece.prompt_tokens, piece.completion_tokens)
        return self._event([choice])

    def waiting(self, awake: bool) -> bytes:
        """A comment."""
        return comment(self._info, awake) + b"\n"

    def end(self) -> bytes:
        """What they used where asked for, and `[DONE]`."""
        if not self._asked.include_usage:
            return DONE
        used = sum_used(self._ended, self._call.n)
        return self._event([], usage(used.prompt, used.completion)) + DONE

    def failed(self, error: EmeritusError) -> bytes:
        """An error event."""
        return failure(error)

    def _event(self, choices: list[OpenChoice], used: CompletionUsage | None = None) -> bytes:
        chunk = CompletionChunk(
            id=self._identity,
            object="text_completion",
            created=self._created,
            model=self._call.model,
            choices=choices,
            system_fingerprint=self._fingerprint,
        )
        if self._asked.include_usage:
            chunk.usage = used
        return event(chunk)

    def _completion(self, choices: list[CompletionChoice], used: CompletionUsage) -> Completion:
        return Completion(
            id=self._identity,
            object="text_completion",
            created=self._created,
            model=self._call.model,
            choices=choices,
            system_fingerprint=self._fingerprint,
            usage=used,
        )

    def _echo(self, index: int) -> str:
        prompt = self._call.prompts[index // self._call.n]
        return prompt if self._asked.echo and isinstance(prompt, str) else ""

    def _logprobs(self, tokens: Iterable[TokenLogprob], offset: int) -> Logprobs | None:
        """In the old form: a list for each fact. `offset`: characters of the choice before these tokens."""
        if self._call.sampling.logprobs is None:
            return None
        entries = list(tokens)
        lengths = itertools.accumulate((len(entry.token) for entry in entries), initial=offset)
        return Logprobs(
            text_offset=list(lengths)[:-1],
            tokens=[entry.token for entry in entries],
            token_logprobs=[finite(entry.logprob) for entry in entries],
            top_logprobs=[{token: finite(logprob) for token, logprob in entry.top} for entry in entries],
        )
