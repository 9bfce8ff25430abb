"""What the Anthropic SDK is made to ask."""

from __future__ import annotations

from typing import Any

from gateway_house import WORDS

ASK: list[Any] = [{"role": "user", "content": "Who are you?"}]
ASKED: dict[str, Any] = {"model": "ibis", "max_tokens": 99, "messages": ASK}
TEXT = "".join(WORDS)
TOOL: Any = {"name": "look", "description": "Look.", "input_schema": {"type": "object", "properties": {}}}
