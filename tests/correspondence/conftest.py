"""A served home, and OpenAI's client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import openai
import pytest
from post_house import PostHouse, served


@pytest.fixture
def post_house(tmp_path: Path) -> Iterator[PostHouse]:
    """A home with two scripted residents."""
    house = PostHouse.make(tmp_path / "home")
    yield house
    house.app.close()


@pytest.fixture
async def post(post_house: PostHouse) -> AsyncIterator[PostHouse]:
    """The same, served."""
    async with served(post_house) as house:
        yield house


@pytest.fixture
async def client(post: PostHouse) -> AsyncIterator[openai.AsyncOpenAI]:
    """The asynchronous SDK with a key that may do everything."""
    async with post.client(post.key()) as client:
        yield client
