"""The real `anthropic` SDK, over a real server: what it reads is what Anthropic's types say, nothing left over."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import pytest
from gateway_claude import ASK, ASKED, TEXT, TOOL
from gateway_house import DIGEST, KEY, LIMITS, WORDS, House, leftovers, served

from emeritus.access.limits import LimitState
from emeritus.access.policy import Admission, Tokens
from emeritus.engines.base import Capabilities, Message
from emeritus.engines.open import open_engine


async def test_an_answer_is_a_message(claude: anthropic.AsyncAnthropic, house: House) -> None:
    """A whole answer carries text, reason, usage and the weights' fingerprint, in fields the SDK knows."""
    answer = await claude.messages.create(**ASKED)
    assert [block.text for block in answer.content] == [TEXT]
    assert (answer.stop_reason, answer.stop_sequence, answer.model) == ("end_turn", None, "ibis")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 6)
    assert answer.model_extra["emeritus"] == {"system_fingerprint": f"fp_{DIGEST[:16]}"}
    assert leftovers(answer) == [".emeritus"]
    assert answer._request_id.startswith("req_")
    assert (house.metered, house.held) == ([Tokens(12, 6)], 0)


async def test_a_stream_is_anthropics_events(claude: anthropic.AsyncAnthropic, house: House) -> None:
    """Events come in Anthropic's order, with usage in the first and the last, and gather to the same message."""
    stream = await claude.messages.create(**ASKED, stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * len(WORDS),
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert [entry for event in events for entry in leftovers(event)] == [".message.emeritus"]
    start, delta = events[0].message, events[-2]
    assert (start.content, start.stop_reason, start.usage.input_tokens) == ([], None, 12)
    assert (delta.delta.stop_reason, delta.usage.input_tokens, delta.usage.output_tokens) == ("end_turn", 12, 6)
    async with claude.messages.stream(**ASKED) as gathered:
        assert [text async for text in gathered.text_stream] == list(WORDS)
        final = await gathered.get_final_message()
    whole = await claude.messages.create(**ASKED)
    assert [block.text for block in final.content] == [block.text for block in whole.content] == [TEXT]
    assert (final.usage, final.stop_reason) == (whole.usage, whole.stop_reason)
    assert house.metered == [Tokens(12, 6)] * 3


async def test_the_synchronous_sdk(address: str) -> None:
    """The blocking client lists, asks, streams and counts too, here with a bearer token."""

    def drive() -> tuple[list[str], str, str, int]:
        with anthropic.Anthropic(base_url=address.removesuffix("/v1"), auth_token=KEY, max_retries=0) as claude:
            models = [model.id for model in claude.models.list()]
            whole = claude.messages.create(**ASKED).content[0].text
            with claude.messages.stream(**ASKED) as stream:
                streamed = "".join(stream.text_stream)
            counted = claude.messages.count_tokens(model="ibis", messages=ASK).input_tokens
        return models, whole, streamed, counted

    assert await asyncio.to_thread(drive) == (["ibis", "heron"], TEXT, TEXT, 12)


async def test_the_engine_is_asked_what_the_caller_asked(claude: anthropic.AsyncAnthropic, house: House) -> None:
    """System, turns, blocks and every sampling field arrive; texts in a row are one turn."""
    await claude.messages.create(
        model="ibis",
        max_tokens=9,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d"},
            {"role": "user", "content": "e"},
        ],
        stop_sequences=["\n", "END"],
        metadata={"user_id": "someone"},
        extra_body={"temperature": 0, "top_p": 0.5, "thinking": {"type": "disabled"}},
    )
    messages, sampling = house.puppet.asked[0]
    assert messages == (
        Message("system", "Be brief."),
        Message("user", "a\nb\nc"),
        Message("assistant", "d"),
        Message("user", "e"),
    )
    assert sampling.as_dict() == {
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.5,
        "seed": None,
        "stop": ["\n", "END"],
        "logprobs": None,
    }


