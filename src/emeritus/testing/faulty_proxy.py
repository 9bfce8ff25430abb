"""A bad connection to an HTTP server: a proxy on loopback that does to each request what a plan says.

A working program: without a plan everything passes. Knows no store and no S3; one request per connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

Fault = Literal["lost", "torn", "cut", "busy", "stall", "etag", "refused"]
FAULTS: tuple[Fault, ...] = ("lost", "torn", "cut", "busy", "stall", "etag", "refused")
STALL_S = 30.0  # longer than any client under test waits
_LENGTH = re.compile(rb"(?im)^content-length: *([0-9]+)\r$")
_CONNECTION = re.compile(rb"(?im)^connection:[^\r]*\r\n")
_ETAG = re.compile(rb'(?im)^(etag: *)"[^"]*"')
_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the plan sees it: its number from 1, its method, its path with query, bytes of its body."""

    number: int
    method: str
    path: str
    size: int


Plan = Callable[[Request], Fault | None]


def at(faults: dict[int, Fault]) -> Plan:
    """These faults, by the requests' numbers."""
    return lambda request: faults.get(request.number)


def every(step: int, faults: tuple[Fault, ...]) -> Plan:
    """Each `step`-th request suffers the next of these faults."""
    return lambda request: faults[request.number // step % len(faults)] if request.number % step == 0 else None


class FaultyProxy:
    """Passes requests on to host:port, save where `plan` names a fault:

    - lost: the server does it, the client sees its connection reset
    - torn: the server gets half of the body, then both connections end
    - cut: the client gets half of the answer's body
    - busy: 503 SlowDown, and the server hears nothing
    - stall: no answer ever, and the server hears nothing
    - etag: the answer bears another ETag
    - refused: the connection ends at once

    `plan` may be replaced at any time; `requests` and `faults` are what has been.
    """

    def __init__(self, host: str, port: int, plan: Plan | None = None) -> None:
        self.plan = plan
        self.requests: list[Request] = []
        self.faults: list[tuple[Request, Fault]] = []
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._serving: set[asyncio.Task[None]] = set()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 16))
        self.endpoint = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Take no more connections, and end those there are."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _end(self) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._one(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy is being closed
        finally:
            writer.transport.abort()  # a reset, as from a dying server; what was written and drained has gone
            if task is not None:
                self._serving.discard(task)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        method, path = head.split(b" ", 2)[:2]
        request = Request(len(self.requests) + 1, method.decode(), path.decode(), len(body))
        self.requests.append(request)
        fault = self.plan(request) if self.plan is not None else None
        if fault is not None:
            self.faults.append((request, fault))
        if fault == "refused":
            return
        if fault == "stall":
            await asyncio.sleep(STALL_S)
            return
        if fault == "busy":
            writer.write(b"HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\n\r\n" % len(_BUSY) + _BUSY)
        else:
            answer = await self._ask(head, body[: len(body) // 2] if fault == "torn" else body)
            if fault in ("lost", "torn"):
                return
            writer.write(_changed(answer, fault))
        await writer.drain()
        writer.write_eof()
        await reader.read()  # until the client has it all and ends

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        """The server's answer; to half a request none is waited for."""
        reader, writer = await asyncio.open_connection(*self._target)
        try:
            writer.write(_CONNECTION.sub(b"", head)[:-2] + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
            if len(body) < _length(head):
                writer.write_eof()
            return await reader.read()
        finally:
            writer.close()


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


def _changed(answer: bytes, fault: Fault | None) -> bytes:
    head, gap, body = answer.partition(b"\r\n\r\n")
    head = _CONNECTION.sub(b"", head + b"\r\n")[:-2] + b"\r\nConnection: close"
    if fault == "etag":
        head = _ETAG.sub(rb'\1"00000000000000000000000000000000"', head)
    return head + gap + (body[: len(body) // 2] if fault == "cut" else body)
