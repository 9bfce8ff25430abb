"""From messages to the text a model is given: the tokenizer's own chat template, or a neutral one where it has none.

The neutral template, named in the engine's build as `roles-1`: one line per message, `System: `, `User: ` or
`Assistant: ` and the content, then `Assistant:`. An answer ends where the model begins a new `User:` or `System:` line.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emeritus.engines.base import Message, Tool, unsupported
from emeritus.errors import BadRequest

NEUTRAL = "roles-1"
NEUTRAL_STOPS = ("\nUser:", "\nSystem:")
LABELS = {"system": "System", "user": "User", "assistant": "Assistant"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text, whether the tokenizer still adds its special tokens, and what ends the answer beside the end token."""

    text: str
    add_special_tokens: bool
    stops: tuple[str, ...] = ()


def template_name(tokenizer: Any) -> str:
    """`model` when the tokenizer brings a chat template, else the neutral template's name."""
    return "model" if tokenizer.chat_template else NEUTRAL


def shows_tools(tokenizer: Any) -> bool:
    """Whether the model's own template has a place for tool definitions: it says something else when there is one."""
    if not tokenizer.chat_template:
        return False
    turns = [{"role": "user", "content": "?"}]
    probe = {"name": "probe", "description": "A probe.", "parameters": {"type": "object", "properties": {}}}
    try:
        bare = tokenizer.apply_chat_template(turns, tokenize=False)
        return bool(
            bare != tokenizer.apply_chat_template(turns, [{"type": "function", "function": probe}], tokenize=False)
        )
    except Exception:  # a template that fails on one question may do so on all: such a model is shown no tools
        return False


def render(tokenizer: Any, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> Prompt:
    """The prompt for these messages. Raises BadRequest when the model's own template refuses them.

    Raises NotSupported for tools and their results where the model has no template of its own.
    """
    if not tokenizer.chat_template:
        if tools or any(message.role == "tool" or message.tool_calls for message in messages):
            raise unsupported("tools")
        return Prompt(neutral(messages), add_special_tokens=True, stops=NEUTRAL_STOPS)
    turns = [_turn(message) for message in messages]
    try:
        text = tokenizer.apply_chat_template(turns, _tools(tools), tokenize=False, add_generation_prompt=True)
    except Exception as error:  # whatever a template from outside does wrong; the sandbox bounds what it can do
        raise BadRequest(f"the model's chat template refuses these messages: {error}", field="messages") from error
    return Prompt(text, add_special_tokens=False)


def _tools(tools: Sequence[Tool]) -> list[dict[str, Any]] | None:
    return [dict(tool) for tool in tools] or None


def _turn(message: Message) -> dict[str, Any]:
    """A message as templates know it: the arguments of a call as an object, where OpenAI has them as text."""
    turn = message.as_dict()
    calls = []
    for call in turn.get("tool_calls", ()):
        function = dict(call.get("function") or {})
        with contextlib.suppress(TypeError, ValueError):
            function["arguments"] = json.loads(function.get("arguments") or "{}")
        calls.append({**call, "function": function})
    return {**turn, "tool_calls": calls} if calls else turn


def neutral(messages: Sequence[Message]) -> str:
    """The neutral template."""
    lines = [f"{LABELS[message.role]}: {message.content}\n" for message in messages]
    return "".join(lines) + "Assistant:"
