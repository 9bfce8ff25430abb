"""Sending an answer while it is produced, on a stream held open by comments while the resident wakes.

The answer is produced in a task of its own, which alone enters and leaves the resident's context, and handed over
through a short queue, so that a slow reader slows the engine and not the memory. An error gets its proper status until
the stream has begun; later it becomes an error event, and the stream ends without `[DONE]`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from emeritus.engines.base import Piece
from emeritus.errors import EmeritusError
from emeritus.gateway.backend import Limits
from emeritus.gateway.chunks import DONE, WAKING, WORKING, Chunks
from emeritus.gateway.connection import CallerGone, while_connected
from emeritus.gateway.refusals import error_body, log_fault, refuse

QUEUED_PIECES = 16


class Production:
    """An answer being produced in its own task."""

    def __init__(self, pieces: AsyncGenerator[Piece, None]) -> None:
        self._queue: asyncio.Queue[Piece | EmeritusError | None] = asyncio.Queue(QUEUED_PIECES)
        self._task = asyncio.create_task(self._run(pieces))

    async def next(self, timeout_s: float) -> Piece | None:
        """The next piece, None at the end. Raises what ended the answer, TimeoutError when nothing came in time."""
        async with asyncio.timeout(timeout_s):
            item = await self._queue.get()
        if isinstance(item, EmeritusError):
            raise item
        return item

    async def stop(self) -> None:
        """End it, and return when it has let go of the resident."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, pieces: AsyncGenerator[Piece, None]) -> None:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    await self._queue.put(piece)
        except EmeritusError as error:
            await self._queue.put(error)
        except Exception as error:  # a defect of ours must still end the stream with an error its caller can read
            fault = EmeritusError(f"the answer could not be produced: {error!r}")
            fault.__cause__ = error
            await self._queue.put(fault)
        else:
            await self._queue.put(None)


class StreamedAnswer:
    """The ASGI response that streams one answer."""

    def __init__(
        self, pieces: AsyncGenerator[Piece, None], chunks: Chunks, headers: Mapping[str, str], limits: Limits
    ) -> None:
        self._pieces = pieces
        self._chunks = chunks
        self._headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", **headers}
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, until its caller leaves."""
        try:
            await while_connected(receive, self._answer(scope, receive, send))
        except CallerGone:
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        production = Production(self._pieces)
        begun = False
        try:
            async with aclosing(self._events(production)) as events:
                async for event in events:
                    if not begun:
                        await send({"type": "http.response.start", "status": 200, "headers": self._raw_headers()})
                        begun = True
                    await send({"type": "http.response.body", "body": event, "more_body": True})
        except EmeritusError as error:
            if not begun:
                await refuse(error)(scope, receive, send)
                return
            log_fault(error)
            event = b"data: " + error_body(error).as_json() + b"\n\n"
            await send({"type": "http.response.body", "body": event, "more_body": True})
        finally:
            await production.stop()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, production: Production) -> AsyncGenerator[bytes, None]:
        comment, patience = WAKING, self._limits.grace_s
        while True:
            try:
                piece = await production.next(patience)
            except TimeoutError:
                yield comment
            else:
                if piece is None:
                    yield DONE
                    return
                comment = WORKING
                event = self._chunks.of(piece)
                if not event:
                    continue  # the resident is awake but has said nothing: an error may still get its status
                yield event
            patience = self._limits.heartbeat_s

    def _raw_headers(self) -> list[tuple[bytes, bytes]]:
        return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()]
