"""What goes wrong around a call ends in a clear error, loses no metering and leaves nothing stuck. Real processes.

A slow or leaving caller and thousands of streams: see test_gateway_faults_streams.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from gateway_home import ASK, events, made, real, server_of
from gateway_house import until

from emeritus.access.limits import Limits as Allowed
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


async def test_a_clock_that_jumps_changes_no_wait(tmp_path: Path) -> None:
    """The wall clock a day ahead and back again: calls in each day count for it, and what is awake stays awake."""
    settings = settings_of(tmp_path)
    key = made(settings, "scripted", {"default": "Three plain words."}, Allowed(requests_per_day=2))
    async with real(settings, key) as house, house.session as session:
        gate = house.app.access._gate  # its clock is handed in when a home is opened, which has none but the wall's
        wall = gate._clock
        found = []
        for days in (0, 1, 0, -1, 0):
            gate._clock = gate._budgets._clock = lambda days=days: wall() + timedelta(days=days)
            for _ in range(3):
                async with session.post(house.address, json=ASK) as response:
                    found.append(response.status)
                    waits = int(response.headers.get("Retry-After", 0))
                    assert 0 <= waits <= 86400
        assert found == [200, 200, 429, 200, 200, 429, 429, 429, 429, 200, 200, 429, 429, 429, 429]
        (status,) = house.app.reviving.residency.status()
        assert (status.state, status.in_flight, status.waiting) == ("awake", 0, 0)
        assert house.used()[0] == 6
