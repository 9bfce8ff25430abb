"""The body of a `/v1/completions` request as one call. Which fields are followed, refused and ignored: docs/api.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emeritus.engines.base import Sampling
from emeritus.errors import BadRequest
from emeritus.gateway.bodies import refusal, refuse_others
from emeritus.gateway.calls import MAX_CHOICES, Call
from emeritus.gateway.openai.chat_body import StreamOptions, include_usage, stop_sequences

MAX_TOKENS = 16  # OpenAI's default here
COMPLETION_UNUSED: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "suffix": ("",),
}
COMPLETION_IGNORED = frozenset({"user"})


class CompletionBody(BaseModel):
    """The fields followed; what is extra is refused or ignored by name."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=MAX_CHOICES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: bool | None = None


@dataclass(frozen=True, slots=True)
class CompletionCall:
    """A completion request: the call it makes, and what only its answer's form depends on."""

    call: Call
    include_usage: bool
    echo: bool


def parse_completion(body: bytes) -> CompletionCall:
    """A completion's call from its JSON. Raises BadRequest with the field in `facts["param"]`."""
    try:
        asked = CompletionBody.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error) from error
    refuse_others(asked.model_extra, COMPLETION_UNUSED, COMPLETION_IGNORED)
    prompts = (asked.prompt,) if isinstance(asked.prompt, str) else tuple(asked.prompt)
    n = asked.n or 1
    if n * len(prompts) > MAX_CHOICES:
        raise BadRequest(f"n times the prompts is above {MAX_CHOICES}", param="n")
    if asked.echo and asked.logprobs is not None:
        raise BadRequest(
            "echo does not go with logprobs: the prompt's own log-probabilities are not told", param="echo"
        )
    standard = Sampling()
    sampling = Sampling(
        max_tokens=asked.max_tokens or MAX_TOKENS,
        temperature=standard.temperature if asked.temperature is None else asked.temperature,
        top_p=standard.top_p if asked.top_p is None else asked.top_p,
        seed=asked.seed,
        stop=stop_sequences(asked.stop),
        logprobs=asked.logprobs,
    )
    call = Call(asked.model, prompts, sampling, stream=bool(asked.stream), n=n)
    return CompletionCall(call, include_usage(asked.stream, asked.stream_options), bool(asked.echo))


def _refusal(error: ValidationError) -> BadRequest:
    of_prompt = [entry for entry in error.errors(include_url=False) if entry["loc"][:1] == ("prompt",)]
    if any(type(entry["input"]) in (int, list) for entry in of_prompt if len(entry["loc"]) > 2):
        return BadRequest(
            "prompt is a text or a list of texts: token ids are not taken",
            remedy="Send the text itself; what its tokens are is this model's own tokenizer's business.",
            param="prompt",
        )
    return refusal(error)
