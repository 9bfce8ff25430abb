"""Conversations as Anthropic writes them, blocks and tools included, as the messages every engine knows.

Several texts in a row, whether blocks of a turn or turns of one role, are one turn, a line break between them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from emeritus.engines.base import Message
from emeritus.errors import BadRequest


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Block(_Strict):
    cache_control: dict[str, Any] | None = None  # accepted, and without effect: nothing is cached between requests


class TextBlockSent(_Block):
    """A text."""

    type: Literal["text"]
    text: str
    citations: Annotated[list[Any], Field(max_length=0)] | None = None  # null when an answer is sent back


class ToolUseSent(_Block):
    """A call that an earlier answer is said to have made."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ToolResultSent(_Block):
    """What a tool gave back."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[TextBlockSent] | None = None
    is_error: Literal[False] | None = None  # no chat template has a place for it


BlockSent = Annotated[TextBlockSent | ToolUseSent | ToolResultSent, Field(discriminator="type")]


class Turn(_Strict):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[BlockSent]


class Tool(_Block):
    """A tool the model is told of."""

    type: Literal["custom"] | None = None
    name: Annotated[str, Field(min_length=1, max_length=128)]
    description: str | None = None
    input_schema: dict[str, Any]
    strict: Literal[False] | None = None  # nothing here holds an answer to a schema
    defer_loading: Literal[False] | None = None
    eager_input_streaming: bool | None = None  # accepted, and without effect: calls are part of the text


class ToolChoice(_Strict):
    """Whether tools are shown: a call cannot be forced."""

    type: Literal["auto", "none"]
    disable_parallel_tool_use: Literal[False] | None = None


def conversation(system: str | Sequence[TextBlockSent] | None, turns: Sequence[Turn]) -> tuple[Message, ...]:
    """The messages. Raises BadRequest for blocks of the wrong role and for an answer that is begun for the model."""
    if turns[-1].role == "assistant":
        raise BadRequest(
            "the last message is an assistant's: an answer begun by its caller is not continued here",
            remedy="End with a user's message.",
            param=f"messages.{len(turns) - 1}.role",
        )
    said = [Message("system", _text(system))] if system else []
    for index, turn in enumerate(turns):
        for message in _messages(turn, index):
            last = said[-1] if said else None
            if last is not None and last.role == message.role and message.role != "tool":
                said[-1] = Message(
                    last.role, _joined(last.content, message.content), last.tool_calls + message.tool_calls
                )
            else:
                said.append(message)
    return tuple(said)


def definitions(tools: Sequence[Tool] | None, choice: ToolChoice | None) -> tuple[dict[str, Any], ...]:
    """Tools as chat templates take them; none when they are not to be used."""
    if choice is not None and choice.type == "none":
        return ()
    return tuple({"type": "function", "function": _function(tool)} for tool in tools or ())


def _function(tool: Tool) -> dict[str, Any]:
    described = {} if tool.description is None else {"description": tool.description}
    return {"name": tool.name, **described, "parameters": tool.input_schema}


def _messages(turn: Turn, index: int) -> list[Message]:
    """A turn's messages: each tool's result is one of its own."""
    if isinstance(turn.content, str):
        return [Message(turn.role, turn.content)]
    said: list[Message] = []
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for place, block in enumerate(turn.content):
        if isinstance(block, TextBlockSent):
            texts.append(block.text)
            continue
        if (turn.role, block.type) not in (("assistant", "tool_use"), ("user", "tool_result")):
            where = f"messages.{index}.content.{place}.type"
            raise BadRequest(f"a block {block.type!r} has no place in a message of the role {turn.role!r}", param=where)
        if isinstance(block, ToolUseSent):
            function = {"name": block.name, "arguments": json.dumps(block.input, ensure_ascii=False)}
            calls.append({"id": block.id, "type": "function", "function": function})
        else:
            if texts:
                said.append(Message(turn.role, "\n".join(texts)))
            texts = []
            said.append(Message("tool", _text(block.content or ""), tool_call_id=block.tool_use_id))
    if texts or calls or not said:
        said.append(Message(turn.role, "\n".join(texts), tuple(calls)))
    return said


def _text(content: str | Sequence[TextBlockSent]) -> str:
    return content if isinstance(content, str) else "\n".join(block.text for block in content)


def _joined(first: str, second: str) -> str:
    return f"{first}\n{second}" if first and second else first or second
