"""What a person asks, read from the page's script (JSON) or from its plain form. Knows no resident.

The conversation comes with every request, because nobody keeps it here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emeritus.engines.base import Message, Sampling
from emeritus.errors import BadRequest
from emeritus.web.console.forms import Form, clean

MOST_TOKENS, USUAL_TOKENS = 4096, 256
MOST_TURNS = 200


class _Turn(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    role: Literal["user", "assistant"]
    content: str


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    csrf: str = ""
    messages: list[_Turn] = Field(min_length=1, max_length=MOST_TURNS)
    temperature: float = Field(1.0, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int = Field(USUAL_TOKENS, ge=1, le=MOST_TOKENS)


@dataclass(frozen=True, slots=True)
class Asked:
    """A conversation whose last turn is a person's, and how it is to be answered."""

    messages: tuple[Message, ...]
    sampling: Sampling
    csrf: str


def from_json(body: bytes) -> Asked:
    """What the script sent. Raises BadRequest."""
    try:
        return _checked(_Asked.model_validate_json(body))
    except ValidationError as error:
        raise _bad(error) from error


def from_form(form: Form) -> Asked:
    """What the plain form sent: earlier turns as JSON in `before`, the new one in `message`. Raises BadRequest."""
    try:
        before = json.loads(form.get("before") or "[]")
        fields: dict[str, Any] = {
            "messages": [*before, {"role": "user", "content": form.get("message")}],
            "temperature": float(form.get("temperature") or 1),
            "max_tokens": int(form.get("max_tokens") or USUAL_TOKENS),
        }
        return _checked(_Asked.model_validate(fields))
    except ValidationError as error:
        raise _bad(error) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise BadRequest("the form cannot be read", remedy="Send it from the page.") from error


def _checked(asked: _Asked) -> Asked:
    roles = [turn.role for turn in asked.messages]
    if any(role != ("user", "assistant")[place % 2] for place, role in enumerate(roles)) or len(roles) % 2 == 0:
        raise BadRequest("a conversation goes back and forth and ends with your turn", remedy="Send it from the page.")
    if not asked.messages[-1].content.strip():
        raise BadRequest("there is nothing to answer", remedy="Write something first.")
    messages = tuple(
        Message(turn.role, clean(turn.content) if turn.role == "user" else turn.content) for turn in asked.messages
    )
    return Asked(messages, Sampling(max_tokens=asked.max_tokens, temperature=asked.temperature), asked.csrf)


def _bad(error: ValidationError) -> BadRequest:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the request"
    return BadRequest(f"{where}: {first['msg']}", remedy="Send it from the page.")
