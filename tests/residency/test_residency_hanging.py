"""What hangs or fails while loading or closing is told, keeps its bytes, and harms nobody else; who is held wakes."""

from __future__ import annotations

import asyncio

import pytest
from resident_house import House, settle

from emeritus.errors import Busy, EngineFailed
from emeritus.residency.decisions import Limits
from emeritus.residency.effects import Effects
from emeritus.residency.residency import Residency


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

    engine.close = closes
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
