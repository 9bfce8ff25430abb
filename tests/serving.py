"""Serving on loopback as tests need it: from this loop, or from a thread beside a test that blocks. Knows no room."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp


def _server(app: ASGIApp, lifespan: str) -> tuple[uvicorn.Server, socket.socket, str]:
    """A server, its listening socket and its address: who calls before it serves waits in the socket's queue."""
    config = uvicorn.Config(app, lifespan=lifespan, ws="none", log_level="critical")
    # the protocol is named, as in `emeritus serve`: asyncio sends what is written at once only where it sees TCP
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    return uvicorn.Server(config), listening, f"http://127.0.0.1:{listening.getsockname()[1]}"


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """That application, without its lifespan, served by this loop; yields its address."""
    server, listening, address = _server(app, "off")
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield address
    finally:
        server.should_exit = True
        await task


@contextmanager
def serving_beside(app: ASGIApp) -> Iterator[str]:
    """That application, with its lifespan, served by a thread; yields its address."""
    server, listening, address = _server(app, "auto")
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()
