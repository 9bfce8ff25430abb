"""`/v1/responses` through the real SDK: whole and as typed events, and what cannot be kept refused."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from gateway_house import DIGEST, WORDS, House, died, leftovers
from openai.types.responses import Response

from emeritus.access.policy import Tokens
from emeritus.engines.base import Capabilities, Message, Piece
from emeritus.errors import BadRequest
from emeritus.gateway.openai.responses_body import RESPONSE_IGNORED, RESPONSE_UNUSED, parse_response

TEXT = "".join(WORDS)
TOOL = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": False}
OURS = {".store", ".system_fingerprint"}  # `store` is in OpenAI's answers but not in its SDK's type


def refused(**changes: object) -> BadRequest:
    """The refusal of a good request with these changes."""
    with pytest.raises(BadRequest) as caught:
        parse_response(json.dumps({"model": "ibis", "input": "hi"} | changes).encode())
    return caught.value


async def test_a_response(client: openai.AsyncOpenAI, house: House) -> None:
    """A text becomes a user's turn after the instructions; the answer is one message, its usage told and metered."""
    response = await client.responses.create(
        model="ibis", input="Who are you?", instructions="Be brief.", max_output_tokens=9, temperature=0, top_p=0.5
    )
    assert (response.status, response.output_text, response.error) == ("completed", TEXT, None)
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (12, 6, 18)
    assert response.system_fingerprint == f"fp_{DIGEST[:16]}"
    assert set(leftovers(response)) == OURS
    Response.model_validate_json(response.model_dump_json(), strict=True)
    messages, sampling = house.puppet.asked[0]
    assert messages == (Message("system", "Be brief."), Message("user", "Who are you?"))
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (9, 0, 0.5)
    assert house.metered == [Tokens(12, 6)]


async def test_items_are_turns(client: openai.AsyncOpenAI, house: House) -> None:
    """Messages, an answer sent back as it came, a function's call and its output are a conversation's turns."""
    first = await client.responses.create(model="ibis", input="Hello")
    await client.responses.create(
        model="ibis",
        input=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            *[item.model_dump(exclude_unset=True) for item in first.output],
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "a heron"},
        ],
        tools=[TOOL],
    )
    called = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert house.puppet.asked[-1][0] == (
        Message("system", "Be kind."),
        Message("user", "ab"),
        Message("assistant", TEXT),
        Message("assistant", "", (called,)),
        Message("tool", "a heron", (), "c1"),
    )
    shown = {"name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": False}
    assert house.puppet.shown[-1] == ({"type": "function", "function": shown},)


async def test_a_stream_of_typed_events(client: openai.AsyncOpenAI) -> None:
    """Events come in OpenAI's order, numbered, and the SDK's own accumulator makes the whole response of them."""
    stream = await client.responses.create(model="ibis", input="Hi", stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * len(WORDS),
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert {entry.rpartition(".response")[2] for event in events for entry in leftovers(event)} == OURS
    assert {event.response.system_fingerprint for event in (*events[:2], events[-1])} == {f"fp_{DIGEST[:16]}"}
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    async with client.responses.stream(model="ibis", input="Hi") as accumulated:
        final = await accumulated.get_final_response()
    assert (final.output_text, final.status) == (TEXT, "completed")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_cut_off(client: openai.AsyncOpenAI, house: House, stream: bool) -> None:
    """An answer that ran into its length is incomplete, and says why."""

    async def cut(*_: object) -> object:
        yield Piece("Once", finish_reason="length", prompt_tokens=3, completion_tokens=1)

    house.puppet.stream = cut
    if stream:
        events = [event async for event in await client.responses.create(model="ibis", input="Hi", stream=True)]
        assert events[-1].type == "response.incomplete"
        response = events[-1].response
    else:
        response = await client.responses.create(model="ibis", input="Hi")
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (response.output[0].status, response.output_text) == ("incomplete", "Once")


async def test_log_probabilities_where_included(client: openai.AsyncOpenAI) -> None:
    """Asked for, each token's probability is in the text and in the events; otherwise there is none."""
    include = ["message.output_text.logprobs"]
    response = await client.responses.create(model="ibis", input="Hi", include=include, top_logprobs=1)
    told = response.output[0].content[0].logprobs
    assert (told[0].token, told[0].logprob, told[0].top_logprobs[0].token) == ("The ", -0.25, "The ")
    stream = await client.responses.create(model="ibis", input="Hi", include=include, stream=True)
    deltas = [event.logprobs async for event in stream if event.type == "response.output_text.delta"]
    assert [entry.token for each in deltas for entry in each] == list(WORDS)
    assert (await client.responses.create(model="ibis", input="Hi")).output[0].content[0].logprobs == []


async def test_a_stream_that_breaks(client: openai.AsyncOpenAI, house: House) -> None:
    """What was said arrives, then the SDK raises our error; the request counts."""
    house.puppet.fails_after = (2, died())
    stream = await client.responses.create(model="ibis", input="Hi", stream=True)
    said: list[str] = []

    async def read() -> None:
        async for event in stream:
            if event.type == "response.output_text.delta":
                said.append(event.delta)

    with pytest.raises(openai.APIError) as broken:
        await read()
    assert said == list(WORDS[:2])
    assert broken.value.code == "EM403"
    assert house.metered == [Tokens()]


async def test_cold_streams_are_held_open(client: openai.AsyncOpenAI, house: House) -> None:
    """The SDK waits through the comments of a wake."""
    house.asleep = asyncio.Event()
    asyncio.get_running_loop().call_later(0.5, house.asleep.set)
    stream = await client.responses.create(model="ibis", input="Hi", stream=True)
    assert [event.type async for event in stream][-1] == "response.completed"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
    ],
)
def test_what_would_have_to_be_kept(changes: dict[str, object], param: str) -> None:
    """Fields that need kept responses are refused with what to do instead."""
    error = refused(**changes)
    assert error.facts["param"] == param
    assert "kept" in error.message
    assert "input" in error.remedy


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input.0.role"),
        ({"input": [{"type": "item_reference", "id": "1"}]}, "input.0"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input.0.content.0.type"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [TOOL | {"strict": True}]}, "tools.0.strict"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"include": ["file_search_call.results"]}, "include.0"),
        ({"text": {"format": {"type": "json_object"}}}, "text"),
        ({"reasoning": {"effort": "high"}}, "reasoning"),
        ({"truncation": "auto"}, "truncation"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"stream_options": {}}, "stream_options"),
        ({"messages": []}, "messages"),
        ({"seed": 5}, "seed"),
    ],
)
def test_each_field_is_named(changes: dict[str, object], param: str) -> None:
    """What is wrong, unknown or not followed is refused by its name."""
    assert refused(**changes).facts["param"] == param


def test_harmless_fields() -> None:
    """Labels, nulls, and values that mean "not used" are accepted."""
    habits = {name: values[0] for name, values in RESPONSE_UNUSED.items() if values}
    for extra in (habits, dict.fromkeys(RESPONSE_UNUSED), dict.fromkeys(RESPONSE_IGNORED, "x"), {"store": False}):
        body = {"model": "ibis", "input": "hi"} | extra
        assert parse_response(json.dumps(body).encode()).call.prompts == ((Message("user", "hi"),),)


async def test_tools_without_a_place(client: openai.AsyncOpenAI, house: House) -> None:
    """An engine without tools refuses them here as well."""
    house.puppet.can = Capabilities()
    with pytest.raises(openai.BadRequestError) as error:
        await client.responses.create(model="ibis", input="x", tools=[TOOL])
    assert error.value.code == "EM408"
