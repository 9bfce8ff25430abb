"""Residents are woken once, lent, checked, dropped when dead and put to sleep; time is turned by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from emeritus.engines.base import Engine, Message, Sampling
from emeritus.engines.script import Rule, Script
from emeritus.engines.scripted import ScriptedEngine
from emeritus.errors import Busy, CanaryFailed, EmeritusError, EngineDied, EngineFailed, NotFound
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


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A fresh house, closed afterwards."""
    house = House()
    yield house
    house.gate.set()
    house.door.set()
    await house.residency.close()


async def test_wake_answer_sleep(house: House) -> None:
    """A call wakes it, a second finds it awake, idleness puts it to sleep, and a third wakes it again."""
    assert house.residency.status() == []
    assert await house.ask("ada") == "I am ada."
    assert await house.ask("ada") == "I am ada."
    assert house.opened == ["ada"]
    assert house.state("ada") == "awake"
    await house.clock.pass_(59)
    assert house.state("ada") == "awake"
    await house.clock.pass_(2)
    assert house.state("ada") == "asleep"
    assert not house.engines["ada"].alive
    assert await house.ask("ada") == "I am ada."
    assert house.opened == ["ada", "ada"]


async def test_one_load_survives_every_waiter(house: House) -> None:
    """Many waiters share one load; all of them may leave, and the load still ends awake."""
    house.gate.clear()
    waiters = [asyncio.create_task(house.ask("ada")) for _ in range(5)]
    await settle()
    for waiter in waiters[:4]:
        waiter.cancel()
    await settle()
    waiters[4].cancel()
    await settle()
    house.gate.set()
    await settle()
    assert house.opened == ["ada"]
    assert house.state("ada") == "awake"
    assert await house.ask("ada") == "I am ada."
    assert house.opened == ["ada"]
    assert [status.in_flight for status in house.residency.status()] == [0]


async def test_busy_then_room(house: House) -> None:
    """Without room a caller gets Busy at its deadline, with a time to retry; the one in use is not evicted."""
    async with house.residency.awake("ada", wait_s=1) as ada:
        waiting = asyncio.create_task(house.ask("bea", wait_s=3))
        await settle()
        await house.clock.pass_(4)
        with pytest.raises(Busy, match="memory") as busy:
            await waiting
        assert busy.value.facts["retry_after_s"] > 0
        assert (await ada.answer([Message("user", "who?")], GREEDY)).text == "I am ada."
    assert await house.ask("bea") == "I am bea."
    assert house.state("ada") == "asleep"


async def test_a_retry_joins_the_load_under_way(house: House) -> None:
    """A caller that gave up and comes again finds the same load."""
    house.gate.clear()
    impatient = asyncio.create_task(house.ask("ada", wait_s=2))
    await settle()
    await house.clock.pass_(3)
    with pytest.raises(Busy, match="still waking"):
        await impatient
    again = asyncio.create_task(house.ask("ada", wait_s=2))
    await settle()
    house.gate.set()
    assert await again == "I am ada."
    assert house.opened == ["ada"]


async def test_never_fits(house: House) -> None:
    """A resident larger than the whole budget is refused at once, with the numbers."""
    with pytest.raises(Busy) as busy:
        await house.ask("giant")
    assert busy.value.facts == {"bytes": 99, "budget": 10}
    with pytest.raises(NotFound):
        await house.ask("nobody")
    assert house.opened == []


async def test_failure_reaches_all_and_backs_off(house: House) -> None:
    """A failed load is told to every waiter, not tried again in the pause, and tried after it."""
    house.failing["ada"] = RuntimeError("disk on fire")
    house.gate.clear()
    waiters = [asyncio.create_task(house.ask("ada")) for _ in range(3)]
    await settle()
    house.gate.set()
    found = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(each) for each in found] == [EngineFailed] * 3
    assert len({id(each) for each in found}) == 3
    with pytest.raises(EngineFailed, match="disk on fire"):
        await house.ask("ada")
    assert house.opened == ["ada"]
    [status] = house.residency.status()
    assert (status.state, status.bytes) == ("failed", 0)
    assert "disk on fire" in str(status.error)
    house.failing.clear()
    await house.clock.pass_(1.5)
    assert await house.ask("ada") == "I am ada."
    assert house.residency.status()[0].error is None


