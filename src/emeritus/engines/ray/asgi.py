"""The least of ASGI that the steward and the replicas need: a body as JSON, an answer as JSON, lines as they come.

Knows no model. (Only the faces know the web framework.)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

Json = dict[str, Any]
Receive = Callable[[], Awaitable[Json]]
Send = Callable[[Json], Awaitable[None]]


async def live(receive: Receive, send: Send) -> None:
    """The start and the end of the application, which need nothing done."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def body(receive: Receive) -> Json:
    """The request's body. Raises ValueError for what is no JSON object."""
    data, more = b"", True
    while more:
        message = await receive()
        data, more = data + message.get("body", b""), message.get("more_body", False)
    found = json.loads(data or b"{}")
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


async def say(send: Send, said: Json, status: int = 200) -> None:
    """One JSON object as the whole answer."""
    await _start(send, status, b"application/json")
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


async def say_lines(send: Send, receive: Receive, lines: AsyncGenerator[Json, None], beat_s: float) -> None:
    """Each as a line of its own, with a beat between when they are slow; a client who leaves ends it."""
    await _start(send, 200, b"application/x-ndjson")
    gone = asyncio.ensure_future(_gone(receive))
    task: asyncio.Future[Json] | None = None
    try:
        while True:
            task = asyncio.ensure_future(_next(lines)) if task is None else task
            waiting: set[asyncio.Future[Any]] = {task, gone}
            await asyncio.wait(waiting, timeout=beat_s, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return
            if not task.done():
                await _line(send, {"beat": True})
                continue
            line, task = task.result(), None
            if not line:
                break
            await _line(send, line)
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        await lines.aclose()


async def _next(lines: AsyncGenerator[Json, None]) -> Json:
    async for line in lines:
        return line
    return {}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, kind: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})


async def _line(send: Send, said: Json) -> None:
    data = json.dumps(said, separators=(",", ":")).encode() + b"\n"
    await send({"type": "http.response.body", "body": data, "more_body": True})
