"""Programs that people use, against our server as it is: LangChain's client and Inspect AI."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from gateway_house import KEY, WORDS, House

from emeritus.access.policy import Tokens
from emeritus.engines.base import Message

TEXT = "".join(WORDS)


async def test_langchain(address: str, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain's ChatOpenAI answers, streams with usage, passes tools, waits and tries again through cold starts."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    from langchain_core.messages import HumanMessage, SystemMessage
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="ibis", base_url=address, api_key=KEY, temperature=0, stream_usage=True)
    answer = await model.ainvoke([SystemMessage("Be brief."), HumanMessage("Who are you?")])
    assert (answer.content, answer.usage_metadata["total_tokens"]) == (TEXT, 18)
    assert answer.response_metadata["system_fingerprint"].startswith("fp_")
    assert house.puppet.asked[-1][0] == (Message("system", "Be brief."), Message("user", "Who are you?"))

    house.asleep, house._load = asyncio.Event(), None
    asyncio.get_running_loop().call_later(0.5, house.asleep.set)
    chunks = [chunk async for chunk in model.astream("Who are you?")]
    assert "".join(str(chunk.content) for chunk in chunks) == TEXT
    assert sum(chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata) == 18

    house.asleep, house._load = asyncio.Event(), None
    asyncio.get_running_loop().call_later(0.5, house.asleep.set)
    assert (await model.ainvoke("Who are you?")).content == TEXT  # a 503 first, then the same load's answer
    assert house.metered[-2:] == [None, Tokens(12, 6)]

    def look(place: str) -> str:
        """Look at a place."""
        return place

    await model.bind_tools([look]).ainvoke("Look.")
    assert house.puppet.shown[-1][0]["function"]["name"] == "look"

    responding = ChatOpenAI(model="ibis", base_url=address, api_key=KEY, use_responses_api=True)
    told = await responding.ainvoke("Who are you?")
    assert told.text == TEXT
    for each in (model, responding):  # LangChain keeps its connections open for good
        await each.root_async_client.close()


async def test_inspect_ai(address: str, house: House, tmp_path: Path) -> None:
    """Inspect AI evaluates a task over our server as over OpenAI's; its log has the answers and the usage."""
    task = tmp_path / "asking.py"
    task.write_text(
        "from inspect_ai import Task, task\n"
        "from inspect_ai.dataset import Sample\n"
        "from inspect_ai.scorer import includes\n"
        "from inspect_ai.solver import generate\n\n"
        "@task\ndef asking():\n"
        "    samples = [Sample(input='Who are you?', target='produced'), Sample(input='And you?', target='nothing')]\n"
        "    return Task(dataset=samples, solver=generate(), scorer=includes())\n"
    )
    environment = {**os.environ, "HOUSE_API_KEY": KEY, "HOUSE_BASE_URL": address, "INSPECT_LOG_FORMAT": "json"}
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("inspect")), "eval", task.name, "--display", "none", "--log-dir", "logs"),
        *("--model", "openai-api/house/ibis", "--temperature", "0", "--seed", "7"),
        cwd=tmp_path,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    from inspect_ai.log import list_eval_logs, read_eval_log

    # In a thread without a loop: within one, Inspect patches asyncio for the whole process, and loops stay open.
    (found,) = await asyncio.to_thread(list_eval_logs, str(tmp_path / "logs"))
    log = await asyncio.to_thread(read_eval_log, found)
    assert "nest_asyncio" not in asyncio.run.__module__
    assert log.status == "success"
    assert [sample.output.completion for sample in log.samples] == [TEXT, TEXT]
    assert log.results.scores[0].metrics["accuracy"].value == 0.5
    assert log.stats.model_usage["openai-api/house/ibis"].total_tokens == 36
    assert {sampling.seed for _, sampling in house.puppet.asked} == {7}