async def test_canary(house: House) -> None:
    """A resident that differs from its reference is closed before any answer leaves, and the waiter is told."""
    house.canary_fails = True
    with pytest.raises(CanaryFailed):
        await house.ask("ada")
    assert not house.engines["ada"].alive
    assert house.state("ada") == "failed"


async def test_dead_engine_is_dropped(house: House) -> None:
    """An engine that dies ends the calls on it; the next call loads anew."""
    with pytest.raises(EngineDied):
        async with house.residency.awake("ada", wait_s=1) as awake:
            await awake.answer([Message("user", "die")], GREEDY)
    assert await house.ask("ada") == "I am ada."
    assert house.opened == ["ada", "ada"]


async def test_death_while_idle(house: House) -> None:
    """An engine that died while nobody used it is replaced before the next answer, the other leases void."""
    async with house.residency.awake("ada", wait_s=1) as old:
        await house.engines["ada"].close()
        assert await house.ask("ada") == "I am ada."
        with pytest.raises(EngineDied):
            await old.answer([Message("user", "who?")], GREEDY)
    assert [status.in_flight for status in house.residency.status()] == [0]
    assert house.state("ada") == "awake"
    assert house.opened == ["ada", "ada"]


async def test_put_to_sleep(house: House) -> None:
    """An operator's sleep waits for the running call; a call that comes meanwhile wakes it again afterwards."""
    async with house.residency.awake("ada", wait_s=1):
        sleeping = asyncio.create_task(house.residency.sleep("ada"))
        await settle()
        later = asyncio.create_task(house.ask("ada"))
        await settle()
        assert not sleeping.done()
        assert not later.done()
    await sleeping
    assert await later == "I am ada."
    assert house.opened == ["ada", "ada"]
    await house.residency.sleep("bea")  # not awake: nothing to do


async def test_every_load_is_measured(house: House) -> None:
    """A load's length is told from the decision until it could answer, a failed one's with its code."""
    house.gate.clear()
    waiting = asyncio.create_task(house.ask("ada"))
    await settle()
    await house.clock.pass_(7)
    house.gate.set()
    await waiting
    house.canary_fails = True
    with pytest.raises(CanaryFailed):
        await house.ask("cat")
    assert house.woke == [("ada", 7.0, "ok"), ("cat", 0.0, "EM406")]


async def test_status_wakes_nothing(house: House) -> None:
    """Status lists states and bytes, and asking for it opens no engine."""
    await house.ask("cat")
    house.gate.clear()
    waiting = asyncio.create_task(house.ask("ada"))
    await settle()
    assert [(each.name, each.state, each.bytes) for each in house.residency.status()] == [
        ("ada", "waking", 6),
        ("cat", "awake", 3),
    ]
    assert house.opened == ["cat", "ada"]
    house.gate.set()
    await waiting


async def test_close(house: House) -> None:
    """Closing tells those who wait, ends loads and engines, and refuses what comes later."""
    await house.ask("cat")
    house.gate.clear()
    waiting = asyncio.create_task(house.ask("ada"))
    await settle()
    await house.residency.close()
    with pytest.raises(Busy):
        await waiting
    with pytest.raises(Busy):
        await house.ask("cat")
    assert not house.engines["cat"].alive


async def test_real_clock() -> None:
    """Without a clock of its own it uses the loop's: an idle resident falls asleep."""
    house = House()
    residency = Residency(Effects(house.open, house.need), Limits({"host": 10}, idle_sleep_s=0.01))
    async with residency.awake("ada", wait_s=5):
        pass
    for _ in range(500):
        if residency.status()[0].state == "asleep":
            break
        await asyncio.sleep(0.01)
    assert residency.status()[0].state == "asleep"
    await residency.close()
    await house.residency.close()


async def test_a_close_that_hangs_is_told_and_harms_nobody_else(house: House) -> None:
    """Its bytes stay taken, health is not green, who fits beside is served, others are told; then all is well again."""
    house.slow_to_close.add("ada")
    await house.ask("ada")
    assert house.residency.house().healthy
    waiting = asyncio.create_task(house.ask("bea", wait_s=500))
    await settle()
    await house.clock.pass_(19)
    assert not waiting.done()
    await house.clock.pass_(2)
    with pytest.raises(Busy, match="do not end \\(ada\\)") as busy:
        await waiting
    assert busy.value.facts["retry_after_s"] > 0
    assert (house.state("ada"), house.residency.status()[0].bytes) == ("stuck", 6)
    told = house.residency.house()
    assert not told.healthy
    assert "'ada' hangs while closing" in told.problems[0]
    assert dict(told.used) == {"host": 6}
    assert await house.ask("cat") == "I am cat."
    house.door.set()
    await settle()
    assert house.residency.house().healthy
    assert (house.state("ada"), house.residency.status()[0].bytes) == ("asleep", 0)
    assert await house.ask("bea") == "I am bea."


