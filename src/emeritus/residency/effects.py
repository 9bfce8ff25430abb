"""What a residency works with: effects in the world, a clock, and tasks that have deadlines. Knows no policy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from emeritus.engines.base import Engine
from emeritus.errors import EmeritusError
from emeritus.residency.decisions import Need

T = TypeVar("T")
CLOSE_AGAIN_S = 30.0  # between attempts to close what refused to be closed
_log = logging.getLogger(__name__)


class Timer(Protocol):
    """A call that was arranged."""

    def cancel(self) -> None:
        """Call it off."""


class Clock(Protocol):
    """Time, as an event loop has it; tests hand in one that they turn themselves."""

    def time(self) -> float:
        """Seconds, monotonic."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back at that time, in the owning loop."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What a residency does in the world.

    `need_of`: bytes by place; empty for a resident that runs elsewhere. `woke` is told of every load that ended: name,
    seconds, error (None: it succeeded); it returns at once.
    """

    open_resident: Callable[[str], Awaitable[Engine]]
    need_of: Callable[[str], Need]
    canary: Callable[[str, Engine], Awaitable[None]] | None = None
    woke: Callable[[str, float, EmeritusError | None], None] | None = None


class Tasks:
    """Work under way, some of which may hang."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._all: set[asyncio.Task[Any]] = set()
        self._cancelled_at_end: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T], name: str, *, cancel_at_end: bool = False) -> asyncio.Task[T]:
        """Begin something that goes on whoever leaves."""
        task = asyncio.create_task(work, name=name)
        self._all.add(task)
        task.add_done_callback(self._all.discard)
        if cancel_at_end:
            self._cancelled_at_end.add(task)
            task.add_done_callback(self._cancelled_at_end.discard)
        return task

    async def ends(self, task: asyncio.Task[Any], seconds: float) -> bool:
        """Whether it ends within that time; where it does not, it goes on."""
        over = asyncio.ensure_future(self._pause(seconds))
        try:
            await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
        return task.done()

    async def close(self, name: str, engine: Engine) -> None:
        """Close it, and again where that fails while it still lives: its memory is free only once it is gone."""
        while True:
            try:
                await engine.close()
            except Exception as error:
                _log.warning("%s could not be closed: %s: %s", name, type(error).__name__, error)
            else:
                return
            if not engine.alive:
                return
            await self._pause(CLOSE_AGAIN_S)

    async def end(self, seconds: float) -> None:
        """Cancel what may be cancelled and wait for the rest, so many seconds of the wall's at most."""
        for task in self._cancelled_at_end:
            task.cancel()
        if not self._all:
            return
        done, late = await asyncio.wait(self._all, timeout=seconds)
        for task in late:
            _log.warning("%s did not end within %g s", task.get_name(), seconds)
            task.cancel()
        for task in done:
            if not task.cancelled() and task.exception() is not None:
                _log.warning("%s ended by %s", task.get_name(), task.exception())

    async def _pause(self, seconds: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        clock = self._clock()
        timer = clock.call_at(clock.time() + seconds, lambda: None if over.done() else over.set_result(None))
        try:
            await over
        finally:
            timer.cancel()


def result_of(task: asyncio.Task[T]) -> T | None:
    """What it brought, if it has ended well."""
    if not task.done() or task.cancelled() or task.exception() is not None:
        return None
    return task.result()
