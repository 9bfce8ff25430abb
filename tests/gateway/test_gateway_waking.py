"""Cold starts: streams are held open by comments, other calls wait for a while, and every retry finds the same load."""

from __future__ import annotations

import asyncio

import aiohttp
import openai
import pytest
from gateway_house import KEY, WORDS, House, until

from emeritus.errors import Busy, EngineFailed

ASK = [{"role": "user", "content": "Who are you?"}]
BODY = {"model": "ibis", "messages": ASK}
HEADERS = {"Authorization": f"Bearer {KEY}"}


async def test_a_stream_is_held_open_by_comments(address: str, house: House) -> None:
    """While the resident wakes, the wire carries comments with the expected seconds and no data; then the answer."""
    house.asleep = asyncio.Event()
    async with (
        aiohttp.ClientSession(headers=HEADERS) as session,
        session.post(f"{address}/chat/completions", json=BODY | {"stream": True}) as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        waiting = [await response.content.readuntil(b"\n\n") for _ in range(4)]
        assert waiting == [b": waking, about 12 s\n\n"] * 4
        house.asleep.set()
        rest = await response.content.read()
    assert rest.replace(b": waking, about 12 s\n\n", b"").startswith(b"data: {")
    assert rest.endswith(b"data: [DONE]\n\n")


async def test_the_sdk_sees_only_content(client: openai.AsyncOpenAI, house: House) -> None:
    """The SDK waits through the comments and yields the answer alone."""
    house.asleep = asyncio.Event()
    asyncio.get_running_loop().call_later(0.6, house.asleep.set)
    stream = await client.chat.completions.create(model="ibis", messages=ASK, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "".join(WORDS)


async def test_a_slow_engine_keeps_the_stream_alive(address: str, house: House) -> None:
    """An engine that has not spoken for a while is covered by comments as well, once awake by another one."""
    house.puppet.pause_s = 0.5
    house.puppet.words = ("one",)
    async with (
        aiohttp.ClientSession(headers=HEADERS) as session,
        session.post(f"{address}/chat/completions", json=BODY | {"stream": True}) as response,
    ):
        text = await response.text()
    assert ": working\n\n" in text
    assert ": waking" not in text


async def test_a_whole_answer_waits_a_while(address: str, house: House) -> None:
    """After wake_timeout_s it is a 503 with a Retry-After the SDK honours, and the load goes on."""
    house.asleep = asyncio.Event()
    async with (
        aiohttp.ClientSession(headers=HEADERS) as session,
        session.post(f"{address}/chat/completions", json=BODY) as response,
    ):
        assert response.status == 503
        assert 1 <= int(response.headers["Retry-After"]) <= 120
        assert (await response.json())["error"]["code"] == "EM407"
    assert house.metered == [None]
    house.asleep.set()
    await until(lambda: house.load_done)


async def test_a_retry_finds_the_same_load(client: openai.AsyncOpenAI, house: House) -> None:
    """The SDK's own retry after the 503 joins the load under way and gets its answer."""
    house.asleep = asyncio.Event()
    asyncio.get_running_loop().call_later(0.6, house.asleep.set)
    answer = await client.with_options(max_retries=2).chat.completions.create(model="ibis", messages=ASK)
    assert answer.choices[0].message.content == "".join(WORDS)
    assert house.loads == 1
    assert house.admitted == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_leaving_while_it_wakes_does_not_end_the_load(
    client: openai.AsyncOpenAI, house: House, stream: bool
) -> None:
    """A caller who leaves during the load gives its request back; the load goes on for the others."""
    house.asleep = asyncio.Event()
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.15).chat.completions.create(model="ibis", messages=ASK, stream=stream)
    await until(lambda: house.metered == [None])
    assert not house.load_done
    house.asleep.set()
    await until(lambda: house.load_done)
    answer = await client.chat.completions.create(model="ibis", messages=ASK)
    assert answer.choices[0].finish_reason == "stop"
    assert house.loads == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("error", "code", "status"), [(EngineFailed, "EM402", 502), (Busy, "EM407", 503)])
async def test_a_wake_that_fails_at_once_has_its_status(
    client: openai.AsyncOpenAI, house: House, error: type[Exception], code: str, status: int, stream: bool
) -> None:
    """Within the grace a stream's failure is still an HTTP status."""
    house.wake_error = error("no room")
    with pytest.raises(openai.InternalServerError) as refused:
        await client.chat.completions.create(model="ibis", messages=ASK, stream=stream)
    assert (refused.value.code, refused.value.status_code) == (code, status)


async def test_a_wake_that_fails_late_ends_the_stream(client: openai.AsyncOpenAI, house: House) -> None:
    """After the stream began, the same failure is an error event, and nothing else is said."""
    house.asleep, house.wake_error = asyncio.Event(), EngineFailed("no")
    stream = await client.chat.completions.create(model="ibis", messages=ASK, stream=True)
    house.asleep.set()
    with pytest.raises(openai.APIError) as refused:
        [chunk async for chunk in stream]
    assert refused.value.code == "EM402"
    assert house.metered == [None]


async def test_listing_never_waits_for_a_wake(client: openai.AsyncOpenAI, house: House) -> None:
    """While a load hangs, the models can be listed."""
    house.asleep = asyncio.Event()
    stream = await client.chat.completions.create(model="ibis", messages=ASK, stream=True)
    assert len((await client.models.list()).data) == 2
    await stream.close()
    house.asleep.set()
    await until(lambda: house.load_done)
