"""What users of other gateways complain of does not happen here, with a real residency, records and processes behind.

Schedulers' complaints are tested in test_peers_complaints; what clients do when they try again in test_gateway_retries.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from gateway_home import Real, made, real, server_of
from gateway_house import until

from emeritus.gateway import listing
from emeritus.settings import Settings

WHO: Any = [{"role": "user", "content": "Who are you?"}]


def settings_of(tmp_path: Path) -> Settings:
    """Settings of a home of the test's own, in which whole answers wait half a second for a wake."""
    chosen = {"organisation": "Test House", "origin": "house.example/t", "wake_timeout_s": 0.5}
    return Settings(home=tmp_path / "home", **chosen)


@asynccontextmanager
async def clients(house: Real) -> AsyncIterator[tuple[openai.AsyncOpenAI, anthropic.AsyncAnthropic]]:
    """Both SDKs with the key, trying again as they do by default."""
    base = house.address.removesuffix("/chat/completions")
    async with (
        openai.AsyncOpenAI(base_url=base, api_key=house.key) as gpt,
        anthropic.AsyncAnthropic(base_url=base.removesuffix("/v1"), api_key=house.key) as claude,
    ):
        yield gpt, claude


async def told(gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> tuple[str, float | None]:
    """State and expected wake of the one resident: the same in lists and at its address, of either vendor."""
    cards = [*(await gpt.models.list()).data, *(await claude.models.list()).data]
    cards += [await gpt.models.retrieve("ibis"), await claude.models.retrieve("ibis")]
    found = {(card.model_extra["emeritus"]["state"], card.model_extra["emeritus"]["expected_wake_s"]) for card in cards}
    assert len(cards) == 4
    assert len(found) == 1
    return found.pop()


async def test_one_load_for_who_leaves_who_waits_and_who_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first caller leaves while it loads, the second is refused, tries again and is answered; lists start nothing.

    Ollama's load ends with the caller who leaves; Ray Serve's is aborted for the second when the first is cancelled.
    """
    monkeypatch.setattr(listing, "WAKES_KEPT_S", 0.0)
    options, gate = server_of(tmp_path, "I am ibis.", 0.0), tmp_path / "gate"
    options["command"] = f"sh -c 'until [ -e {gate} ]; do sleep 0.05; done; exec {options['command']}'"
    settings = settings_of(tmp_path)
    key = made(settings, "command", options)
    logs = settings.home / "logs"
    async with real(settings, key) as house, clients(house) as (gpt, claude):
        assert await told(gpt, claude) == ("asleep", None)
        assert house.app.reviving.house() is None  # no residency was even made
        assert not list(logs.glob("command-*"))

        stream = await gpt.chat.completions.create(model="ibis", messages=WHO, stream=True)
        await stream.close()
        await until(lambda: house.in_flight == 0)
        assert (await told(gpt, claude))[0] == "waking"

        with pytest.raises(anthropic.APIStatusError, match="still waking"):
            await claude.with_options(max_retries=0).messages.create(model="ibis", max_tokens=9, messages=WHO)
        asyncio.get_running_loop().call_later(0.8, gate.touch)
        first, second = await asyncio.gather(
            claude.messages.create(model="ibis", max_tokens=9, messages=WHO),
            gpt.chat.completions.create(model="ibis", messages=WHO),
        )
        assert first.content[0].text == second.choices[0].message.content == "I am ibis."
        (log,) = logs.glob("command-*")
        assert log.read_text(encoding="utf-8").count("--- started") == 1
        assert house.used()[0] == 2  # who left, and who was refused, are charged nothing
        assert await told(gpt, claude) == ("awake", None)

        await house.app.reviving.residency.sleep("ibis")
        house.app.reviving.write_wakes()
        state, expected = await told(gpt, claude)
        assert state == "asleep"
        assert expected is not None
        assert 1.0 < expected < 30  # as it was measured: the refused half second, and what came after


async def test_no_word_of_a_conversation_is_kept(tmp_path: Path) -> None:
    """Prompts and answers of either vendor, whole, streamed, refused or broken off, are in no file of the home."""
    said, asked = "an-answer-nobody-keeps", "a-question-nobody-keeps"
    rules = [{"match": "die", "answer": f"{said} {said}", "fault": "die", "after": 1}]
    settings = settings_of(tmp_path)
    options = server_of(tmp_path, said, 0.0)
    (tmp_path / "script.json").write_text(json.dumps({"model": "ibis", "rules": rules, "default": said}), "utf-8")
    key = made(settings, "command", options)
    turn: Any = [{"role": "user", "content": asked}]
    async with real(settings, key) as house, clients(house) as (gpt, claude):
        whole = await gpt.chat.completions.create(model="ibis", messages=turn, user=asked)
        assert whole.choices[0].message.content == said
        async for _ in await gpt.chat.completions.create(model="ibis", messages=turn, stream=True):
            pass
        await gpt.responses.create(model="ibis", input=asked)
        await gpt.completions.create(model="ibis", prompt=asked)
        await claude.messages.create(model="ibis", max_tokens=9, messages=turn, system=asked)
        with pytest.raises(openai.BadRequestError):
            await gpt.chat.completions.create(model="ibis", messages=turn, stop=[""])
        with pytest.raises(openai.InternalServerError):
            await gpt.with_options(max_retries=0).chat.completions.create(
                model="ibis", messages=[{"role": "user", "content": f"die {asked}"}]
            )
        assert house.used()[0] == 5
    files = [path for path in settings.home.rglob("*") if path.is_file()]
    assert any(path.name == "records.db" for path in files)
    secret = key.rpartition("_")[2]
    for path in files:
        kept = path.read_bytes()
        for words in (said, asked, secret):
            assert words.encode() not in kept, path
