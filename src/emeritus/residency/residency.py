"""The scheduler's decisions carried out: engines opened, checked, lent, closed. One event loop owns a `Residency`.

Policy is the scheduler's. Here are only the effects and what belongs to them: a load is a task of its own, so that it
survives every waiter; the canary runs inside the load, so that no answer leaves before it; each caller gets its own
copy of an error. Loads and closes have deadlines: what does not end by then is left to itself and counted as stuck, its
bytes taken until it does end, and everybody else is served from the rest.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from emeritus.engines.base import Awake, Engine
from emeritus.errors import BadSettings, Busy, EmeritusError, EngineFailed
from emeritus.residency.decisions import Admit, Decision, Leave, Limits, Load, Need, Refuse
from emeritus.residency.effects import Clock, Effects, Tasks, Timer, result_of
from emeritus.residency.scheduler import Scheduler
from emeritus.residency.status import HouseStatus, ResidentStatus, RState, bytes_of, house, note_of

RETRY_AFTER_S = 10  # what a caller without room is told
STUCK_RETRY_S = 60  # what a caller is told whose room is held by something that hangs
_log = logging.getLogger(__name__)


class Residency:
    """Lends residents that answer. Asking for one wakes it; status never does."""

    def __init__(
        self,
        effects: Effects,
        limits: Limits,
        *,
        load_seconds: Mapping[str, float] | None = None,
        calls: Sequence[Mapping[str, int]] = (),
        clock: Clock | None = None,
    ) -> None:
        """`load_seconds`, `calls`: what was seen before this start; see `Scheduler`."""
        self._effects = effects
        self._limits = limits
        self._clock = clock
        self._tasks = Tasks(self._time)
        self._scheduler = Scheduler(limits, load_seconds, calls)
        self._tickets = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Engine]] = {}
        self._engines: dict[str, Engine] = {}
        self._errors: dict[str, EmeritusError] = {}
        self._since: dict[str, datetime] = {}
        self._farewells: dict[str, asyncio.Future[None]] = {}
        self._timer: Timer | None = None
        self._closed = False

    @asynccontextmanager
    async def awake(self, name: str, *, wait_s: float) -> AsyncIterator[Awake]:
        """The resident, awake for as long as the context is open; it is not put to sleep meanwhile.

        Waits at most `wait_s` seconds for it. Raises Busy (with `retry_after_s`) when that is not enough or it can
        never fit; whatever `need_of` raises; what the load raised (CanaryFailed among it), also during its back-off.
        """
        if self._closed:
            raise Busy("this program is ending", retry_after_s=RETRY_AFTER_S)
        self._drop_if_dead(name)
        if name in self._engines:
            need = self._scheduler.models[name].need
        else:
            need = self._effects.need_of(name)
            self._check_fits(name, need)
        clock = self._time()
        ticket = next(self._tickets)
        granted: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = granted
        deadline = clock.call_at(clock.time() + wait_s, lambda: self._give_up(name, granted))
        try:
            self._act(self._scheduler.ask(ticket, name, need, clock.time()))
            yield await granted
        finally:
            deadline.cancel()
            del self._waiting[ticket]
            self._drop_if_dead(name)
            self._act(self._scheduler.release(ticket, name, clock.time()))

    def status(self) -> list[ResidentStatus]:
        """Every resident asked for since the start, by name. Wakes nothing, waits for nothing; safe in threads."""
        return [self._status_of(name) for name in sorted([*self._scheduler.models])]

    def state_of(self, name: str) -> RState:
        """One resident's state; "asleep" for one that was never asked for. As `status` otherwise."""
        model = self._scheduler.models.get(name)
        if model is None:
            return "asleep"
        if model.state != "asleep":
            return "awake" if model.state == "leaving" else model.state
        if any(each.name == name for each in tuple(self._scheduler.stuck.values())):
            return "stuck"
        return "failed" if name in self._errors else "asleep"

    def house(self) -> HouseStatus:
        """Room, waiting, and what is wrong. Wakes nothing, waits for nothing; safe in threads."""
        errors = {name: _said(each) for name, each in tuple(self._errors.items())}
        return house(self._scheduler, self._told_at(), errors)

    def hold(self, names: Iterable[str]) -> None:
        """Keep these awake from now on, and no others, as far as there is room; `status` says why one is not.

        Callers of others come before them. One that never fits, or whose bytes cannot be told, is left out and logged.
        """
        needs: dict[str, Need] = {}
        for name in names:
            try:
                need = self._effects.need_of(name)
                self._check_fits(name, need)
            except EmeritusError as error:
                _log.warning("%s cannot be kept awake: %s %s", name, error.code, error)
                continue
            self._drop_if_dead(name)
            needs[name] = need
        self._act(self._scheduler.hold(needs, self._time().time()))

    async def sleep(self, name: str) -> None:
        """Put it to sleep once its running calls are over, and wait for that. One that is not awake is left alone.

        Calls that come meanwhile wait, and wake it again afterwards.
        """
        if name not in self._engines and self._scheduler.state_of(name) != "leaving":
            return
        farewell = self._farewells.setdefault(name, asyncio.get_running_loop().create_future())
        self._act(self._scheduler.sleep(name, self._time().time()))
        await asyncio.shield(farewell)

    async def close(self) -> None:
        """Close every engine and cancel every load. Those who wait get Busy; those who use one get its EngineDied.

        What does not end within the deadline of a close is left behind, and logged.
        """
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for granted in self._waiting.values():
            if not granted.done():
                granted.set_exception(Busy("this program is ending", retry_after_s=RETRY_AFTER_S))
        engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            self._tasks.start(engine.close(), "close at the end")
        await self._tasks.end(self._limits.close_s)
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
                    self._tasks.start(self._load(name), f"load {name}")
                case Leave(name):
                    self._mark(name)
                    self._tasks.start(self._leave(name, self._engines.pop(name)), f"put {name} to sleep")
                case Admit(ticket, name):
                    granted = self._waiting[ticket]
                    if not granted.done():  # done: given up in this very moment; its release follows
                        granted.set_result(self._engines[name])
                case Refuse(ticket, name, reason):
                    granted = self._waiting[ticket]
                    if not granted.done():
                        granted.set_exception(self._hung(name) if reason == "stuck" else _fresh(self._errors[name]))
        if self._timer is not None:
            self._timer.cancel()
        when = self._scheduler.next_tick()
        self._timer = None if when is None else self._time().call_at(when, self._tick)

    def _tick(self) -> None:
        self._act(self._scheduler.tick(self._time().time()))

    async def _load(self, name: str) -> None:
        began = self._time().time()
        opening = self._tasks.start(self._open(name), f"open {name}", cancel_at_end=True)
        stuck = None
        late = not await self._tasks.ends(opening, self._limits.load_s)
        if late:
            opening.cancel()
            if not await self._tasks.ends(opening, self._limits.close_s):
                stuck = next(self._tickets)
                self._tasks.start(self._wait_for(opening, name, stuck), f"wait for {name}", cancel_at_end=True)
        if self._closed:
            return
        engine = None if stuck is not None else result_of(opening)
        now = self._time().time()
        self._mark(name)
        if engine is None:
            failure = None if late or opening.cancelled() else opening.exception()
            error = self._errors[name] = self._late(name) if failure is None else _as_ours(name, failure)
            if name in self._scheduler.held:  # nobody else may be there to be told
                _log.warning("%s could not be kept awake: %s %s", name, error.code, error)
            self._measured(name, began)
            self._act(self._scheduler.failed(name, now, stuck))
            return
        self._engines[name] = engine
        self._errors.pop(name, None)
        self._measured(name, began)
        self._act(self._scheduler.loaded(name, now))

    async def _open(self, name: str) -> Engine:
        """Open it and check it; nothing of it is left where that fails."""
        engine = await self._effects.open_resident(name)
        try:
            if self._effects.canary is not None:
                await self._effects.canary(name, engine)
            if self._closed:
                raise Busy("this program is ending", retry_after_s=RETRY_AFTER_S)
        except BaseException:
            await engine.close()
            raise
        return engine

    async def _wait_for(self, opening: asyncio.Task[Engine], name: str, stuck: int) -> None:
        """A load that would not be cancelled: its bytes are free once it has ended, whatever it comes to."""
        await asyncio.wait({opening})
        engine = result_of(opening)
        if engine is not None:
            await self._tasks.close(name, engine)
        self._act(self._scheduler.freed(stuck, self._time().time()))

    async def _leave(self, name: str, engine: Engine) -> None:
        closing = self._tasks.start(self._tasks.close(name, engine), f"close {name}")
        in_time = await self._tasks.ends(closing, self._limits.close_s)
        self._say_farewell(name)
        self._mark(name)
        now = self._time().time()
        if in_time:
            self._act(self._scheduler.left(name, now))
            return
        _log.error("%s does not end; its bytes stay taken until it does", name)
        stuck = next(self._tickets)
        self._act(self._scheduler.abandoned(name, now, stuck))
        await asyncio.wait({closing})
        self._act(self._scheduler.freed(stuck, self._time().time()))

    def _measured(self, name: str, began: float) -> None:
        """Tell how long a wake took that has just ended."""
        if self._effects.woke is not None:
            self._effects.woke(name, self._time().time() - began, self._errors.get(name))

    def _say_farewell(self, name: str) -> None:
        """Tell whoever put it to sleep that it is."""
        farewell = self._farewells.pop(name, None)
        if farewell is not None and not farewell.done():
            farewell.set_result(None)

    def _drop_if_dead(self, name: str) -> None:
        engine = self._engines.get(name)
        if engine is not None and not engine.alive and not self._closed:
            self._act(self._scheduler.died(name, self._time().time()))

    # what is said

    def _give_up(self, name: str, granted: asyncio.Future[Engine]) -> None:
        if granted.done():
            return
        waking = self._scheduler.models[name].state == "waking"
        why = "it is still waking" if waking else "others are using the memory it needs"
        granted.set_exception(Busy(f"{name!r} could not be woken in time: {why}", retry_after_s=RETRY_AFTER_S))

    def _check_fits(self, name: str, need: Need) -> None:
        for place in self._scheduler.never_fits(need):
            budget = self._limits.budgets.get(place, 0)
            raise Busy(
                f"{name!r} takes {need[place]} bytes of {place!r}, more than the whole budget of {budget}",
                remedy="Raise memory_budget_bytes or device_budgets, or run it on a larger machine through the engine "
                "`upstream`.",
                bytes=need[place],
                budget=budget,
            )

    def _late(self, name: str) -> EngineFailed:
        return EngineFailed(f"{name!r} was not awake within {self._limits.load_s:g} s, and its load was given up")

    def _hung(self, name: str) -> Busy:
        """Why there is no room for it while something hangs."""
        hanging = sorted({each.name for each in self._scheduler.stuck.values()})
        return Busy(
            f"{name!r} cannot be woken: what it needs is held by processes that do not end ({', '.join(hanging)})",
            remedy="End those processes, or restart the program.",
            retry_after_s=STUCK_RETRY_S,
        )

    def _status_of(self, name: str) -> ResidentStatus:
        model = self._scheduler.models[name]
        error = self._errors.get(name)
        return ResidentStatus(
            name,
            self.state_of(name),
            in_flight=len(model.running),
            bytes=bytes_of(self._scheduler, name),
            since=self._since.get(name) or _wall(),
            error=None if error is None else _said(error),
            waiting=len(model.waiting),
            held=name in self._scheduler.held,
            note=note_of(self._scheduler, model),
        )

    def _mark(self, name: str) -> None:
        self._since[name] = _wall()

    def _time(self) -> Clock:
        return self._clock or asyncio.get_running_loop()

    def _told_at(self) -> float:
        """Now, also where no loop runs: event loops count by the monotonic clock."""
        return time.monotonic() if self._clock is None else self._clock.time()


def _wall() -> datetime:
    return datetime.now(UTC)


def _said(error: EmeritusError) -> str:
    return f"{error.code} {error.message}"


def _as_ours(name: str, error: BaseException) -> EmeritusError:
    if isinstance(error, BadSettings):  # the house's, not the caller's
        return EngineFailed(f"{name!r} could not be woken: {error.code} {error}", remedy=error.remedy, **error.facts)
    if isinstance(error, EmeritusError):
        return error
    return EngineFailed(f"{name!r} could not be woken: {type(error).__name__}: {error}")


def _fresh(error: EmeritusError) -> EmeritusError:
    """The same error for one more caller: raising one object in several tasks would mix their tracebacks."""
    return type(error)(error.message, remedy=error.remedy, **error.facts)
