"""What OpenAI's clients may ask, by address."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from emeritus.gateway.endpoint import Endpoint, Gate
from emeritus.gateway.openai.chat import parse
from emeritus.gateway.openai.face import OpenAIFace

FACE = OpenAIFace()


def routes(gate: Gate) -> Sequence[BaseRoute]:
    """The routes beside `/models`."""
    return (Route("/chat/completions", Endpoint(gate, FACE, parse).answer, methods=["POST"]),)