async def test_a_load_past_its_deadline_is_given_up(house: House) -> None:
    """It is cancelled and counts as failed; the pause over, it is tried again."""
    house.gate.clear()
    waiting = asyncio.create_task(house.ask("ada", wait_s=500))
    await settle()
    await house.clock.pass_(101)
    with pytest.raises(EngineFailed, match="within 100 s"):
        await waiting
    assert house.state("ada") == "failed"
    assert dict(house.residency.house().used) == {}
    house.gate.set()
    await house.clock.pass_(2)
    assert await house.ask("ada") == "I am ada."
    assert [outcome for _, _, outcome in house.woke] == ["EM402", "ok"]


async def test_a_load_that_cannot_be_cancelled_keeps_its_bytes(house: House) -> None:
    """Until it ends; the engine it brings after all is closed, since nobody waits for it any more."""
    house.gate.clear()
    house.deaf = True
    waiting = asyncio.create_task(house.ask("ada", wait_s=500))
    await settle()
    await house.clock.pass_(130)
    with pytest.raises(EngineFailed, match="within 100 s"):
        await waiting
    assert house.state("ada") == "stuck"
    assert "hangs while loading" in house.residency.house().problems[0]
    with pytest.raises(Busy, match="do not end"):
        await house.ask("bea")
    house.gate.set()
    await settle()
    assert not house.engines["ada"].alive
    assert house.residency.house().healthy
    assert await house.ask("bea") == "I am bea."


async def test_a_close_that_fails_is_tried_again_while_the_engine_lives(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """An error from a close does not mean that the memory is free."""
    await house.ask("ada")
    engine = house.engines["ada"]
    close, failures = engine.close, [OSError("no such process group")]

    async def closes() -> None:
        if failures:
            raise failures.pop()
        await close()

    engine.close = closes  # this one engine's end is what is tried
    sleeping = asyncio.create_task(house.residency.sleep("ada"))
    await settle()
    assert not sleeping.done()
    await house.clock.pass_(25)
    await sleeping
    assert house.state("ada") == "stuck"
    await house.clock.pass_(10)
    assert house.state("ada") == "asleep"
    assert not engine.alive
    assert "could not be closed" in caplog.text


async def test_held_residents(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Those held are woken without a call and never sleep by time; status says why one of them is not awake."""
    house.residency.hold(["ada", "bea", "giant", "nobody"])
    await settle()
    assert "giant cannot be kept awake" in caplog.text
    await house.clock.pass_(500)
    by_name = {each.name: each for each in house.residency.status()}
    assert (by_name["ada"].state, by_name["ada"].held, by_name["ada"].note) == ("awake", True, None)
    assert by_name["bea"].state == "asleep"
    assert by_name["bea"].note == ("those kept awake take 12 bytes of 'host', which has 10: it is woken when called")
    asking = asyncio.create_task(house.ask("bea"))
    await settle()
    await house.clock.pass_(6)
    assert await asking == "I am bea."


async def test_what_cannot_be_kept_awake_is_a_problem(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """A held resident whose load fails is tried again and again, logged, and named as a problem."""
    house.failing["ada"] = RuntimeError("disk on fire")
    house.residency.hold(["ada"])
    await settle()
    assert "ada could not be kept awake" in caplog.text
    assert "disk on fire" in house.residency.house().problems[0]
    house.failing.clear()
    await house.clock.pass_(2)
    assert house.state("ada") == "awake"
    assert house.residency.house().healthy


async def test_closing_the_house_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """What hangs is left behind after a close's deadline, and named."""
    house = House(slow_to_close={"ada"})
    residency = Residency(Effects(house.open, house.need), Limits({"host": 10}, close_s=0.05))
    async with residency.awake("ada", wait_s=5):
        pass
    await residency.close()
    assert "did not end within 0.05 s" in caplog.text
    await house.residency.close()
