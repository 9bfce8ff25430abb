"""A residency over scripted engines, with its clock and its doors in the test's hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from emeritus.engines.base import Engine, Message, Sampling
from emeritus.engines.script import Rule, Script
from emeritus.engines.scripted import ScriptedEngine
from emeritus.errors import CanaryFailed, EmeritusError, NotFound
from emeritus.residency.decisions import Limits, Need
from emeritus.residency.effects import Effects, Timer
from emeritus.residency.residency import Residency

SIZES = {"ada": 6, "bea": 6, "cat": 3, "giant": 99}
GREEDY = Sampling(max_tokens=10, temperature=0.0)


class Call:
    """A timer of the fake clock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Call it off."""
        self.callback = None


class FakeClock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self._now = 0.0
        self._calls: list[tuple[float, int, Call]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        """Seconds since the test began."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Arrange a call."""
        call = Call(callback)
        heapq.heappush(self._calls, (when, next(self._numbers), call))
        return call

    async def pass_(self, seconds: float) -> None:
        """Let time pass, and everything that is due happen."""
        end = self._now + seconds
        while self._calls and self._calls[0][0] <= end:
            self._now, _, call = heapq.heappop(self._calls)
            if call.callback is not None:
                call.callback()
            await settle()
        self._now = end
        await settle()


async def settle() -> None:
    """Let every task run as far as it can without time passing."""
    for _ in range(30):
        await asyncio.sleep(0)


class Door(ScriptedEngine):
    """One whose process does not end before a door is opened."""

    def __init__(self, script: Script, door: asyncio.Event) -> None:
        super().__init__(script)
        self._door = door

    async def close(self) -> None:
        """Hang, however often it is asked."""
        await self._door.wait()
        await super().close()


def _engine(rules: tuple[Rule, ...]) -> ScriptedEngine:
    return ScriptedEngine(Script(rules=rules))


@dataclass
class House:
    """A residency over scripted engines, with its doors in the test's hand."""

    clock: FakeClock = field(default_factory=FakeClock)
    opened: list[str] = field(default_factory=list)
    engines: dict[str, ScriptedEngine] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)  # loads wait for it
    failing: dict[str, Exception] = field(default_factory=dict)
    canary_fails: bool = False
    slow_to_close: set[str] = field(default_factory=set)  # their close waits for the door
    door: asyncio.Event = field(default_factory=asyncio.Event)
    deaf: bool = False  # a load that is cancelled goes on
    woke: list[tuple[str, float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()
        effects = Effects(self.open, self.need, self.canary, self.wakes)
        limits = Limits({"host": 10}, idle_sleep_s=60, patience_s=5, load_s=100, close_s=20)
        self.residency = Residency(effects, limits, clock=self.clock)

    def need(self, name: str) -> Need:
        """Bytes of a resident."""
        if name not in SIZES:
            raise NotFound(f"there is no resident {name!r}")
        return {"host": SIZES[name]}

    async def open(self, name: str) -> Engine:
        """Open a scripted engine that says its own name."""
        self.opened.append(name)
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
        if name in self.failing:
            raise self.failing[name]
        rules = (Rule(match="die", answer="a b c", fault="die", after=1), Rule(answer=f"I am {name}."))
        self.engines[name] = Door(Script(rules=rules), self.door) if name in self.slow_to_close else _engine(rules)
        return self.engines[name]

    def wakes(self, name: str, seconds: float, error: EmeritusError | None) -> None:
        """Remember how long a load took, and how it ended."""
        self.woke.append((name, seconds, "ok" if error is None else error.code))

    async def canary(self, name: str, engine: Engine) -> None:
        """The check after each load."""
        await engine.score(["probe"])
        if self.canary_fails:
            raise CanaryFailed(f"{name} differs")

    async def ask(self, name: str, wait_s: float = 100) -> str:
        """One question and its answer."""
        async with self.residency.awake(name, wait_s=wait_s) as awake:
            return (await awake.answer([Message("user", "who?")], GREEDY)).text

    def state(self, name: str) -> str:
        """A resident's state as status tells it."""
        return {each.name: each.state for each in self.residency.status()}[name]
