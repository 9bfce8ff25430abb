"""The body of a chat request as one call; what is unusable raises BadRequest, naming it.

Which of OpenAI's fields are followed, refused and ignored is decided here and told in docs/api.md. The rule: a field
that would change what the model produces is followed or refused, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emeritus.engines.base import Message, Role, Sampling
from emeritus.errors import BadRequest
from emeritus.gateway.bodies import refusal, refuse_others
from emeritus.gateway.calls import MAX_CHOICES, Call

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
MAX_ALTERNATIVES = 20  # OpenAI's bound on top_logprobs
MAX_TOOLS = 128

# Fields of OpenAI's that this API cannot follow. They may be sent with the value that means "not used".
UNUSED: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": ("none",),
    "verbosity": (),
    "web_search_options": (),
    "moderation": (),
}
# Fields that only label, route or cache a request: accepted, and without effect.
IGNORED = frozenset(
    {
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
    }
)
# Fields of a message that carry nothing when they are null or empty, as when a client sends an answer back.
EMPTY_IN_MESSAGE = frozenset({"name", "refusal", "function_call", "audio", "annotations"})


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["text"]
    text: str


class _Function(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: Literal[False] | None = None  # nothing here holds an answer to a schema


class ToolDefinition(BaseModel):
    """A function the model is told of."""

    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["function"]
    function: _Function


class _Called(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    arguments: str


class ToolCall(BaseModel):
    """A call that an earlier answer is said to have made."""

    model_config = ConfigDict(strict=True, extra="forbid")

    id: str
    type: Literal["function"]
    function: _Called


class _Turn(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class StreamOptions(BaseModel):
    """What is sent with a stream."""

    model_config = ConfigDict(strict=True, extra="forbid")

    include_usage: bool | None = None
    include_obfuscation: bool | None = None  # accepted, and without effect: chunks are never padded


class ChatBody(BaseModel):
    """The fields followed; `extra` holds the others for `_refuse_others`."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str
    messages: Annotated[list[_Turn], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_ALTERNATIVES)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    tools: Annotated[list[ToolDefinition], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto"] | None = None  # a call cannot be forced


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A chat request: the call it makes, and what only its answer's form depends on."""

    call: Call
    include_usage: bool


def parse_chat(body: bytes) -> ChatCall:
    """A chat call from its JSON. Raises BadRequest with the field in `facts["param"]`."""
    try:
        asked = ChatBody.model_validate_json(body)
    except ValidationError as error:
        raise refusal(error) from error
    refuse_others(asked.model_extra, UNUSED, IGNORED)
    messages = tuple(_message(turn, index) for index, turn in enumerate(asked.messages))
    call = Call(
        asked.model,
        (messages,),
        _sampling(asked),
        stream=bool(asked.stream),
        n=asked.n or 1,
        tools=() if asked.tool_choice == "none" else tool_definitions(asked.tools),
    )
    return ChatCall(call, include_usage(asked.stream, asked.stream_options))


def tool_definitions(tools: Sequence[ToolDefinition] | None) -> tuple[dict[str, Any], ...]:
    """As the chat template takes them."""
    return tuple(tool.model_dump(exclude_none=True) for tool in tools or ())


def _message(turn: _Turn, index: int) -> Message:
    for name, value in (turn.model_extra or {}).items():
        if name not in EMPTY_IN_MESSAGE or value not in (None, [], ""):
            where = f"messages.{index}.{name[:80]}"
            raise BadRequest(f"{where!r} is not supported: a message is a role and a text", param=where)
    calls = tuple(call.model_dump() for call in turn.tool_calls or ())
    if calls and turn.role != "assistant":
        raise BadRequest("only an assistant calls tools", param=f"messages.{index}.tool_calls")
    if (turn.tool_call_id is None) == (turn.role == "tool"):
        raise BadRequest("a tool_call_id belongs to the role tool and to no other", param=f"messages.{index}.role")
    if turn.content is None and not calls:
        raise BadRequest("a message needs its text", param=f"messages.{index}.content")
    parts = turn.content or ""
    content = parts if isinstance(parts, str) else "".join(part.text for part in parts)
    return Message(ROLES[turn.role], content, calls, turn.tool_call_id)


def _sampling(asked: ChatBody) -> Sampling:
    standard = Sampling()
    if asked.max_tokens and asked.max_completion_tokens and asked.max_tokens != asked.max_completion_tokens:
        raise BadRequest("max_tokens and max_completion_tokens differ; send one of them", param="max_tokens")
    if asked.top_logprobs is not None and not asked.logprobs:
        raise BadRequest("top_logprobs needs logprobs to be true", param="top_logprobs")
    return Sampling(
        max_tokens=asked.max_completion_tokens or asked.max_tokens or standard.max_tokens,
        temperature=standard.temperature if asked.temperature is None else asked.temperature,
        top_p=standard.top_p if asked.top_p is None else asked.top_p,
        seed=asked.seed,
        stop=stop_sequences(asked.stop),
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
    )


def stop_sequences(stop: str | list[str] | None) -> tuple[str, ...]:
    """None, one or several. Raises BadRequest for an empty one."""
    found = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if "" in found:
        raise BadRequest("a stop sequence is empty", param="stop")
    return found


def include_usage(stream: bool | None, options: StreamOptions | None) -> bool:
    """Whether a stream ends with what it used. Raises BadRequest for options of a stream that was not asked for."""
    if options is None:
        return False
    if not stream:
        raise BadRequest("stream_options needs stream to be true", param="stream_options")
    return bool(options.include_usage)
