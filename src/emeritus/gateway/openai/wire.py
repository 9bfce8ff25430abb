"""OpenAI's response shapes, as far as this API answers: models of our own, checked in tests against the SDK's types.

Builders turn engine values into them. Fields that were never set are not sent, as OpenAI does. The namespaced
`emeritus` object carries what OpenAI has no field for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel

from emeritus.engines.base import FinishReason, TokenLogprob

UNLIKELY = -9999.0  # OpenAI's value for a log-probability that cannot be written as a JSON number


class _Wire(BaseModel):
    def as_json(self) -> bytes:
        """Compact JSON, UTF-8, of the fields that were set."""
        return self.model_dump_json(exclude_unset=True).encode()


class TopLogprob(_Wire):
    """One alternative. `bytes` is null where the token is only part of a character, so that its bytes are not known."""

    token: str
    bytes: list[int] | None
    logprob: float


class TokenProbability(TopLogprob):
    """One generated token with its alternatives."""

    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(_Wire):
    """Log-probabilities of a choice's tokens."""

    content: list[TokenProbability]
    refusal: None = None


class AnswerMessage(_Wire):
    """What the model produced."""

    role: Literal["assistant"]
    content: str
    refusal: None = None


class Choice(_Wire):
    """The one answer."""

    index: int
    message: AnswerMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason


class Usage(_Wire):
    """Token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(_Wire):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    system_fingerprint: str | None


class Delta(_Wire):
    """What a chunk adds."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(_Wire):
    """The one answer's next increment."""

    index: int
    delta: Delta
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason | None


class Chunk(_Wire):
    """One event of a streamed answer. `usage` is sent only when asked for, null in all chunks but the last."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    system_fingerprint: str | None
    usage: Usage | None = None


class Standing(_Wire):
    """What OpenAI's model object has no field for: the three axes, the tier, whether it answers although retired."""

    title: str
    status: str
    reachable: bool
    reachable_at: str | None  # RFC 3339: when visiting hours begin
    state: str
    expected_wake_s: float | None
    tier: str
    hours: str | None
    offering: str
    access: str
    preservation: str
    deprecated_at: str | None  # RFC 3339
    retires_at: str | None  # RFC 3339
    weights_digest: str | None
    page: str | None


class Model(_Wire):
    """A resident. `shutdown_date` is the day it leaves or left the offering, which need not end access."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    shutdown_date: str | None
    emeritus: Standing


class ModelList(_Wire):
    """Every resident."""

    object: Literal["list"]
    data: list[Model]


class ErrorFact(_Wire):
    """An error in OpenAI's shape, with our code and what to do about it."""

    message: str
    type: str
    param: str | None
    code: str
    remedy: str


class ErrorBody(_Wire):
    """The envelope of an error."""

    error: ErrorFact


def fingerprint(weights_digest: str | None) -> str | None:
    """`system_fingerprint`: the beginning of the weights' sha256, null when the weights are not held."""
    return None if weights_digest is None else f"fp_{weights_digest[:16]}"


def usage(prompt: int, completion: int) -> Usage:
    """Token counts with their sum."""
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def choice_logprobs(tokens: Iterable[TokenLogprob]) -> ChoiceLogprobs:
    """Tokens and their alternatives as OpenAI writes them."""
    content = [
        TokenProbability(
            token=entry.token,
            bytes=_bytes(entry.token),
            logprob=_finite(entry.logprob),
            top_logprobs=[
                TopLogprob(token=token, bytes=_bytes(token), logprob=_finite(logprob)) for token, logprob in entry.top
            ],
        )
        for entry in tokens
    ]
    return ChoiceLogprobs(content=content, refusal=None)


def _bytes(token: str) -> list[int] | None:
    return None if "\ufffd" in token else list(token.encode())


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else UNLIKELY
