"""What goes wrong around a call ends in a clear error, loses no metering and leaves nothing stuck. Real processes.

A slow or leaving caller and thousands of streams: see test_gateway_faults_streams.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from gateway_home import ASK, STEWARD, Real, events, made, real, server_of
from gateway_house import until

from emeritus.access.limits import NO_LIMITS
from emeritus.access.limits import Limits as Allowed
from emeritus.access.policy import Standing
from emeritus.access.service import Terms
from emeritus.settings import Settings

HOLD = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
held.execute("ROLLBACK")
"""


def settings_of(tmp_path: Path, **more: object) -> Settings:
    """Settings of a home of the test's own."""
    return Settings(home=tmp_path / "home", organisation="Test House", origin="house.example/t", **more)


def processes(folder: Path) -> list[int]:
    """Those whose command line names the folder."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdecimal() and str(folder).encode() in (each / "cmdline").read_bytes():
                found.append(int(each.name))
        except OSError:
            continue  # it has just ended
    return found


async def test_an_engine_killed_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    """The stream ends with an error event and no `[DONE]`, the call counts, and the next one wakes a new engine."""
    settings = settings_of(tmp_path)
    key = made(settings, "command", server_of(tmp_path, "so many words " * 400, 0.01))
    async with real(settings, key) as house, house.session as session:
        async with session.post(house.address, json=ASK | {"stream": True}) as response:
            first = await response.content.readuntil(b"many")
            for pid in processes(tmp_path):  # the server and what watches over it
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            body = first + await response.content.read()
        last = events(body)[-1]
        assert last["error"]["code"].startswith("EM4")
        assert not body.endswith(b"[DONE]\n\n")
        await until(lambda: house.in_flight == 0)
        assert house.used()[0] == 1
        async with session.post(house.address, json=ASK | {"max_tokens": 3}) as response:
            assert response.status == 200
            assert (await response.json())["usage"]["completion_tokens"] == 3
        assert house.used() == (2, 3)
        assert [(each.state, each.in_flight, each.error) for each in house.app.reviving.residency.status()] == [
            ("awake", 0, None)
        ]
    assert processes(tmp_path) == []


async def test_a_locked_database_holds_up_no_call(tmp_path: Path) -> None:
    """While another process holds SQLite's write lock calls are answered as ever; all are metered once it lets go."""
    settings = settings_of(tmp_path)
    key = made(settings, "scripted", {"default": "Three plain words."})
    async with real(settings, key) as house, house.session as session:

        async def call() -> float:
            began = time.monotonic()
            async with session.post(house.address, json=ASK) as response:
                assert response.status == 200
                await response.read()
            return time.monotonic() - began

        await call()
        command = [sys.executable, "-c", HOLD, str(settings.home / "records.db")]
        pipe = asyncio.subprocess.PIPE
        holder = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        try:
            assert holder.stdout is not None
            await holder.stdout.readline()
            until_s = time.monotonic() + 2.5  # several of metering's turns, each of which finds it locked
            spent = []
            while time.monotonic() < until_s:
                spent.append(await call())
            with house.app.database.reading():  # and readers do not wait either
                pass
        finally:
            await holder.communicate(b"\n")
        assert max(spent) < 2.0
        assert (await asyncio.to_thread(house.used))[0] == 1 + len(spent)


def set_clock(house: Real, clock: Callable[[], datetime]) -> None:
    """Have access read this clock: the one handed in when a home is opened is the wall's."""
    gate = house.app.access._gate
    gate._clock = gate._budgets._clock = clock


async def asked(house: Real, session: aiohttp.ClientSession, times: int) -> list[int]:
    """The statuses of as many calls; a refused one says when to come back, in a week at the latest."""
    found = []
    for _ in range(times):
        async with session.post(house.address, json=ASK) as response:
            found.append(response.status)
            if response.status != 200:
                assert (await response.json())["error"]["code"] in ("EM603", "EM605")
                assert 1 <= int(response.headers["Retry-After"]) <= 7 * 86400
    return found


async def test_a_clock_that_jumps_changes_no_wait(tmp_path: Path) -> None:
    """The wall clock a day ahead and back again: calls in each day count for it, and what is awake stays awake."""
    settings = settings_of(tmp_path)
    key = made(settings, "scripted", {"default": "Three plain words."}, Allowed(requests_per_day=2))
    async with real(settings, key) as house, house.session as session:
        wall = house.app.access._gate._clock
        found = []
        for days in (0, 1, 0, -1, 0):
            set_clock(house, lambda days=days: wall() + timedelta(days=days))
            found += await asked(house, session, 3)
        assert found == [200, 200, 429, 200, 200, 429, 429, 429, 429, 200, 200, 429, 429, 429, 429]
        (status,) = house.app.reviving.residency.status()
        assert (status.state, status.in_flight, status.waiting) == ("awake", 0, 0)
        assert house.used()[0] == 6


async def test_a_clock_that_jumps_an_hour(tmp_path: Path) -> None:
    """Forwards and back: a minute counts once, a day's tokens stay used up, visiting hours go by the clock as it is."""
    settings = settings_of(tmp_path)
    key = made(settings, "scripted", {"default": "Three plain words."}, Allowed(requests_per_minute=2))
    noon = datetime(2027, 3, 6, 12, 30, tzinfo=UTC)
    async with real(settings, key) as house, house.session as session:

        async def jumping(hours: tuple[int, ...], times: int, allowed: Allowed = NO_LIMITS) -> list[list[int]]:
            if allowed is not NO_LIMITS:
                grant = house.app.access.grant("ibis", "another", Terms(limits=allowed), "a test", STEWARD)
                session.headers["Authorization"] = f"Bearer {house.app.access.issue_key(grant)}"
            found = []
            for ahead in hours:
                set_clock(house, lambda ahead=ahead: noon + timedelta(hours=ahead))
                found.append(await asked(house, session, times))
            return found

        two, none = [200, 200, 429], [429, 429, 429]
        assert await jumping((0, 1, 0, -1, 1, 0), 3) == [two, two, none, two, none, none]
        one = [200, 429]  # an answer is not cut off, and what it used beyond the budget is owed
        assert await jumping((0, 1, 0, -1), 2, Allowed(tokens_per_day=1)) == [one, none[1:], none[1:], none[1:]]
        house.app.access.set_tier("ibis", Standing("hours", "entitled", "sat 13:00-14:00"), "a test", STEWARD)
        answered = await jumping((0, 1, 0, 1, 2), 1, Allowed(requests_per_day=9))
        assert answered == [[503], [200], [503], [200], [503]]
        (status,) = house.app.reviving.residency.status()
        assert (status.state, status.in_flight, status.waiting) == ("awake", 0, 0)
        assert house.used()[0] == 6 + 1 + 2
