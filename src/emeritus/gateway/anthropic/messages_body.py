"""The body of a message's request, or of a count of its tokens, as one call; what is unusable raises BadRequest.

Which of Anthropic's fields are followed, refused and ignored is decided here and told in docs/api.md. The rule is that
of OpenAI's format: what would change what the model produces is followed or refused, never dropped in silence.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emeritus.engines.base import Sampling
from emeritus.errors import BadRequest
from emeritus.gateway.anthropic.blocks import TextBlockSent, Tool, ToolChoice, Turn, conversation, definitions
from emeritus.gateway.bodies import refusal, refuse_others
from emeritus.gateway.calls import Call

MAX_TURNS = 100_000  # Anthropic's bound
MAX_TOOLS = 128
MAX_STOPS = 64

B = TypeVar("B", bound="CountBody")

# Fields of Anthropic's that this API cannot follow. They may be sent with the value that means "not used".
MESSAGE_UNUSED: dict[str, tuple[Any, ...]] = {
    "top_k": (),
    "thinking": ({"type": "disabled"},),
    "output_config": ({},),
    "output_format": (),
    "speed": ("standard",),
    "inference_geo": (),
    "container": (),
    "context_management": ({},),
    "mcp_servers": ([],),
    "diagnostics": (),
}
# Fields that only label, route or cache a request: accepted, and without effect.
MESSAGE_IGNORED = frozenset({"cache_control", "metadata", "service_tier", "user_profile_id"})


class CountBody(BaseModel):
    """What a prompt is made of; `extra` holds the fields not read for `refuse_others`."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str
    messages: Annotated[list[Turn], Field(min_length=1, max_length=MAX_TURNS)]
    system: str | list[TextBlockSent] | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoice | None = None


class MessageBody(CountBody):
    """The fields followed."""

    max_tokens: Annotated[int, Field(ge=1, le=1 << 20)]
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    stop_sequences: Annotated[list[str], Field(max_length=MAX_STOPS)] | None = None


def parse_message(body: bytes) -> Call:
    """A call from the JSON of a message's request. Raises BadRequest with the field in `facts["param"]`."""
    asked = _read(MessageBody, body)
    stops = tuple(asked.stop_sequences or ())
    if "" in stops:
        raise BadRequest("a stop sequence is empty", param="stop_sequences")
    standard = Sampling()
    return Call(
        asked.model,
        (conversation(asked.system, asked.messages),),
        Sampling(
            max_tokens=asked.max_tokens,
            temperature=standard.temperature if asked.temperature is None else asked.temperature,
            top_p=standard.top_p if asked.top_p is None else asked.top_p,
            stop=stops,
        ),
        stream=bool(asked.stream),
        tools=definitions(asked.tools, asked.tool_choice),
        count_first=bool(asked.stream),
    )


def parse_count(body: bytes) -> Call:
    """A call that only counts, from its JSON. Raises BadRequest with the field in `facts["param"]`."""
    asked = _read(CountBody, body)
    messages = conversation(asked.system, asked.messages)
    return Call(
        asked.model, (messages,), Sampling(), tools=definitions(asked.tools, asked.tool_choice), count_only=True
    )


def _read(kind: type[B], body: bytes) -> B:
    try:
        asked = kind.model_validate_json(body)
    except ValidationError as error:
        raise refusal(error) from error
    refuse_others(asked.model_extra, MESSAGE_UNUSED, MESSAGE_IGNORED)
    return asked