async def test_tools_reach_the_template(claude: anthropic.AsyncAnthropic, house: House) -> None:
    """Definitions, calls and results arrive as every engine knows them; `none` shows no tools."""
    turns: list[Any] = [
        {"role": "user", "content": "Look."},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"é": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "dark"}]},
                {"type": "text", "text": "And now?"},
            ],
        },
    ]
    await claude.messages.create(model="ibis", max_tokens=9, messages=turns, tools=[TOOL], tool_choice={"type": "auto"})
    function = {"name": "look", "description": "Look.", "parameters": TOOL["input_schema"]}
    assert house.puppet.shown[-1] == ({"type": "function", "function": function},)
    call = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"é": 1}'}}
    assert house.puppet.asked[-1][0] == (
        Message("user", "Look."),
        Message("assistant", "I look.", (call,)),
        Message("tool", "dark", tool_call_id="t1"),
        Message("user", "And now?"),
    )
    await claude.messages.create(**ASKED, tools=[TOOL], tool_choice={"type": "none"})
    assert house.puppet.shown[-1] == ()


async def test_the_scripted_engine_behind_the_gateway(
    claude: anthropic.AsyncAnthropic, house: House, tmp_path: Path
) -> None:
    """A real engine of ours: stop sequences by name, the length running out, an empty answer, its own count."""
    rules = [{"match": "Who", "answer": "A retired model."}, {"match": "hush", "answer": ""}]
    house.puppet = await open_engine("scripted", {"rules": rules}, None, log_dir=tmp_path, threads=1)
    stopped = await claude.messages.create(**ASKED, stop_sequences=["zzz", "model"])
    assert (stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence) == (
        "A retired ",
        "stop_sequence",
        "model",
    )
    async with claude.messages.stream(**ASKED, stop_sequences=["model"]) as stream:
        streamed = await stream.get_final_message()
    assert (streamed.stop_reason, streamed.stop_sequence) == ("stop_sequence", "model")
    short = await claude.messages.create(**{**ASKED, "max_tokens": 1})
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 1)
    hushed: list[Any] = [{"role": "user", "content": "hush"}]
    quiet = await claude.messages.create(model="ibis", max_tokens=9, messages=hushed)
    async with claude.messages.stream(model="ibis", max_tokens=9, messages=hushed) as stream:
        assert (await stream.get_final_message()).content == quiet.content == []
    counted = await claude.messages.count_tokens(model="ibis", messages=ASK)
    assert counted.input_tokens == stopped.usage.input_tokens > 0


async def test_counting_costs_a_request_and_no_tokens(claude: anthropic.AsyncAnthropic, house: House) -> None:
    """A count wakes the resident, is metered without tokens, and is refused where the engine cannot."""
    assert (await claude.messages.count_tokens(model="ibis", messages=ASK, tools=[TOOL])).input_tokens == 12
    assert (house.loads, house.held, house.metered) == (1, 0, [Tokens()])
    house.puppet.can = Capabilities()
    with pytest.raises(anthropic.BadRequestError) as refused:
        await claude.messages.count_tokens(model="ibis", messages=ASK)
    assert refused.value.error_code == "EM408"
    assert house.metered == [Tokens(), None]


