"""What OpenAI's clients may ask, by address."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from emeritus.gateway.endpoint import Endpoint, Gate
from emeritus.gateway.openai import chat, completions, responses
from emeritus.gateway.openai.face import OpenAIFace

FACE = OpenAIFace()


def routes(gate: Gate) -> Sequence[BaseRoute]:
    """The routes beside `/models`."""
    parsers = {"/chat/completions": chat.parse, "/completions": completions.parse, "/responses": responses.parse}
    return [Route(path, Endpoint(gate, FACE, parse).answer, methods=["POST"]) for path, parse in parsers.items()]
