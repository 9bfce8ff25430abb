"""The cache's disk full while a resident wakes: one clear error, nothing half-made, and it wakes once there is room."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from gateway_home import ASK, Real, events, made, real, server_of

from emeritus.settings import Settings
from small_disk import fill, mounted

CACHE = 4 << 20  # bytes of the cache's disk
WEIGHTS = 2_000_000


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Settings, str]]:
    """A home with a resident whose engine needs its files in the cache, which is a disk of its own; and a key."""
    settings = Settings(home=tmp_path / "home", organisation="Test House", origin="house.example/t", loading="cache")
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "pytorch_model.bin").write_bytes(os.urandom(WEIGHTS))
    options = server_of(tmp_path, "Three plain words.", 0.0)
    options["command"] = f"test -f {{folder}}/pytorch_model.bin && exec {options['command']}"
    options["command"] = f"sh -c {shlex.quote(options['command'])}"
    key = made(settings, "command", options, weights=model)
    with mounted(settings.home / "cache", CACHE):
        yield settings, key


def half_made(cache: Path) -> list[str]:
    """What a restore that failed must not leave behind."""
    return [each.name for each in cache.iterdir() if "@" in each.name or each.name.startswith((".wren", ".gone"))]


async def refused(house: Real, session: aiohttp.ClientSession, stream: bool) -> None:
    """A call that is answered with the clear error of a full disk."""
    async with session.post(house.address, json=ASK | {"stream": stream}) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"], error["type"]) == (507, "EM202", "server_error")
    assert "cache_budget_bytes" in error["remedy"]
    assert str(house.app.settings.home) not in error["message"]
    assert 1 <= int(response.headers["Retry-After"]) <= 120


async def test_a_disk_that_is_full_while_waking(home: tuple[Settings, str]) -> None:
    """No room at all, for a beginning, for all but the end: refused alike; with room made, the same call answers."""
    settings, key = home
    cache = settings.home / "cache"
    async with real(settings, key) as house, house.session as session:
        for left in (0, WEIGHTS // 2, WEIGHTS + 8192):
            fill(cache / "ballast", left)
            await refused(house, session, stream=left == 0)
            assert half_made(cache) == []
            (status,) = house.app.reviving.residency.status()
            assert (status.state, status.in_flight, status.waiting) == ("failed", 0, 0)
            assert (status.error or "").startswith("EM202 ")
            (cache / "ballast").unlink()
            house.app.reviving.residency._scheduler.models["ibis"].paused_until = 0.0  # the pause is tested elsewhere
        assert house.used() == (0, 0)
        async with session.post(house.address, json=ASK | {"stream": True}) as response:
            assert response.status == 200
            assert events(await response.read())[-1]["choices"][0]["finish_reason"] == "stop"
        assert house.used() == (1, 3)
