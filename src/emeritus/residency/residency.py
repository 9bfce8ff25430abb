"""The scheduler's decisions carried out: engines opened, checked, lent, closed. One event loop owns a `Residency`.

Policy is the scheduler's. Here are only the effects and what belongs to them: a load is a task of its own, so that it
survives every waiter; the canary runs inside the load, so that no answer leaves before it; each caller gets its own
copy of an error.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from emeritus.engines.base import Awake, Engine
from emeritus.errors import Busy, EmeritusError, EngineFailed
from emeritus.residency.scheduler import Admit, Decision, Leave, Load, Refuse, Scheduler

RETRY_AFTER_S = 10  # what a caller without room is told


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
class ResidentStatus:
    """How one resident is. `since` is when this state began; `error` is the last failed load's, until one succeeds."""

    name: str
    state: Literal["asleep", "waking", "awake", "failed"]
    in_flight: int
    bytes: int
    since: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Effects:
    """What a residency does in the world. `woke` is told of every load that ended: name, seconds, error; it returns
    at once.
    """

    open_resident: Callable[[str], Awaitable[Engine]]
    size_of: Callable[[str], int]
    canary: Callable[[str, Engine], Awaitable[None]] | None = None
    woke: Callable[[str, float, EmeritusError | None], None] | None = None


