"""A home served in a process of its own, which hears through a pipe what to do and answers when it is done."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import uvicorn

from emeritus.app import App
from emeritus.cli.serve import build, collect_seldom


def serve(app: App, pipe: Connection, heed: Callable[[str, str], Awaitable[object]]) -> None:
    """Serve on loopback, tell the address, and heed what comes, until ("end", "") or the pipe's other side is gone.

    What comes is what to do and a name; what `heed` gives goes back.
    """

    async def serving() -> None:
        # the protocol is named, as in `emeritus serve`: asyncio sends what is written at once only where it sees TCP
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def ready() -> None:
            collect_seldom()
            pipe.send(address)

        site = build(app, address, jobs=False, ready=ready)
        server = uvicorn.Server(uvicorn.Config(site, log_config=None, access_log=False, lifespan="on"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while (word := await asyncio.to_thread(_word, pipe))[0] != "end":
            pipe.send(await heed(*word))
        server.should_exit = True
        await task

    try:
        asyncio.run(serving())
    finally:
        app.close()


def _word(pipe: Connection) -> tuple[str, str]:
    try:
        what, name = pipe.recv()
    except EOFError:
        return "end", ""
    return str(what), str(name)
