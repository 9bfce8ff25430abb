"""The body of a chat request as one call; what is unusable raises BadRequest, naming it.

Which of OpenAI's fields are followed, refused and ignored is decided here and told in docs/api.md. The rule: a field
that would change what the model produces is followed or refused, never dropped in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emeritus.engines.base import Message, Role, Sampling
from emeritus.errors import BadRequest
from emeritus.gateway.calls import Call

ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
MAX_ALTERNATIVES = 20  # OpenAI's bound on top_logprobs

# Fields of OpenAI's that this API cannot follow. They may be sent with the value that means "not used".
UNUSED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
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
EMPTY_IN_MESSAGE = frozenset({"name", "refusal", "tool_calls", "function_call", "audio", "annotations"})


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["text"]
    text: str


class _Turn(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]


class _StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    include_usage: bool | None = None
    include_obfuscation: bool | None = None  # accepted, and without effect: chunks are never padded


class _ChatBody(BaseModel):
    """The fields followed; `extra` holds the others for `_refuse_others`."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str
    messages: Annotated[list[_Turn], Field(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_ALTERNATIVES)] | None = None


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A chat request: the call it makes, and what only its answer's form depends on."""

    call: Call
    include_usage: bool


def parse_chat(body: bytes) -> ChatCall:
    """A chat call from its JSON. Raises BadRequest with the field in `facts["param"]`."""
    try:
        asked = _ChatBody.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error) from error
    _refuse_others(asked)
    messages = tuple(_message(turn, index) for index, turn in enumerate(asked.messages))
    return ChatCall(Call(asked.model, (messages,), _sampling(asked), bool(asked.stream)), _include_usage(asked))


def _refuse_others(asked: _ChatBody) -> None:
    for name, value in (asked.model_extra or {}).items():
        if value is None or name in IGNORED:
            continue
        if name not in UNUSED:
            raise BadRequest(f"unknown field {name[:80]!r}", param=name[:80])
        if not any(value == unused and type(value) is not bool for unused in UNUSED[name]):
            raise BadRequest(
                f"{name!r} is not supported here with this value",
                remedy="Leave the field out; a field that would change the answer is never dropped in silence.",
                param=name,
            )


def _message(turn: _Turn, index: int) -> Message:
    for name, value in (turn.model_extra or {}).items():
        if name not in EMPTY_IN_MESSAGE or value not in (None, [], ""):
            where = f"messages.{index}.{name[:80]}"
            raise BadRequest(f"{where!r} is not supported: a message is a role and a text", param=where)
    content = turn.content if isinstance(turn.content, str) else "".join(part.text for part in turn.content)
    return Message(ROLES[turn.role], content)


def _sampling(asked: _ChatBody) -> Sampling:
    standard = Sampling()
    if asked.max_tokens and asked.max_completion_tokens and asked.max_tokens != asked.max_completion_tokens:
        raise BadRequest("max_tokens and max_completion_tokens differ; send one of them", param="max_tokens")
    if asked.top_logprobs is not None and not asked.logprobs:
        raise BadRequest("top_logprobs needs logprobs to be true", param="top_logprobs")
    stop = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
    if "" in stop:
        raise BadRequest("a stop sequence is empty", param="stop")
    return Sampling(
        max_tokens=asked.max_completion_tokens or asked.max_tokens or standard.max_tokens,
        temperature=standard.temperature if asked.temperature is None else asked.temperature,
        top_p=standard.top_p if asked.top_p is None else asked.top_p,
        seed=asked.seed,
        stop=stop,
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
    )


def _include_usage(asked: _ChatBody) -> bool:
    if asked.stream_options is None:
        return False
    if not asked.stream:
        raise BadRequest("stream_options needs stream to be true", param="stream_options")
    return bool(asked.stream_options.include_usage)


def _refusal(error: ValidationError) -> BadRequest:
    found = error.errors(include_url=False, include_input=False)
    first = max(found, key=lambda entry: len(entry["loc"]))  # the deepest: of a union, the branch that was meant
    if first["type"] == "json_invalid":
        return BadRequest(f"the body is not usable JSON: {first['msg'].removeprefix('Invalid JSON: ')}")
    if not first["loc"]:
        return BadRequest("the body is not a JSON object")
    where = ".".join(str(part) for part in first["loc"] if not _names_branch(part))[:200]
    return BadRequest(f"{where}: {first['msg']}", param=where)


def _names_branch(part: int | str) -> bool:
    """Whether a part of a location is pydantic's name for a union's branch rather than a field of the caller's."""
    return isinstance(part, str) and (part == "str" or part.startswith(("list[", "constrained-")))
