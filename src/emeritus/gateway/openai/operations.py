"""OpenAI's endpoints as the API's description names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openai.types import Completion
from openai.types.chat import ChatCompletion

from emeritus.gateway.openai.chat_body import IGNORED, UNUSED, ChatBody
from emeritus.gateway.openai.completions_body import COMPLETION_IGNORED, COMPLETION_UNUSED, CompletionBody
from emeritus.gateway.openai.responses import KeptResponse
from emeritus.gateway.openai.responses_body import RESPONSE_IGNORED, RESPONSE_UNUSED, ResponseBody
from emeritus.gateway.openai.wire import ErrorBody, Model, ModelList
from emeritus.gateway.openapi import Operation


def operations() -> Sequence[Operation]:
    """All of them."""
    return (
        Operation("get", "/models", "Every resident; wakes nothing.", ModelList, ErrorBody),
        Operation("get", "/models/{id}", "One resident; wakes nothing.", Model, ErrorBody),
        Operation(
            "post",
            "/chat/completions",
            "An answer to a conversation.",
            ChatCompletion,
            ErrorBody,
            ChatBody,
            _unread(UNUSED, IGNORED),
            streams=True,
        ),
        Operation(
            "post",
            "/completions",
            "What follows a raw text.",
            Completion,
            ErrorBody,
            CompletionBody,
            _unread(COMPLETION_UNUSED, COMPLETION_IGNORED),
            streams=True,
        ),
        Operation(
            "post",
            "/responses",
            "An answer as a response of one message.",
            KeptResponse,
            ErrorBody,
            ResponseBody,
            _unread(RESPONSE_UNUSED, RESPONSE_IGNORED),
            streams=True,
        ),
    )


def _unread(unused: Mapping[str, tuple[Any, ...]], ignored: Iterable[str]) -> dict[str, tuple[Any, ...] | None]:
    return {**unused, **dict.fromkeys(ignored)}
