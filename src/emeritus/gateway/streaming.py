"""Sending an answer while it is produced, on a stream held open while the resident wakes.

The answer is produced in a task of its own, which alone enters and leaves the resident's context, and handed over
through a short queue, so that a slow reader slows the engine and not the memory. An error gets its proper status until
the stream has begun; later it becomes the vendor's error event, and the stream ends without its proper end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from emeritus.errors import EmeritusError
from emeritus.gateway.backend import Limits
from emeritus.gateway.calls import Said, ended_after
from emeritus.gateway.connection import CallerGone, while_connected
from emeritus.gateway.faults import log_fault
from emeritus.gateway.wording import Refusing, Rendering

QUEUED_PIECES = 64  # produced and not sent yet


class Production:
    """An answer being produced in its own task."""

    def __init__(self, pieces: AsyncGenerator[Said, None], answer_s: float) -> None:
        self._queue: asyncio.Queue[Said | EmeritusError | None] = asyncio.Queue(QUEUED_PIECES)
        self._end: list[EmeritusError | None] = []  # what followed the pieces handed out last, if it has come
        self._task = asyncio.create_task(self._run(pieces, answer_s))

    async def next(self, timeout_s: float) -> list[Said]:
        """All pieces that are there, once there is one; none at the end.

        Raises what ended the answer, TimeoutError when nothing came in time.
        """
        said: list[Said] = []
        if not self._end:
            async with asyncio.timeout(timeout_s):
                item = await self._queue.get()
            while isinstance(item, tuple):
                said.append(item)
                if self._queue.empty():
                    return said
                item = self._queue.get_nowait()
            self._end.append(item)
        if not said and self._end[0] is not None:
            raise self._end[0]
        return said

    async def stop(self) -> None:
        """End it, and return when it has let go of the resident."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, pieces: AsyncGenerator[Said, None], answer_s: float) -> None:
        try:
            async with ended_after(answer_s) as begin, aclosing(pieces):
                async for said in pieces:
                    begin()
                    await self._queue.put(said)
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
        self,
        pieces: AsyncGenerator[Said, None],
        rendering: Rendering,
        face: Refusing,
        headers: Mapping[str, str],
        limits: Limits,
    ) -> None:
        self._pieces = pieces
        self._rendering = rendering
        self._face = face
        self._headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", **headers}
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, until its caller leaves."""
        try:
            await while_connected(receive, self._answer(scope, receive, send))
        except CallerGone:
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        production = Production(self._pieces, self._limits.answer_s)
        begun = False
        try:
            async with aclosing(self._events(production)) as events:
                async for event in events:
                    if not begun:
                        await send({"type": "http.response.start", "status": 200, "headers": self._raw_headers()})
                        begun = True
                    await send({"type": "http.response.body", "body": event, "more_body": True})
        except EmeritusError as error:
            log_fault(error)
            if not begun:
                await self._face.refuse(error)(scope, receive, send)
                return
            await send({"type": "http.response.body", "body": self._rendering.failed(error), "more_body": True})
        finally:
            await production.stop()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, production: Production) -> AsyncGenerator[bytes, None]:
        awake, patience = False, self._limits.grace_s
        while True:
            try:
                said = await production.next(patience)
            except TimeoutError:
                yield self._rendering.waiting(awake)
            else:
                if not said:
                    yield self._rendering.end()
                    return
                awake = True
                event = b"".join([self._rendering.of(index, piece) for index, piece in said])
                if not event:
                    continue  # the resident is awake but has said nothing: an error may still get its status
                yield event
            patience = self._limits.heartbeat_s

    def _raw_headers(self) -> list[tuple[bytes, bytes]]:
        return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()]
