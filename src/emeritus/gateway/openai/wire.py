"""OpenAI's response shapes: the types of its own SDK, built from engine values, and what this API adds to them.

Fields that were never set are not sent, as OpenAI does. The namespaced `emeritus` object carries what OpenAI has no
field for. Importing this imports the SDK: only what serves the API does (docs/adr/0013-the-sdks-types.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from openai.types import CompletionUsage
from openai.types import Model as SdkModel
from openai.types.chat import ChatCompletionTokenLogprob
from openai.types.chat.chat_completion_token_logprob import TopLogprob
from openai.types.shared import ErrorObject
from pydantic import BaseModel

from emeritus.engines.base import TokenLogprob
from emeritus.gateway.standing import Standing

UNLIKELY = -9999.0  # OpenAI's value for a log-probability that cannot be written as a JSON number


class Model(SdkModel):
    """A resident. `shutdown_date` is the day it leaves or left the offering, which need not end access."""

    emeritus: Standing


class ModelList(BaseModel):
    """Every resident."""

    object: str
    data: Sequence[Model]


class ErrorFact(ErrorObject):
    """An error in OpenAI's shape, with what to do about it."""

    remedy: str


class ErrorBody(BaseModel):
    """The envelope of an error."""

    error: ErrorFact


def as_json(value: BaseModel) -> bytes:
    """Compact JSON, UTF-8, of the fields that were set."""
    return value.model_dump_json(exclude_unset=True).encode()


def usage(prompt: int, completion: int) -> CompletionUsage:
    """Token counts with their sum."""
    return CompletionUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def token_logprobs(tokens: Iterable[TokenLogprob]) -> list[ChatCompletionTokenLogprob]:
    """Tokens and their alternatives. `bytes` is null where a token is only part of a character."""
    return [
        ChatCompletionTokenLogprob(
            token=entry.token,
            bytes=token_bytes(entry.token),
            logprob=finite(entry.logprob),
            top_logprobs=[
                TopLogprob(token=token, bytes=token_bytes(token), logprob=finite(logprob))
                for token, logprob in entry.top
            ],
        )
        for entry in tokens
    ]


def token_bytes(token: str) -> list[int] | None:
    """A token's UTF-8 bytes; None where they are not known."""
    return None if "\ufffd" in token else list(token.encode())


def finite(logprob: float) -> float:
    """The log-probability as a JSON number."""
    return logprob if math.isfinite(logprob) else UNLIKELY
