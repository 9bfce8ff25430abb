"""Anthropic's endpoints as the API's description names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anthropic.types import MessageTokensCount

from emeritus.gateway.anthropic.face import VERSIONS
from emeritus.gateway.anthropic.messages_body import MESSAGE_IGNORED, MESSAGE_UNUSED, CountBody, MessageBody
from emeritus.gateway.anthropic.models import LARGEST_PAGE, LIFECYCLES
from emeritus.gateway.anthropic.wire import Message, ModelCard, ModelPage, Refusal
from emeritus.gateway.openapi import Operation

KEY = {"x-api-key": list[str]()}
SPOKEN: dict[str, Any] = {"name": "anthropic-version", "in": "header", "schema": {"enum": list(VERSIONS)}}
PAGED: tuple[dict[str, Any], ...] = (
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE}},
    {"name": "after_id", "in": "query", "schema": {"type": "string"}},
    {"name": "before_id", "in": "query", "schema": {"type": "string"}},
    {"name": "lifecycle", "in": "query", "schema": {"type": "array", "items": {"enum": list(LIFECYCLES)}}},
)


def operations() -> Sequence[Operation]:
    """All of them."""
    unread = {**MESSAGE_UNUSED, **dict.fromkeys(MESSAGE_IGNORED)}
    spoken, counting = (SPOKEN,), "How many tokens a prompt has."
    return (
        Operation("get", "/models", "Every resident.", ModelPage, Refusal, parameters=(SPOKEN, *PAGED)),
        Operation("get", "/models/{id}", "One resident.", ModelCard, Refusal, parameters=spoken),
        Operation(
            "post",
            "/messages",
            "An answer to a conversation.",
            Message,
            Refusal,
            MessageBody,
            unread,
            True,
            spoken,
            KEY,
        ),
        Operation(
            "post",
            "/messages/count_tokens",
            counting,
            MessageTokensCount,
            Refusal,
            CountBody,
            unread,
            parameters=spoken,
            security=KEY,
        ),
    )