class Residency:
    """Lends residents that answer. Asking for one wakes it; status never does."""

    def __init__(self, effects: Effects, *, budget_bytes: int, idle_sleep_s: float, clock: Clock | None = None) -> None:
        self._effects = effects
        self._budget = budget_bytes
        self._clock = clock
        self._scheduler = Scheduler(budget_bytes, idle_sleep_s)
        self._tickets = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Engine]] = {}
        self._engines: dict[str, Engine] = {}
        self._errors: dict[str, EmeritusError] = {}
        self._since: dict[str, datetime] = {}
        self._loads: set[asyncio.Task[None]] = set()
        self._leaves: dict[str, asyncio.Task[None]] = {}
        self._farewells: dict[str, asyncio.Future[None]] = {}
        self._timer: Timer | None = None
        self._closed = False

    @asynccontextmanager
    async def awake(self, name: str, *, wait_s: float) -> AsyncIterator[Awake]:
        """The resident, awake for as long as the context is open; it is not put to sleep meanwhile.

        Waits at most `wait_s` seconds for it. Raises Busy (with `retry_after_s`) when that is not enough or it can
        never fit; whatever `size_of` raises; what the load raised (CanaryFailed among it), also during its back-off.
        """
        if self._closed:
            raise Busy("this program is ending", retry_after_s=RETRY_AFTER_S)
        size = self._effects.size_of(name)
        if size > self._budget:
            raise Busy(
                f"{name!r} takes {size} bytes, more than the whole budget of {self._budget}",
                remedy="Raise memory_budget_bytes, or run it on a larger machine through the engine `upstream`.",
                bytes=size,
                budget=self._budget,
            )
        self._drop_if_dead(name)
        clock = self._time()
        ticket = next(self._tickets)
        granted: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = granted
        deadline = clock.call_at(clock.time() + wait_s, lambda: self._give_up(name, granted))
        try:
            self._act(self._scheduler.ask(ticket, name, size, clock.time()))
            yield await granted
        finally:
            deadline.cancel()
            del self._waiting[ticket]
            self._drop_if_dead(name)
            self._act(self._scheduler.release(ticket, name, clock.time()))

    def status(self) -> list[ResidentStatus]:
        """Every resident that was asked for since the start, by name. Wakes nothing, waits for nothing."""
        return [self._status_of(name) for name in sorted(self._scheduler.models)]

    async def sleep(self, name: str) -> None:
        """Put it to sleep once its running calls are over, and wait for that. One that is not awake is left alone.

        Calls that come meanwhile wait, and wake it again afterwards.
        """
        if name not in self._engines:
            return
        farewell = self._farewells.setdefault(name, asyncio.get_running_loop().create_future())
        self._act(self._scheduler.sleep(name, self._time().time()))
        await asyncio.shield(farewell)

    async def close(self) -> None:
        """Close every engine and cancel every load. Those who wait get Busy; those who use one get its EngineDied."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for granted in self._waiting.values():
            if not granted.done():
                granted.set_exception(Busy("this program is ending", retry_after_s=RETRY_AFTER_S))
        for load in self._loads:
            load.cancel()
        await asyncio.gather(*self._loads, *self._leaves.values(), return_exceptions=True)
        engines, self._engines = list(self._engines.values()), {}
        await asyncio.gather(*(engine.close() for engine in engines), return_exceptions=True)
        for name in list(self._farewells):
            self._say_farewell(name)

    # effects

    def _act(self, decisions: Sequence[Decision]) -> None:
        """Carry out decisions, and be called again when time alone will lead to the next."""
        if self._closed:
            return
        for decision in decisions:
            match decision:
                case Load(name):
                    self._mark(name)
                    task = asyncio.create_task(self._load(name), name=f"load {name}")
                    self._loads.add(task)
                    task.add_done_callback(self._loads.discard)
                case Leave(name):
                    self._mark(name)
                    self._leaves[name] = asyncio.create_task(self._leave(name), name=f"close {name}")
                case Admit(ticket, name):
                    granted = self._waiting[ticket]
                    if not granted.done():  # done: given up in this very moment; its release follows
                        granted.set_result(self._engines[name])
                case Refuse(ticket, name):
                    granted = self._waiting[ticket]
                    if not granted.done():
                        granted.set_exception(_fresh(self._errors[name]))
        if self._timer is not None:
            self._timer.cancel()
        when = self._scheduler.next_tick()
        self._timer = None if when is None else self._time().call_at(when, self._tick)

    def _tick(self) -> None:
        self._act(self._scheduler.tick(self._time().time()))

    async def _load(self, name: str) -> None:
        began = self._time().time()
        try:
            engine = await self._effects.open_resident(name)
            try:
                if self._effects.canary is not None:
                    await self._effects.canary(name, engine)
            except BaseException:
                await engine.close()
                raise
        except Exception as error:
            self._errors[name] = _as_ours(name, error)
            self._mark(name)
            self._measured(name, began)
            self._act(self._scheduler.failed(name, self._time().time()))
            return
        self._engines[name] = engine
        self._errors.pop(name, None)
        self._mark(name)
        self._measured(name, began)
        self._act(self._scheduler.loaded(name, self._time().time()))

    def _measured(self, name: str, began: float) -> None:
        """Tell how long a wake took that has just ended."""
        if self._effects.woke is not None:
            self._effects.woke(name, self._time().time() - began, self._errors.get(name))

    async def _leave(self, name: str) -> None:
        with suppress(Exception):  # a close that fails must not keep its bytes for ever
            await self._engines[name].close()
        del self._engines[name], self._leaves[name]
        self._say_farewell(name)
        self._mark(name)
        self._act(self._scheduler.left(name, self._time().time()))

    def _say_farewell(self, name: str) -> None:
        """Tell whoever put it to sleep that it is."""
        farewell = self._farewells.pop(name, None)
        if farewell is not None and not farewell.done():
            farewell.set_result(None)

    def _drop_if_dead(self, name: str) -> None:
        engine = self._engines.get(name)
        if engine is not None and not engine.alive and not self._closed:
            self._act(self._scheduler.died(name, self._time().time()))

    def _give_up(self, name: str, granted: asyncio.Future[Engine]) -> None:
        if granted.done():
            return
        waking = self._scheduler.models[name].state == "waking"
        why = "it is still waking" if waking else "others are using the memory it needs"
        granted.set_exception(Busy(f"{name!r} could not be woken in time: {why}", retry_after_s=RETRY_AFTER_S))

    def _status_of(self, name: str) -> ResidentStatus:
        model = self._scheduler.models[name]
        error = self._errors.get(name)
        state: Literal["asleep", "waking", "awake", "failed"]
        if model.state == "asleep" and error is not None:
            state = "failed"
        else:
            state = "awake" if model.state == "leaving" else model.state
        used = 0 if model.state == "asleep" else model.size
        said = None if error is None else f"{error.code} {error.message}"
        return ResidentStatus(name, state, len(model.running), used, self._since.get(name) or _wall(), said)

    def _mark(self, name: str) -> None:
        self._since[name] = _wall()

    def _time(self) -> Clock:
        return self._clock or asyncio.get_running_loop()


def _wall() -> datetime:
    return datetime.now(UTC)


def _as_ours(name: str, error: Exception) -> EmeritusError:
    if isinstance(error, EmeritusError):
        return error
    return EngineFailed(f"{name!r} could not be woken: {type(error).__name__}: {error}")


def _fresh(error: EmeritusError) -> EmeritusError:
    """The same error for one more caller: raising one object in several tasks would mix their tracebacks."""
    return type(error)(error.message, remedy=error.remedy, **error.facts)
