"""Anthropic's response shapes: the types of its own SDK, built from engine values, and what this API adds to them.

Fields that were never set are not sent. The namespaced `emeritus` object carries what Anthropic has no field for; an
error's `details`, which its SDK reads, carry our code. Importing this imports the SDK: only what serves the API does.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Literal

from anthropic.types import ModelInfo as SdkModelInfo
from anthropic.types import StopReason, TextBlock, Usage
from pydantic import BaseModel

from emeritus.gateway.standing import Standing


class Provenance(BaseModel):
    """What an answer came from."""

    system_fingerprint: str | None  # as in OpenAI's format: it changes only when the weights do


class Message(BaseModel):
    """An answer. Nothing here produces anything but text, so that its schema promises no more than the SDK's."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[TextBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: Usage
    emeritus: Provenance


class MessageStart(BaseModel):
    """How a stream begins."""

    type: Literal["message_start"]
    message: Message


class ModelCard(SdkModelInfo):
    """A resident. `retires_at` is when it leaves or left the offering, which need not end access."""

    emeritus: Standing


class ModelPage(BaseModel):
    """Some of the residents; the ids are those to go on from."""

    data: Sequence[ModelCard]
    has_more: bool
    first_id: str | None
    last_id: str | None


class RefusalDetails(BaseModel):
    """What Anthropic's SDK reads as an error's `error_code`, what to do about it, and the field at fault."""

    error_code: str
    remedy: str
    param: str | None


class RefusalFact(BaseModel):
    """An error in Anthropic's shape. Its types are more than the SDK lists: `request_too_large`, a brown-out's."""

    type: str
    message: str
    details: RefusalDetails


class Refusal(BaseModel):
    """The envelope of an error. The SDK's lacks `details`, which its client reads."""

    type: Literal["error"]
    error: RefusalFact
    request_id: str | None


def as_json(value: BaseModel) -> bytes:
    """Compact JSON, UTF-8, of the fields that were set."""
    return value.model_dump_json(exclude_unset=True).encode()


def event(value: BaseModel) -> bytes:
    """One server-sent event, named as its `type` is."""
    return b"event: " + str(getattr(value, "type", "")).encode() + b"\ndata: " + as_json(value) + b"\n\n"


def request_id() -> str:
    """A new id for a request."""
    return f"req_{secrets.token_hex(12)}"


def usage(prompt: int, completion: int) -> Usage:
    """Token counts; nothing is ever cached between requests."""
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_creation_input_tokens=0,
        cache_read_input_tokens=0,
    )


def stop_reason(finish_reason: str, stop_sequence: str | None) -> StopReason:
    """Why an answer ended, in Anthropic's words."""
    if finish_reason == "length":
        return "max_tokens"
    return "end_turn" if stop_sequence is None else "stop_sequence"
