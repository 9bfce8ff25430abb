"""What OpenAI's clients may ask, by address."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from emeritus.gateway.endpoint import Endpoint, Gate
from emeritus.gateway.openai import chat, completions, responses
from emeritus.gateway.openai.batches import Batches
from emeritus.gateway.openai.face import OpenAIFace
from emeritus.gateway.openai.files import Files
from emeritus.gateway.post import Post

FACE = OpenAIFace()


PARSERS = {"/chat/completions": chat.parse, "/completions": completions.parse, "/responses": responses.parse}


def routes(gate: Gate, post: Post | None = None) -> Sequence[BaseRoute]:
    """The routes beside `/models`; without a post there are no files and batches."""
    found: list[BaseRoute] = [
        Route(path, Endpoint(gate, FACE, parse), methods=["POST"]) for path, parse in PARSERS.items()
    ]
    if post is None:
        return found
    files = Files(post, FACE)
    batches = Batches(post, FACE, {f"/v1{path}": parse for path, parse in PARSERS.items()})
    return [
        *found,
        Route("/files", files.send, methods=["POST"]),
        Route("/files", files.index, methods=["GET"]),
        Route("/files/{name}", files.show, methods=["GET"]),
        Route("/files/{name}", files.erase, methods=["DELETE"]),
        Route("/files/{name}/content", files.content, methods=["GET"]),
        Route("/batches", batches.create, methods=["POST"]),
        Route("/batches", batches.index, methods=["GET"]),
        Route("/batches/{name}", batches.show, methods=["GET"]),
        Route("/batches/{name}/cancel", batches.cancel, methods=["POST"]),
    ]
