"""A request's body, read within a limit; parsing it is the wire formats' business."""

from __future__ import annotations

from collections.abc import AsyncIterable

from emeritus.errors import RequestTooLarge


async def read_body(chunks: AsyncIterable[bytes], announced: str | None, limit: int) -> bytes:
    """A body of at most `limit` bytes; `announced` is its Content-Length. Raises RequestTooLarge without reading on."""
    too_large = RequestTooLarge(f"the body is larger than {limit} bytes", limit=limit)
    if announced is not None and announced.isdecimal() and int(announced[:20]) > limit:
        raise too_large
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)
