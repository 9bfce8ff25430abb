"""The chat's addresses; docs/site.md lists them."""

from __future__ import annotations

from starlette.routing import Route

from emeritus.web.chat import pages


def chat_routes() -> list[Route]:
    """Every page of the chat."""
    return [
        Route("/chat", pages.index),
        Route("/chat/{name}", pages.room, methods=["GET", "POST"]),
        Route("/chat/{name}/answer", pages.answer, methods=["POST"]),
    ]
