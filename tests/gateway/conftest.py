"""A served house, and the real SDK's clients for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pytest
import schemathesis
from gateway_house import KEY, House, served

from emeritus.gateway.backend import Limits


@pytest.fixture
def house() -> House:
    """The backend in memory."""
    return House()


@pytest.fixture
async def address(house: House) -> AsyncIterator[str]:
    """Where it is served."""
    async with served(house) as address:
        yield address


@pytest.fixture
async def client(address: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The asynchronous SDK with the right key; it does not retry."""
    async with openai.AsyncOpenAI(base_url=address, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(address: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Anthropic's asynchronous SDK with the right key; it does not retry."""
    base = address.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=base, api_key=KEY, max_retries=0) as claude:
        yield claude


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[House, str]]:
    """A house served from a thread of its own, for clients that block; and its address."""
    house, ready, ended = House(quota=1 << 30), threading.Event(), asyncio.Event()
    found: list[Any] = []

    async def serve() -> None:
        async with served(house, Limits(1 << 20, wake_timeout_s=0.5, grace_s=0.05, heartbeat_s=0.05)) as address:
            found.extend((asyncio.get_running_loop(), address))
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    yield house, found[1]
    found[0].call_soon_threadsafe(ended.set)
    thread.join()


@pytest.fixture(scope="module")
def described(behind: tuple[House, str]) -> schemathesis.BaseSchema:
    """The description as served."""
    schema = schemathesis.openapi.from_url(f"{behind[1]}/openapi.json")
    schema.config.update(base_url=behind[1])
    return schema
