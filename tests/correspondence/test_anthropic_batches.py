"""Anthropic's batches of messages, driven by its own SDK against a served home."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from post_house import PostHouse


@pytest.fixture
async def claude(post: PostHouse) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The asynchronous SDK, without retries."""
    base = post.address.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=base, api_key=post.key(), max_retries=0) as client:
        yield client


def line(number: int, model: str = "wren", **params: Any) -> Any:
    """One request."""
    asked = {"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": "Your name?"}], **params}
    return {"custom_id": f"q-{number}", "params": asked}


async def test_a_batch_of_messages_is_answered_listed_and_erased(
    claude: anthropic.AsyncAnthropic, post: PostHouse
) -> None:
    """Results come in the order of the requests, as the SDK's own types, until the batch is deleted."""
    batches = claude.messages.batches
    made = await batches.create(requests=[line(1), line(2, "heron")])
    assert (made.processing_status, made.results_url, made.request_counts.processing) == ("in_progress", None, 2)
    with pytest.raises(anthropic.AnthropicError, match="results"):
        await batches.results(made.id)
    assert await post.round() == 1
    post.clock.move(hours=15)
    assert await post.round() == 1
    done = await batches.retrieve(made.id)
    assert (done.processing_status, done.request_counts.succeeded) == ("ended", 2)
    results = [each async for each in await batches.results(made.id)]
    assert [each.custom_id for each in results] == ["q-1", "q-2"]
    assert [each.result.message.content[0].text for each in results] == ["A heron.", "A heron."]
    assert [each.id async for each in batches.list(limit=1)] == [made.id]
    assert (await batches.delete(made.id)).id == made.id
    with pytest.raises(anthropic.NotFoundError):
        await batches.retrieve(made.id)


async def test_a_bad_request_is_named_and_nothing_is_kept(claude: anthropic.AsyncAnthropic) -> None:
    """One unusable request of a batch refuses it, by its place."""
    with pytest.raises(anthropic.BadRequestError, match=r"requests\.1: "):
        await claude.messages.batches.create(requests=[line(1), line(2, max_tokens=0)])
    assert [each async for each in claude.messages.batches.list()] == []


async def test_cancelled_and_archived_requests_say_so(claude: anthropic.AsyncAnthropic, post: PostHouse) -> None:
    """What was not asked is canceled; what a resident in the archive would answer ends with a clear error."""
    from post_house import ANA

    from emeritus.access.policy import Standing

    batches = claude.messages.batches
    first = await batches.create(requests=[line(1, "heron")])
    assert (await batches.cancel(first.id)).processing_status == "ended"
    (gone,) = [each async for each in await batches.results(first.id)]
    assert gone.result.type == "canceled"
    second = await batches.create(requests=[line(1)])
    post.app.access.set_tier("wren", Standing("archive", "entitled"), "r", ANA)
    assert await post.round() == 1
    (failed,) = [each async for each in await batches.results(second.id)]
    assert failed.result.type == "errored"
    assert "archive" in failed.result.error.error.message
