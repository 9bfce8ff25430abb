"""Several choices of one chat call, and tools: what the engine is asked, and what the SDK reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
from gateway_house import WORDS, House, leftovers, until

from emeritus.access.policy import Tokens
from emeritus.engines.base import Capabilities, Message, Piece, Sampling

ASK = [{"role": "user", "content": "Who are you?"}]
TEXT = "".join(WORDS)
TOOL = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}
CALLS = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]


@pytest.mark.parametrize("stream", [False, True])
async def test_n_choices(client: openai.AsyncOpenAI, house: House, stream: bool) -> None:
    """Three choices run at once, each with its index and a seed of its own; the prompt is counted once."""
    asked = {"model": "ibis", "messages": ASK, "n": 3, "seed": 1}
    if stream:
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                **asked, stream=True, stream_options={"include_usage": True}
            )
        ]
        said = ["", "", ""]
        for chunk in chunks[:-1]:
            said[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
        assert sorted(c.choices[0].index for c in chunks[:-1] if c.choices[0].finish_reason == "stop") == [0, 1, 2]
        assert [entry for chunk in chunks for entry in leftovers(chunk)] == []
        usage = chunks[-1].usage
    else:
        whole = await client.chat.completions.create(**asked)
        assert [choice.index for choice in whole.choices] == [0, 1, 2]
        said, usage = [choice.message.content for choice in whole.choices], whole.usage
    assert said == [TEXT] * 3
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (12, 18, 30)
    assert sorted(sampling.seed or 0 for _, sampling in house.puppet.asked) == [1, 2, 3]
    assert house.metered == [Tokens(12, 18)]
    assert house.admitted == 1


async def test_choices_are_produced_at_once(client: openai.AsyncOpenAI, house: House) -> None:
    """No choice waits for another: each begins before any may end."""
    begun = 0

    async def together(*_: object) -> AsyncIterator[Piece]:
        nonlocal begun
        begun += 1
        await until(lambda: begun == 4)
        yield Piece("x")
        yield Piece("", finish_reason="stop", prompt_tokens=1, completion_tokens=1)

    house.puppet.stream = together
    answer = await client.chat.completions.create(model="ibis", messages=ASK, n=4)
    assert [choice.message.content for choice in answer.choices] == ["x"] * 4


async def test_leaving_ends_every_choice(client: openai.AsyncOpenAI, house: House) -> None:
    """A caller who leaves ends all choices, and lets go of the resident once."""
    house.puppet.endless, house.puppet.pause_s = True, 0.001
    stream = await client.chat.completions.create(model="ibis", messages=ASK, n=3, stream=True)
    async for _ in stream:
        break
    await until(lambda: house.puppet.running == 3)
    await stream.close()
    await until(lambda: house.metered)
    assert (house.puppet.running, house.puppet.cancelled, house.held) == (0, 3, 0)


async def test_one_mute_choice_is_an_error(client: openai.AsyncOpenAI, house: House) -> None:
    """An answer whose other choice just stops is no answer."""
    first = True

    async def half(_messages: object, _sampling: Sampling) -> AsyncIterator[Piece]:
        nonlocal first
        mute, first = first, False
        await asyncio.sleep(0)
        if not mute:
            yield Piece("", finish_reason="stop", prompt_tokens=1, completion_tokens=0)

    house.puppet.stream = half
    with pytest.raises(openai.InternalServerError) as refused:
        await client.chat.completions.create(model="ibis", messages=ASK, n=2)
    assert refused.value.code == "EM403"
    assert house.metered == [None]


async def test_tools_reach_the_engine(client: openai.AsyncOpenAI, house: House) -> None:
    """Definitions, an earlier call and its result arrive as OpenAI writes them; `none` shows the model no tool."""
    messages = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "c1", "content": "a heron"},
    ]
    await client.chat.completions.create(model="ibis", messages=messages, tools=[TOOL], tool_choice="auto")
    assert house.puppet.shown[-1] == (TOOL,)
    assert house.puppet.asked[-1][0][1:] == (
        Message("assistant", "", tuple(CALLS)),
        Message("tool", "a heron", (), "c1"),
    )
    await client.chat.completions.create(model="ibis", messages=ASK, tools=[TOOL], tool_choice="none")
    assert house.puppet.shown[-1] == ()


@pytest.mark.parametrize(
    "asked",
    [
        {"messages": ASK, "tools": [TOOL]},
        {"messages": [*ASK, {"role": "assistant", "content": "", "tool_calls": CALLS}]},
        {"messages": [*ASK, {"role": "tool", "tool_call_id": "c1", "content": "x"}]},
    ],
)
async def test_a_template_without_a_place_for_tools(
    client: openai.AsyncOpenAI, house: House, asked: dict[str, object]
) -> None:
    """Tools that the chat template cannot show are refused, not dropped."""
    house.puppet.can = Capabilities()
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model="ibis", **asked)
    assert (refused.value.code, refused.value.param) == ("EM408", "tools")


@pytest.mark.parametrize(
    "text", ["", "a", '"', "\\", "\n\r\u2028", "\U0001f426", "\u0000", '"content":""', "é</script>"]
)
async def test_every_text_arrives_as_it_is(client: openai.AsyncOpenAI, house: House, text: str) -> None:
    """Whatever a piece holds, the chunk's JSON holds the same."""
    house.puppet.words = (text, "after", text)
    stream = await client.chat.completions.create(model="ibis", messages=ASK, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == f"{text}after{text}"
