"""A clock that is set an hour forwards or back: nothing is lost, nothing asked twice, nothing waits for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
from post_house import PostHouse, chat_line, jsonl

from emeritus.access.queries import last_uses

SUNDAY = datetime(2027, 3, 7, 1, 30, tzinfo=UTC)  # half an hour before the window opens


@pytest.fixture
def post_house(tmp_path: Path) -> Iterator[PostHouse]:
    """A home whose residents answer one line after the other."""
    house = PostHouse.make(tmp_path / "home", correspondence_parallel=1)
    yield house
    house.app.close()


async def send(client: openai.AsyncOpenAI, *lines: object) -> Any:
    """A batch of these lines."""
    file = await client.files.create(file=("requests.jsonl", jsonl(*lines)), purpose="batch")
    return await client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")


async def names(client: openai.AsyncOpenAI, file: str | None) -> list[str]:
    """The requests of a file that a batch brought."""
    if file is None:
        return []
    return [json.loads(line)["custom_id"] for line in (await client.files.content(file)).text.splitlines()]


async def test_the_clock_goes_back_in_the_middle_of_a_turn(client: openai.AsyncOpenAI, post: PostHouse) -> None:
    """An hour ahead the window opens and half is answered; set back, the rest waits for the window, and comes once."""
    made = await send(client, *(chat_line(number, "heron") for number in range(4)))
    post.clock.now = SUNDAY
    assert await post.round() == 0
    post.clock.move(hours=1)
    answering, admitted = post.app.answering, 0
    admit = answering.admit

    def admitting(*given: Any) -> Any:
        nonlocal admitted
        admitted += 1
        if admitted == 2:
            post.clock.move(hours=-1)
        return admit(*given)

    answering.admit = admitting
    assert await post.round() == 2
    half = await client.batches.retrieve(made.id)
    assert (half.status, half.request_counts.completed, half.expires_at) == ("in_progress", 2, made.expires_at)
    assert await post.round() == 0  # the window is not open yet, whatever was so before
    post.clock.move(minutes=30)
    assert await post.round() == 2
    done = await client.batches.retrieve(made.id)
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 4, 0)
    assert await names(client, done.output_file_id) == ["q-0", "q-1", "q-2", "q-3"]
    post.app.access.flush()
    with post.app.database.reading() as session:
        assert [each.requests for each in last_uses(session, "heron")] == [4]


async def test_a_deadline_that_the_clock_jumps_over(client: openai.AsyncOpenAI, post: PostHouse) -> None:
    """What expired while the clock was ahead says so for good; what is sent after it is right again is answered."""
    early = await send(client, chat_line(1), chat_line(2))
    post.clock.move(hours=23, minutes=30)
    late = await send(client, chat_line(3))
    post.clock.move(hours=1)
    assert await post.round() == 1  # of the one that has time left
    post.clock.move(hours=-1)
    assert await post.round() == 0
    expired = await client.batches.retrieve(early.id)
    assert (expired.status, expired.request_counts.failed) == ("expired", 2)
    assert await names(client, expired.error_file_id) == ["q-1", "q-2"]
    again = await send(client, chat_line(1), chat_line(2))
    assert await post.round() == 2
    assert (await client.batches.retrieve(again.id)).status == "completed"
    listed = [each.id async for each in client.batches.list(limit=1)]
    assert sorted(listed) == sorted([early.id, late.id, again.id])