async def test_a_cold_stream_is_held_open_by_pings(address: str, house: House) -> None:
    """While the resident wakes the wire carries pings and no content; then the message."""
    house.asleep = asyncio.Event()
    body = {**ASKED, "stream": True}
    async with (
        aiohttp.ClientSession(headers={"x-api-key": KEY}) as session,
        session.post(f"{address}/messages", json=body) as response,
    ):
        assert response.status == 200
        pings = b': waking, about 12 s\nevent: ping\ndata: {"type":"ping"}\n\n' * 2
        assert await response.content.readexactly(len(pings)) == pings
        house.asleep.set()
        rest = (await response.content.read()).replace(pings[: len(pings) // 2], b"")
    assert rest.startswith(b"event: message_start\ndata: {")
    assert rest.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


async def test_a_cold_start_and_its_retries_are_one_load(claude: anthropic.AsyncAnthropic, house: House) -> None:
    """The SDK sees only content of a stream held open; its retries of other calls join the load under way."""
    house.asleep = asyncio.Event()
    with pytest.raises(anthropic.APIStatusError) as refused:
        await claude.messages.create(**ASKED)
    assert (refused.value.status_code, refused.value.body["error"]["type"]) == (503, "overloaded_error")
    assert 1 <= int(refused.value.response.headers["Retry-After"]) <= 120
    asyncio.get_running_loop().call_later(1.5, house.asleep.set)
    patient = claude.with_options(max_retries=2)
    whole, counted, streamed = await asyncio.gather(
        patient.messages.create(**ASKED),
        patient.messages.count_tokens(model="ibis", messages=ASK),
        collected(claude),
    )
    assert (whole.content[0].text, counted.input_tokens, streamed) == (TEXT, 12, TEXT)
    assert house.loads == 1


async def collected(claude: anthropic.AsyncAnthropic) -> str:
    """The text of a stream."""
    async with claude.messages.stream(**ASKED) as stream:
        return await stream.get_final_text()


async def test_models_say_what_retired_means(claude: anthropic.AsyncAnthropic, house: House) -> None:
    """Models have Anthropic's lifecycle and dates and our states beside them; nothing is woken."""
    ibis, heron = [model async for model in claude.models.list()]
    assert (await claude.models.retrieve("ibis")) == ibis
    assert (ibis.id, ibis.display_name, ibis.lifecycle) == ("ibis", "Ibis 7B", "retired")
    assert (ibis.deprecated_at.isoformat(), ibis.retires_at.isoformat()) == (
        "2027-01-01T00:00:00+00:00",
        "2027-03-01T00:00:00+00:00",
    )
    assert (heron.lifecycle, heron.deprecated_at, heron.retires_at) == ("active", None, None)
    assert ibis.model_extra["emeritus"]["status"] == "retired and reachable"
    assert leftovers(ibis) == [".emeritus"]
    raw = await claude.models.with_raw_response.retrieve("ibis")
    assert (raw.headers["Deprecation"], raw.headers["request-id"][:4]) == ("@1798761600", "req_")
    assert house.loads == 0


async def test_the_list_in_pages(claude: anthropic.AsyncAnthropic) -> None:
    """The SDK's own paging walks forward and back, and the lifecycle filter is followed."""
    first = await claude.models.list(limit=1)
    assert ([model.id for model in first.data], first.has_more, first.last_id) == (["ibis"], True, "ibis")
    assert [model.id async for model in first] == ["ibis", "heron"]
    before = await claude.models.list(limit=1, before_id="heron")
    assert ([model.id for model in before.data], before.has_more) == (["ibis"], False)
    assert [model.id async for model in claude.models.list(lifecycle=["active", "deprecated"])] == ["heron"]
    assert (await claude.models.list(after_id="heron")).data == []


async def test_one_port_two_shapes(address: str) -> None:
    """The headers decide whose models, and whose error, a request gets."""
    async with aiohttp.ClientSession() as session:
        for headers, field in (
            ({}, "object"),
            ({"x-api-key": "k"}, "has_more"),
            ({"anthropic-version": "2023-06-01"}, "has_more"),
        ):
            async with session.get(f"{address}/models", headers=headers) as response:
                assert field in await response.json()
            async with session.get(f"{address}/nothing", headers=headers) as response:
                assert (await response.json()).get("type") == ("error" if headers else None)


async def test_what_is_left_of_limits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each vendor's headers tell of the limit that ends first, for requests and for tokens."""
    limits = (
        LimitState("requests_per_minute", "requests", 60, 41, 30),
        LimitState("requests_per_day", "requests", 1000, 7, 3723),
        LimitState("tokens_per_month", "tokens", 9000, 8000, 86400),
    )
    admission = Admission("ibis", "0" * 12, "g-1", "granted", "1", "2027-03-01", limits=limits)
    monkeypatch.setattr(house, "admit", lambda _key, _resident: admission)
    async with served(house, LIMITS) as address, aiohttp.ClientSession() as session:
        async with session.post(f"{address}/messages", json=ASKED) as response:
            theirs = response.headers
        body = {"model": "ibis", "messages": ASK, "stream": True}
        async with session.post(f"{address}/chat/completions", json=body) as response:
            ours = response.headers
    assert theirs["anthropic-ratelimit-requests-limit"] == ours["x-ratelimit-limit-requests"] == "1000"
    assert theirs["anthropic-ratelimit-requests-remaining"] == ours["x-ratelimit-remaining-requests"] == "7"
    assert theirs["anthropic-ratelimit-tokens-remaining"] == ours["x-ratelimit-remaining-tokens"] == "8000"
    assert ours["x-ratelimit-reset-requests"] == "1h2m3s"
    assert theirs["anthropic-ratelimit-requests-reset"].endswith("Z")
