"""Two gateways on one PostgreSQL: their limits hold together, also when one of them is killed under load."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import aiohttp
from gateway_home import ASK, made
from sqlalchemy import func, select

from emeritus.access.limits import Limits as Allowed
from emeritus.records.database import Database
from emeritus.records.tables import Usage
from emeritus.settings import Settings

LIMIT = 300
UNWRITTEN_S = 2.0  # what a killed process may not have written yet: a second's counts, and the writing


async def test_one_is_killed_under_load(tmp_path: Path, postgres_url: str) -> None:
    """No more calls are let in than the limit; what was answered is metered, less the killed one's last second."""
    settings = Settings(
        home=tmp_path / "home", organisation="Test House", origin="house.example/t", database_url=postgres_url
    )
    key = made(settings, "scripted", {"default": "Three plain words."}, Allowed(requests_per_day=LIMIT))
    program = [sys.executable, "-m", "emeritus.cli.main", "--home", str(settings.home)]
    environ = {**os.environ, "EMERITUS_DATABASE_URL": postgres_url}
    pipe = asyncio.subprocess.PIPE
    servers = [
        await asyncio.create_subprocess_exec(*program, "serve", "--port", "0", "--no-jobs", stdout=pipe, env=environ)
        for _ in range(2)
    ]
    answered: list[tuple[float, int]] = []  # when, and by which
    try:
        addresses = []
        for server in servers:
            assert server.stdout is not None
            line = (await server.stdout.readline()).decode()
            addresses.append(line.split("the API: ")[1].split()[0])

        async def calls(which: int, session: aiohttp.ClientSession) -> None:
            while True:
                try:
                    async with session.post(f"{addresses[which]}/chat/completions", json=ASK) as response:
                        if response.status == 429:
                            return
                        assert response.status == 200
                        await response.read()
                except aiohttp.ClientError:
                    assert which == 0  # the killed one
                    return
                answered.append((time.monotonic(), which))
                if len(answered) == 100:
                    servers[0].kill()

        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
            await asyncio.gather(*(calls(which, session) for which in (0, 1) * 4))
        ended = time.monotonic()
        servers[1].terminate()
        assert await servers[1].wait() == 0
    finally:
        for server in servers:
            if server.returncode is None:
                server.kill()
            await server.wait()
    killed = max(at for at, which in answered if which == 0)
    sure = sum(which == 1 or at < killed - UNWRITTEN_S for at, which in answered)
    assert 100 < len(answered) <= LIMIT
    assert ended > killed
    database = Database.open(postgres_url)
    try:
        with database.reading() as session_:
            metered = session_.scalar(select(func.sum(Usage.requests))) or 0
    finally:
        database.dispose()
    assert sure <= metered <= len(answered) + 8  # the killed one's last calls may be metered and not answered
