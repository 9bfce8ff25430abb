"""A real home behind the gateway: records, access, residency and one resident, served on loopback in this process."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.routing import Mount

from emeritus.access.limits import NO_LIMITS
from emeritus.access.limits import Limits as Allowed
from emeritus.access.policy import Standing
from emeritus.access.service import Terms
from emeritus.acts import Actor
from emeritus.app import App
from emeritus.gateway.app import build_gateway
from emeritus.gateway.backend import Limits
from emeritus.gateway.house import House
from emeritus.lifecycle.registration import Registration
from emeritus.records.tables import Usage
from emeritus.settings import Settings
from serving import serving

STEWARD = Actor("ana")
ASK = {"model": "ibis", "messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 4000}


def made(
    settings: Settings,
    engine: str,
    options: Mapping[str, Any],
    allowed: Allowed = NO_LIMITS,
    weights: Path | None = None,
) -> str:
    """Make a home with the resident `ibis`, whose files are in this folder if any are, and return a key for it."""
    App.create(settings, STEWARD, set())
    app = App.open(settings)
    try:
        app.lifecycle.register(
            Registration("ibis", "Ibis", engine=engine, options=dict(options), weights_held=weights is not None),
            STEWARD,
        )
        if weights is not None:
            app.preservation.preserve("ibis", weights, STEWARD)
        app.access.set_tier("ibis", Standing("on-demand", "entitled"), "a test", STEWARD)
        grant = app.access.grant("ibis", "a caller", Terms(limits=allowed), "a test", STEWARD)
        return app.access.issue_key(grant)
    finally:
        app.close()


def server_of(folder: Path, words: str, pause_s: float) -> dict[str, Any]:
    """Options of the engine `command` for a server of its own that says these words."""
    script = folder / "script.json"
    script.write_text(json.dumps({"model": "ibis", "default": words, "token_delay_s": pause_s}), encoding="utf-8")
    return {
        "command": f"{{python}} -m emeritus.engines.scripted --port {{port}} --script {shlex.quote(str(script))}",
        "model": "ibis",
    }


@dataclass
class Real:
    """A served home."""

    app: App
    address: str
    key: str

    @property
    def session(self) -> aiohttp.ClientSession:
        """A client with the key. Close it."""
        return aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.key}"})

    @property
    def in_flight(self) -> int:
        """Calls that hold the resident awake or wait for it."""
        return sum(each.in_flight + each.waiting for each in self.app.reviving.residency.status())

    def used(self) -> tuple[int, int]:
        """Requests and answers' tokens as the database has them."""
        self.app.access.flush()
        with self.app.database.reading() as session:
            row = session.execute(select(func.sum(Usage.requests), func.sum(Usage.completion_tokens))).one()
        return int(row[0] or 0), int(row[1] or 0)


@asynccontextmanager
async def real(settings: Settings, key: str) -> AsyncIterator[Real]:
    """Serve a home that was made."""
    app = App.open(settings)
    gateway = Starlette(routes=[Mount("/v1", app=build_gateway(House(app, ""), Limits.of(settings)))])
    try:
        async with serving(gateway) as address:
            yield Real(app, f"{address}/v1/chat/completions", key)
    finally:
        await app.reviving.close()
        app.close()


def events(body: bytes) -> Sequence[Any]:
    """The JSON of a stream's events."""
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n\n") if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]
