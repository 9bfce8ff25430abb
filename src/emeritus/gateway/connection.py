"""Work for a caller that ends when the caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.types import Receive

UNWATCHED_S = 0.02  # work that is done sooner ends no sooner for a caller that leaves; watching costs a task
T = TypeVar("T")


class CallerGone(Exception):
    """The caller closed the connection before the work was done."""


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the caller leaves (CallerGone) or the server stops.

    The request's body must have been read. Returns only after `work` has ended, cancelled or not.
    """
    loop = asyncio.get_running_loop()
    watching: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(None) as staying:  # it expires when the caller leaves
            timer = loop.call_later(UNWATCHED_S, lambda: watching.append(loop.create_task(_watch(receive, staying))))
            return await work
    except TimeoutError:
        if staying.expired():
            raise CallerGone from None
        raise
    finally:
        timer.cancel()
        for task in watching:
            task.cancel()
        if watching:
            await asyncio.gather(*watching, return_exceptions=True)


async def _watch(receive: Receive, staying: asyncio.Timeout) -> None:
    with suppress(OSError):
        while (await receive())["type"] != "http.disconnect":
            pass
    staying.reschedule(asyncio.get_running_loop().time())
