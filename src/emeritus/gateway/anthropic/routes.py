"""What Anthropic's clients may ask, by address."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from emeritus.gateway.anthropic.face import AnthropicFace
from emeritus.gateway.anthropic.messages import parse, parse_counting
from emeritus.gateway.endpoint import Endpoint, Gate

FACE = AnthropicFace()


def routes(gate: Gate) -> Sequence[BaseRoute]:
    """The routes beside `/models`."""
    parsers = {"/messages": parse, "/messages/count_tokens": parse_counting}
    return [Route(path, Endpoint(gate, FACE, parser).answer, methods=["POST"]) for path, parser in parsers.items()]
