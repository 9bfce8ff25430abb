"""What the gateway and a replica say to each other: an order as JSON, and lines of JSON back. Knows no transport.

order   {"do": "stream", "messages", "sampling", "tools"}   {"do": "complete", "text", "sampling"}
        {"do": "count", "messages", "tools"}   {"do": "score", "texts"}   {"do": "perturbed", "texts", "perturbations"}
lines   {"replica": digest} first, then {"piece"} {"counted"} {"scored"} {"perturbed"} {"beat"} and, last, {"end"} or
        {"error": {"code", "message", "remedy", "facts"}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from typing import Any

from emeritus.engines.base import Build, Capabilities, Engine, Perturbation
from emeritus.engines.lines import read_message, read_sampling, write_piece

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
        sampling = read_sampling(order["sampling"])
        pieces = (
            engine.complete(order["text"], sampling)
            if do == "complete"
            else engine.stream([read_message(each) for each in order["messages"]], sampling, order["tools"])
        )
        async for piece in pieces:
            yield {"piece": write_piece(piece)}
    elif do == "count":
        yield {"counted": await engine.count([read_message(each) for each in order["messages"]], order["tools"])}
    elif do == "score":
        for scored in await engine.score(order["texts"]):
            yield {"scored": asdict(scored)}
    else:
        changes = [Perturbation(**each) for each in order["perturbations"]]
        perturbable: Any = engine
        async for found in perturbable.perturbed(order["texts"], changes):
            yield {"perturbed": [asdict(each) for each in found]}


def read_capabilities(fields: Mapping[str, bool]) -> Capabilities:
    """What a replica can do."""
    return Capabilities(**fields)
