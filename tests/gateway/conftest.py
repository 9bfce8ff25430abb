"""A served house, and the real SDK's clients for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest
from gateway_house import KEY, House, served


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
