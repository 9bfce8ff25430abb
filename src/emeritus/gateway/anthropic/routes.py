"""What Anthropic's clients may ask, by address."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from emeritus.gateway.anthropic.batches import MessageBatches
from emeritus.gateway.anthropic.face import AnthropicFace
from emeritus.gateway.anthropic.messages import parse, parse_counting
from emeritus.gateway.endpoint import Endpoint, Gate
from emeritus.gateway.post import Post

FACE = AnthropicFace()


def routes(gate: Gate, post: Post | None = None) -> Sequence[BaseRoute]:
    """The routes beside `/models`; without a post there are no batches."""
    parsers = {"/messages": parse, "/messages/count_tokens": parse_counting}
    found: list[BaseRoute] = [
        Route(path, Endpoint(gate, FACE, parser), methods=["POST"]) for path, parser in parsers.items()
    ]
    if post is None:
        return found
    batches = MessageBatches(post, FACE)
    return [
        *found,
        Route("/messages/batches", batches.create, methods=["POST"]),
        Route("/messages/batches", batches.index, methods=["GET"]),
        Route("/messages/batches/{name}", batches.show, methods=["GET"]),
        Route("/messages/batches/{name}", batches.erase, methods=["DELETE"]),
        Route("/messages/batches/{name}/cancel", batches.cancel, methods=["POST"]),
        Route("/messages/batches/{name}/results", batches.results, methods=["GET"]),
    ]
