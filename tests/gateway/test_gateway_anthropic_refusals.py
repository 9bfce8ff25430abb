"""Refusals and failures reach the real `anthropic` SDK as its own errors, before the first byte and in mid-stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from gateway_claude import ASKED, TOOL
from gateway_house import WORDS, House, died, until

from emeritus.access.policy import Tokens
from emeritus.engines.base import Capabilities, Piece
from emeritus.errors import Busy, ContextTooLong, OutsideHours


@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_of_access(claude: anthropic.AsyncAnthropic, house: House, stream: bool) -> None:
    """A wrong key, another's resident, an unknown one and a used-up day are the SDK's own errors, with our code."""
    wrong = claude.with_options(api_key="em_nonsense")
    with pytest.raises(anthropic.AuthenticationError) as unauthorized:
        await wrong.messages.create(**ASKED, stream=stream)
    assert (unauthorized.value.error_code, unauthorized.value.body["error"]["type"]) == (
        "EM601",
        "authentication_error",
    )
    assert unauthorized.value.request_id == unauthorized.value.body["request_id"]
    assert "emeritus access key" in unauthorized.value.body["error"]["details"]["remedy"]
    with pytest.raises(anthropic.PermissionDeniedError) as forbidden:
        await claude.messages.create(**{**ASKED, "model": "heron"}, stream=stream)
    assert forbidden.value.error_code == "EM602"
    with pytest.raises(anthropic.NotFoundError) as missing:
        await claude.messages.create(**{**ASKED, "model": "dodo"}, stream=stream)
    assert (missing.value.error_code, missing.value.body["error"]["details"]["param"]) == ("EM108", "model")
    house.quota = 0
    with pytest.raises(anthropic.RateLimitError) as limited:
        await claude.with_options(max_retries=2).messages.create(**ASKED, stream=stream)
    assert limited.value.response.headers["Retry-After"] == "3600"
    assert (house.loads, house.metered) == (0, [])


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_before_the_first_byte_have_their_status(
    claude: anthropic.AsyncAnthropic, house: House, stream: bool
) -> None:
    """What fails before anything was said has its status and type, streamed or not, and the request is given back."""
    house.puppet.fails_after = (0, ContextTooLong("the prompt has 900 tokens; the model reads 512"))
    with pytest.raises(anthropic.BadRequestError) as long:
        await claude.messages.create(**ASKED, stream=stream)
    assert (long.value.error_code, long.value.body["error"]["type"]) == ("EM405", "invalid_request_error")
    house.puppet.can = Capabilities(stop=False)
    with pytest.raises(anthropic.BadRequestError) as unable:
        await claude.messages.create(**ASKED, stop_sequences=["x"], stream=stream)
    assert unable.value.body["error"]["details"]["param"] == "stop_sequences"
    with pytest.raises(anthropic.BadRequestError, match="tools"):
        await claude.messages.create(**ASKED, tools=[TOOL], stream=stream)
    assert (house.metered, house.held) == ([None] * 3, 0)


@pytest.mark.parametrize(
    ("error", "kind", "retry"),
    [
        (Busy("no room", retry_after_s=900), "overloaded_error", None),
        (OutsideHours("not now", retry_after_s=7200), "api_error", "false"),
    ],
    ids=["busy", "outside hours"],
)
async def test_not_now(
    claude: anthropic.AsyncAnthropic, house: House, error: Exception, kind: str, retry: str | None
) -> None:
    """What may come soon is overloaded, with a Retry-After the SDK honours; what is hours away is not retried."""
    house.wake_error = error
    with pytest.raises(anthropic.APIStatusError) as refused:
        await claude.messages.create(**ASKED)
    assert (refused.value.status_code, refused.value.body["error"]["type"]) == (503, kind)
    headers = refused.value.response.headers
    assert (headers["Retry-After"], headers.get("x-should-retry")) == ("120" if retry is None else "7200", retry)


@pytest.mark.parametrize("fault", [died(), RuntimeError("secret")], ids=["died", "a defect"])
async def test_a_failure_in_mid_stream(claude: anthropic.AsyncAnthropic, house: House, fault: Exception) -> None:
    """What was said arrives, then an error event the SDK raises, without our paths; no proper end is faked."""
    house.puppet.fails_after = (3, fault)
    stream = await claude.messages.create(**ASKED, stream=True)
    seen: list[Any] = []

    async def read() -> None:
        async for event in stream:
            seen.append(event)

    with pytest.raises(anthropic.APIStatusError) as refused:
        await read()
    assert [event.delta.text for event in seen if event.type == "content_block_delta"] == list(WORDS[:3])
    assert seen[-1].type == "content_block_delta"
    assert refused.value.error_code in ("EM403", "EM000")
    assert "secret" not in str(refused.value.body)
    assert (house.metered, house.held) == ([Tokens()], 0)


async def test_a_caller_who_leaves_ends_its_stream(claude: anthropic.AsyncAnthropic, house: House) -> None:
    """Closing a stream cancels the generation and lets go of the resident; the request counts."""
    house.puppet.endless, house.puppet.pause_s = True, 0.001
    async with claude.messages.stream(**ASKED) as stream:
        async for _ in stream.text_stream:
            break
    await until(lambda: house.metered)
    assert (house.puppet.running, house.puppet.cancelled, house.held) == (0, 1, 0)


async def test_an_answer_of_no_words_at_all(claude: anthropic.AsyncAnthropic, house: House) -> None:
    """An engine that ends at once gives a message without blocks; one that stops without an end is an error."""
    house.puppet.words = ()
    assert (await claude.messages.create(**ASKED)).content == []

    async def mute(*_: object) -> AsyncIterator[Piece]:
        return
        yield

    monkey = house.puppet
    monkey.stream = mute
    with pytest.raises(anthropic.InternalServerError) as refused:
        await claude.messages.create(**ASKED)
    assert (refused.value.error_code, refused.value.body["error"]["type"]) == ("EM403", "api_error")
