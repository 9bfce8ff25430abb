"""Anthropic's endpoints as the API's description names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from anthropic.types import MessageTokensCount
from anthropic.types.messages import DeletedMessageBatch, MessageBatch

from emeritus.gateway.anthropic.batches import JSONL, BatchesBody, BatchPage
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
)
STAGES: tuple[dict[str, Any], ...] = (
    {"name": "lifecycle", "in": "query", "schema": {"type": "array", "items": {"enum": list(LIFECYCLES)}}},
)


def operations(post: bool = False) -> Sequence[Operation]:
    """All of them; those of batches where a post is kept."""
    unread = {**MESSAGE_UNUSED, **dict.fromkeys(MESSAGE_IGNORED)}
    spoken, counting = (SPOKEN,), "How many tokens a prompt has."
    return (
        *(_posted() if post else ()),
        Operation("get", "/models", "Every resident.", ModelPage, Refusal, parameters=(SPOKEN, *PAGED, *STAGES)),
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


def _posted() -> Sequence[Operation]:
    at, one = "/messages/batches", "/messages/batches/{id}"
    asked, brought = BatchesBody[MessageBody], "What became of each message."
    found = (
        Operation("post", at, "Takes a batch of messages in.", MessageBatch, Refusal, asked),
        Operation("get", at, "Your batches, the newest first.", BatchPage, Refusal, parameters=PAGED),
        Operation("get", one, "One batch.", MessageBatch, Refusal),
        Operation("delete", one, "Erases a batch that has ended.", DeletedMessageBatch, Refusal),
        Operation("post", f"{one}/cancel", "Asks nothing more of a batch.", MessageBatch, Refusal),
        Operation("get", f"{one}/results", brought, JSONL, Refusal),
    )
    return [replace(each, parameters=(SPOKEN, *each.parameters), keyed=True, security=KEY) for each in found]
