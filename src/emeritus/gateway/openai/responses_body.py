"""The body of a `/v1/responses` request as one call. Nothing is kept of it; whoever counts on that is told.

Which fields are followed, refused and ignored is in docs/api.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from emeritus.engines.base import Message, Sampling
from emeritus.errors import BadRequest
from emeritus.gateway.bodies import refusal, refuse_others
from emeritus.gateway.calls import Call
from emeritus.gateway.openai.chat_body import (
    MAX_ALTERNATIVES,
    MAX_TOOLS,
    ROLES,
    StreamOptions,
)

RESPONSE_UNUSED: dict[str, tuple[Any, ...]] = {
    "background": (),
    "context_management": ([],),
    "conversation": (),
    "max_tool_calls": (),
    "moderation": (),
    "previous_response_id": (),
    "prompt": (),
    "reasoning": ({}, {"effort": "none"}),
    "text": ({}, {"format": {"type": "text"}}),
    "truncation": ("disabled",),
}
RESPONSE_IGNORED = frozenset(
    {
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "user",
    }
)
KEPT = ("background", "conversation", "previous_response_id", "prompt")  # need answers that are kept
LOGPROBS = "message.output_text.logprobs"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Logprob(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Text(_Strict):
    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: list[Any] | None = None  # of an answer sent back
    logprobs: list[_Logprob] | None = None


class _Turn(_Strict):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[_Text]
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class _Called(_Strict):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None


class _Output(_Strict):
    type: Literal["function_call_output"]
    call_id: str
    output: str
    id: str | None = None
    status: str | None = None


class ResponseTool(_Strict):
    """A function the model is told of."""

    type: Literal["function"]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: Literal[False] | None = None  # nothing here holds an answer to a schema


def _kind(item: Any) -> str:
    found = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", "message")
    return found if isinstance(found, str) else "message"


_Item = Annotated[
    Annotated[_Turn, Tag("message")]
    | Annotated[_Called, Tag("function_call")]
    | Annotated[_Output, Tag("function_call_output")],
    Discriminator(_kind),
]


class ResponseBody(BaseModel):
    """The fields followed; what is extra is refused or ignored by name."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str
    input: str | Annotated[list[_Item], Field(min_length=1)]
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    tools: Annotated[list[ResponseTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_ALTERNATIVES)] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    store: Literal[False] | None = None


@dataclass(frozen=True, slots=True)
class ResponseCall:
    """A response's request: the call it makes, and what its answer says again."""

    call: Call
    asked: ResponseBody


def parse_response(body: bytes) -> ResponseCall:
    """A response's call from its JSON. Raises BadRequest with the field in `facts["param"]`."""
    try:
        asked = ResponseBody.model_validate_json(body)
    except ValidationError as error:
        if any(entry["loc"] == ("store",) for entry in error.errors(include_url=False, include_input=False)):
            raise _not_kept("store") from error
        raise refusal(error) from error
    for name in KEPT:
        if (asked.model_extra or {}).get(name) not in (None, False):
            raise _not_kept(name)
    others = {name: value for name, value in (asked.model_extra or {}).items() if value is not False}
    refuse_others(others, RESPONSE_UNUSED, RESPONSE_IGNORED)
    if asked.stream_options is not None and not asked.stream:
        raise BadRequest("stream_options needs stream to be true", param="stream_options")
    call = Call(
        asked.model,
        (_messages(asked),),
        _sampling(asked),
        stream=bool(asked.stream),
        tools=() if asked.tool_choice == "none" else tuple(_definition(tool) for tool in asked.tools or ()),
    )
    return ResponseCall(call, asked)


def _not_kept(name: str) -> BadRequest:
    return BadRequest(
        f"{name!r} is not supported: no response is kept here",
        remedy="Leave the field out (or send `store: false`), and send the whole conversation as `input`.",
        param=name,
    )


def _messages(asked: ResponseBody) -> tuple[Message, ...]:
    first = () if asked.instructions is None else (Message("system", asked.instructions),)
    if isinstance(asked.input, str):
        return (*first, Message("user", asked.input))
    return (*first, *(_message(item) for item in asked.input))


def _message(item: _Turn | _Called | _Output) -> Message:
    if isinstance(item, _Called):
        function = {"name": item.name, "arguments": item.arguments}
        return Message("assistant", "", ({"id": item.call_id, "type": "function", "function": function},))
    if isinstance(item, _Output):
        return Message("tool", item.output, (), item.call_id)
    content = item.content if isinstance(item.content, str) else "".join(part.text for part in item.content)
    return Message(ROLES[item.role], content)


def _definition(tool: ResponseTool) -> dict[str, Any]:
    return {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}


def _sampling(asked: ResponseBody) -> Sampling:
    standard = Sampling()
    wanted = asked.top_logprobs is not None or LOGPROBS in (asked.include or ())
    return Sampling(
        max_tokens=asked.max_output_tokens or standard.max_tokens,
        temperature=standard.temperature if asked.temperature is None else asked.temperature,
        top_p=standard.top_p if asked.top_p is None else asked.top_p,
        logprobs=(asked.top_logprobs or 0) if wanted else None,
    )
