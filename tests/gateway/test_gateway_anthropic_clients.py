"""Programs that speak Anthropic's wire format by other means: LangChain, and Inspect AI."""

from __future__ import annotations

import asyncio

import pytest
from gateway_claude import TEXT
from gateway_house import KEY, House, until

from emeritus.access.policy import Tokens
from emeritus.engines.base import Message


async def test_langchain_speaks_anthropic(address: str, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain's ChatAnthropic answers, streams with usage through a cold start, passes tools and counts tokens."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    from langchain_anthropic import ChatAnthropic
    from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage

    base = address.removesuffix("/v1")
    model = ChatAnthropic(model="ibis", base_url=base, api_key=KEY, max_tokens=9, temperature=0, max_retries=0)
    answer = await model.ainvoke([SystemMessage("Be brief."), HumanMessage("Who"), HumanMessage("are you?")])
    assert (answer.content, answer.usage_metadata["total_tokens"]) == (TEXT, 18)
    messages, sampling = house.puppet.asked[-1]
    assert messages == (Message("system", "Be brief."), Message("user", "Who\nare you?"))
    assert (sampling.max_tokens, sampling.temperature) == (9, 0.0)

    house.asleep, house._load = asyncio.Event(), None
    asyncio.get_running_loop().call_later(0.5, house.asleep.set)
    chunks = [chunk async for chunk in model.astream("Who are you?")]
    assert "".join(chunk.text for chunk in chunks) == TEXT
    assert sum(chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata) == 18

    house.asleep, house._load = asyncio.Event(), None
    patient = ChatAnthropic(model="ibis", base_url=base, api_key=KEY, max_tokens=9)
    answering = asyncio.create_task(patient.ainvoke("Who are you?"))
    await until(lambda: house.metered[-1:] == [None])
    house.asleep.set()
    assert (await answering).content == TEXT  # a 503 first, then the same load's answer
    assert house.metered[-2:] == [None, Tokens(12, 6)]

    def look(place: str) -> str:
        """Look at a place."""
        return place

    call = {"name": "look", "args": {"place": "here"}, "id": "t1"}
    asked = [
        HumanMessage("Look."),
        answer.model_copy(update={"tool_calls": [call]}),
        ToolMessage("dark", tool_call_id="t1"),
    ]
    await model.bind_tools([look]).ainvoke(asked)
    assert house.puppet.shown[-1][0]["function"]["name"] == "look"
    said = house.puppet.asked[-1][0]
    assert [turn.role for turn in said] == ["user", "assistant", "tool"]
    assert said[1].tool_calls[0]["function"]["arguments"] == '{"place": "here"}'
    assert await asyncio.to_thread(model.get_num_tokens_from_messages, [HumanMessage("Who are you?")]) == 12
    await model._async_client.close()
    model._client.close()


@pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning")  # Inspect's own call
async def test_inspect_ai_speaks_anthropic(address: str, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspect AI's provider for Anthropic, pointed at our server, generates with the sampling it passes on."""
    monkeypatch.setenv("INSPECT_LOG_LEVEL", "warning")
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model

    config = GenerateConfig(max_tokens=9, stop_seqs=["END"], max_retries=0)
    base = address.removesuffix("/v1")
    async with get_model("anthropic/ibis", base_url=base, api_key=KEY, config=config, memoize=False) as model:
        output = await model.generate([ChatMessageSystem(content="Be brief."), ChatMessageUser(content="Who are you?")])
    assert (output.completion, output.stop_reason) == (TEXT, "stop")
    assert (output.usage.input_tokens, output.usage.output_tokens) == (12, 6)
    messages, sampling = house.puppet.asked[-1]
    assert messages == (Message("system", "Be brief."), Message("user", "Who are you?"))
    assert (sampling.max_tokens, sampling.stop) == (9, ("END",))
