"""What the gateway and a replica say to each other: an order as JSON, and lines of JSON back. Knows no transport.

order   {"do": "stream", "messages", "sampling", "tools"}   {"do": "complete", "text", "sampling"}
        {"do": "count", "messages", "tools"}   {"do": "score", "texts"}   {"do": "perturbed", "texts", "perturbations"}
lines   {"replica": digest} first, then {"piece"} {"counted"} {"scored"} {"perturbed"} {"beat"} and, last, {"end"} or
        {"error": {"code", "message", "remedy", "facts"}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from emeritus.engines.base import (
    Build,
    Capabilities,
    Engine,
    Message,
    Perturbation,
    Piece,
    Sampling,
    Scored,
    TokenLogprob,
)

Json = dict[str, Any]
APPLICATION = "emeritus"  # the steward's; residents' are called emeritus-…
STEWARD = "/emeritus"  # where it answers
BEAT_S = 2.0  # after so long without a line, one says that the work goes on


def build_digest(build: Build) -> str:
    """sha256 (hex) over what answers, without where."""
    return hashlib.sha256(json.dumps(build.as_dict(), sort_keys=True).encode()).hexdigest()


async def obey(engine: Engine, order: Json) -> AsyncGenerator[Json, None]:
    """What the engine has to say to an order, line by line, without the first and the last."""
    do = order["do"]
    if do in ("stream", "complete"):
        sampling = Sampling(**{**order["sampling"], "stop": tuple(order["sampling"]["stop"])})
        pieces = (
            engine.complete(order["text"], sampling)
            if do == "complete"
            else engine.stream(_messages(order), sampling, order["tools"])
        )
        async for piece in pieces:
            yield {"piece": {name: value for name, value in asdict(piece).items() if name != "raw"}}
    elif do == "count":
        yield {"counted": await engine.count(_messages(order), order["tools"])}
    elif do == "score":
        for scored in await engine.score(order["texts"]):
            yield {"scored": asdict(scored)}
    else:
        changes = [Perturbation(**each) for each in order["perturbations"]]
        perturbable: Any = engine
        async for found in perturbable.perturbed(order["texts"], changes):
            yield {"perturbed": [asdict(each) for each in found]}


def read_piece(fields: Mapping[str, Any]) -> Piece:
    """A piece from its line."""
    logprobs = tuple(
        TokenLogprob(each["token"], each["logprob"], tuple((text, value) for text, value in each["top"]))
        for each in fields["logprobs"]
    )
    return Piece(**{**fields, "logprobs": logprobs})


def read_scored(fields: Mapping[str, Any]) -> Scored:
    """A score from its line."""
    return Scored(tuple(fields["token_ids"]), tuple(fields["logprobs"]))


def read_capabilities(fields: Mapping[str, bool]) -> Capabilities:
    """What a replica can do."""
    return Capabilities(**fields)


def asked(messages: Sequence[Message], tools: Sequence[Any]) -> Json:
    """The part of an order about what is asked."""
    return {"messages": [each.as_dict() for each in messages], "tools": [dict(each) for each in tools]}


def _messages(order: Json) -> list[Message]:
    return [
        Message(each["role"], each["content"], tuple(each.get("tool_calls", ())), each.get("tool_call_id"))
        for each in order["messages"]
    ]
