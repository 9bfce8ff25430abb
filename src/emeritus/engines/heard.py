"""What a model's process or replica may say: one line of JSON, checked whole before any of it is used.

A process that has gone wrong may say anything; whoever listens to it must neither fall over nor wait for ever. Knows
no transport. The forms are told in `worker` and `ray/words`.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field, InstanceOf, TypeAdapter, with_config
from typing_extensions import TypedDict

from emeritus.engines.base import FinishReason

Json = dict[str, Any]
Count = Annotated[int, Field(strict=True, ge=0)]
Words = InstanceOf[str]  # may name a file whose name is no Unicode
OWN = {"self", "message", "remedy"}


def _free(facts: Json) -> Json:
    if OWN & facts.keys():
        raise ValueError("a fact bears a name of the error's own")
    return facts


class _Token(TypedDict):
    token: str
    logprob: float
    top: list[tuple[str, float]]


@with_config(extra="forbid")
class _Piece(TypedDict):
    text: str
    logprobs: list[_Token]
    finish_reason: FinishReason | None
    prompt_tokens: Count
    completion_tokens: Count
    stop_sequence: str | None


class _Scored(TypedDict):
    token_ids: list[Count]
    logprobs: list[float]


class _Error(TypedDict):
    code: str
    message: Words
    remedy: Words
    facts: Annotated[dict[str, Any], AfterValidator(_free)]


@with_config(extra="forbid")
class _Line(TypedDict, total=False):
    call: Count | None
    ready: bool
    config: Json
    versions: dict[str, str]
    tools: bool
    piece: _Piece
    scored: _Scored
    counted: Count
    perturbed: list[_Scored]
    beat: bool
    end: bool
    error: _Error
    replica: str


_LINE = TypeAdapter(_Line)


def read_line(line: bytes) -> Json:
    """What one line says. Raises ValueError where it is none of the forms."""
    try:
        found = json.loads(line)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    return dict(_LINE.validate_python(found))
