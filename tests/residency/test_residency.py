"""Residents are woken once, lent, checked, dropped when dead and put to sleep; time is turned by hand."""

from __future__ import annotations

import asyncio

import pytest
from resident_house import GREEDY, House, settle

from emeritus.engines.base import Message
from emeritus.errors import BadSettings, Busy, CanaryFailed, EngineDied, EngineFailed, NotFound
from emeritus.residency.decisions import Limits
from emeritus.residency.effects import Effects
from emeritus.residency.residency import Residency
from emeritus.statuses import http_status


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


async def test_the_houses_settings_are_no_callers_fault(house: House) -> None:
    """A resident whose own settings are unusable is told as an engine that failed, with their code."""
    house.failing["ada"] = BadSettings("ada.toml cannot be read", remedy="Write it.", option="script")
    with pytest.raises(EngineFailed, match=r"EM106 ada\.toml") as failed:
        await house.ask("ada")
    assert (failed.value.remedy, failed.value.facts) == ("Write it.", {"option": "script"})
    assert http_status(failed.value) == 502


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
