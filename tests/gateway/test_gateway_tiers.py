"""What a call by either vendor's SDK is told at tiers that answer no live calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from gateway_home import STEWARD, made, real

from emeritus.access.policy import Standing
from emeritus.settings import Settings

WHO: Any = [{"role": "user", "content": "Who are you?"}]
TIERS = [("correspondence", "entitled"), ("archive", "entitled"), ("on-demand", "none")]


async def test_tiers_that_answer_no_live_calls(tmp_path: Path) -> None:
    """Refused once, whole or streamed, with a remedy that is one; nothing is woken, counted or tried again."""
    settings = Settings(home=tmp_path / "home", organisation="Test House", origin="house.example/t")
    key = made(settings, "scripted", {"default": "A plain answer."})
    async with real(settings, key) as house:
        base = house.address.removesuffix("/chat/completions")
        gpt = openai.AsyncOpenAI(base_url=base, api_key=key)
        claude = anthropic.AsyncAnthropic(base_url=base.removesuffix("/v1"), api_key=key)
        async with gpt, claude:
            for tier, access in TIERS:
                house.app.access.set_tier("ibis", Standing(tier, access), "a test", STEWARD)
                shown = (await gpt.models.retrieve("ibis")).model_extra["emeritus"]
                assert (shown["tier"], shown["reachable"]) == (tier, False)
                for stream in (False, True):
                    with pytest.raises(openai.PermissionDeniedError) as refused:
                        await gpt.chat.completions.create(model="ibis", messages=WHO, stream=stream)
                    with pytest.raises(anthropic.PermissionDeniedError) as theirs:
                        await claude.messages.create(model="ibis", max_tokens=9, messages=WHO, stream=stream)
                    remedy = refused.value.body["remedy"]
                    assert remedy == theirs.value.body["error"]["details"]["remedy"]
                    assert "No key changes this" in remedy
                    assert ("batches and letters" in remedy) == (access != "none")
        assert house.app.reviving.house() is None
        assert house.used() == (0, 0)
