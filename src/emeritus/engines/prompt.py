"""From messages to the text a model is given: the tokenizer's own chat template, or a neutral one where it has none.

The neutral template, named in the engine's build as `roles-1`: one line per message, `System: `, `User: ` or
`Assistant: ` and the content, then `Assistant:`. An answer ends where the model begins a new `User:` or `System:` line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emeritus.engines.base import Message
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


def render(tokenizer: Any, messages: Sequence[Message]) -> Prompt:
    """The prompt for these messages. Raises BadRequest when the model's own template refuses them."""
    if not tokenizer.chat_template:
        return Prompt(neutral(messages), add_special_tokens=True, stops=NEUTRAL_STOPS)
    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # whatever a template from outside does wrong; the sandbox bounds what it can do
        raise BadRequest(f"the model's chat template refuses these messages: {error}", field="messages") from error
    return Prompt(text, add_special_tokens=False)


def neutral(messages: Sequence[Message]) -> str:
    """The neutral template."""
    lines = [f"{LABELS[message.role]}: {message.content}\n" for message in messages]
    return "".join(lines) + "Assistant:"
