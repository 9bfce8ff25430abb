"""A request's body, read within a limit; parsing it is the wire formats' business."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from emeritus.errors import RequestTooLarge


async def read_body(chunks: AsyncIterable[bytes], announced: str | None, limit: int) -> bytes:
    """A body of at most `limit` bytes; `announced` is its Content-Length. Raises RequestTooLarge without reading on."""
    if announced is not None and announced.isdecimal() and int(announced[:20]) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


async def body_of(receive: Receive) -> AsyncGenerator[bytes, None]:
    """The body's parts as the server hands them over. Raises ClientDisconnect."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body is larger than {limit} bytes", limit=limit)
