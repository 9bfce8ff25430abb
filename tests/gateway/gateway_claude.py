"""What the Anthropic SDK is made to ask, and which fields of an answer its types do not know."""

from __future__ import annotations

from typing import Any

from anthropic import BaseModel as SdkModel
from gateway_house import WORDS

ASK: list[Any] = [{"role": "user", "content": "Who are you?"}]
ASKED: dict[str, Any] = {"model": "ibis", "max_tokens": 99, "messages": ASK}
TEXT = "".join(WORDS)
TOOL: Any = {"name": "look", "description": "Look.", "input_schema": {"type": "object", "properties": {}}}


def unknown(value: object, path: str = "") -> list[str]:
    """Fields that Anthropic's types do not know, by path."""
    if isinstance(value, SdkModel):
        found = [f"{path}.{name}" for name in value.model_extra or {}]
        for name in type(value).model_fields:
            found += unknown(getattr(value, name), f"{path}.{name}")
        return found
    return [entry for item in value for entry in unknown(item, f"{path}[]")] if isinstance(value, list) else []
