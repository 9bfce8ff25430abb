"""What the tests of correspondence share: a home with scripted residents, its gateway served, a clock that is moved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openai
from starlette.applications import Starlette

from emeritus.access.policy import Standing
from emeritus.access.service import Terms
from emeritus.acts import Actor
from emeritus.app import App
from emeritus.gateway.app import build_gateway
from emeritus.gateway.backend import Limits
from emeritus.gateway.house import House
from emeritus.lifecycle.registration import Registration
from emeritus.settings import load
from serving import serving

ANA = Actor("ana")
NO_TERMS = Terms()
SATURDAY = datetime(2027, 3, 6, 12, 0, tzinfo=UTC)
WINDOW = "sun 02:00-06:00"
SCRIPT: dict[str, Any] = {"rules": [{"match": "name", "answer": "A heron."}], "default": "The model produced this."}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = SATURDAY

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        """Go on by a timedelta."""
        self.now += timedelta(**by)


@dataclass
class PostHouse:
    """An opened home whose correspondence has a clock of its own."""

    app: App
    clock: Clock = field(default_factory=Clock)
    address: str = ""

    @classmethod
    def make(cls, folder: Path, **settings: Any) -> PostHouse:
        """A home with the resident `heron`, asleep at the tier correspondence, and `wren`, which answers at once."""
        chosen = load(home=folder, memory_budget_bytes=1 << 30, **settings)
        App.create(chosen, ANA, keep=set(settings))
        app = App.open(chosen)
        for name, standing in (
            ("heron", Standing("correspondence", "entitled", WINDOW)),
            ("wren", Standing("on-demand", "entitled")),
        ):
            app.lifecycle.register(Registration(name, engine="scripted", options=SCRIPT, weights_held=False), ANA)
            app.access.set_tier(name, standing, "r", ANA)
        return cls.over(app)

    @classmethod
    def over(cls, app: App) -> PostHouse:
        """The house of an opened home."""
        house = cls(app)
        app.answering.kept.clock = house.clock
        return house

    def key(self, terms: Terms = NO_TERMS, who: str = "ben") -> str:
        """A new key for every resident."""
        return self.app.access.issue_key(self.app.access.grant("*", who, terms, "r", ANA))

    async def round(self) -> int:
        """What `serve` does each minute: look after deadlines, and have those take their turns who may."""
        answering = self.app.answering
        await asyncio.to_thread(answering.look_after)
        ended = [await answering.take(resident) for resident in await asyncio.to_thread(answering.due)]
        return sum(ended)

    def client(self, key: str) -> openai.AsyncOpenAI:
        """The real SDK; it does not retry. Close it."""
        return openai.AsyncOpenAI(base_url=self.address, api_key=key, max_retries=0)


@asynccontextmanager
async def served(house: PostHouse) -> AsyncIterator[PostHouse]:
    """The house's gateway under /v1 on a loopback port."""
    app = house.app
    gateway = build_gateway(House(app, "http://house.example"), Limits.of(app.settings), app.answering)
    try:
        async with serving(gateway.before(Starlette(), "/v1")) as address:
            house.address = f"{address}/v1"
            yield house
    finally:
        await app.close_residency()


def chat_line(number: int, model: str = "wren", text: str = "Who are you?", **body: Any) -> dict[str, Any]:
    """A line of OpenAI's that asks a chat completion."""
    asked = {"model": model, "messages": [{"role": "user", "content": text}], **body}
    return {"custom_id": f"q-{number}", "method": "POST", "url": "/v1/chat/completions", "body": asked}


def jsonl(*lines: object) -> bytes:
    """Lines as a file has them; text stays as it is."""
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines).encode()
