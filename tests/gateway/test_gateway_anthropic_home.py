"""Anthropic's SDK against a real home: its keys, its limits, its notices and its brown-outs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import pytest
from gateway_house import served

from emeritus.access.limits import Limits
from emeritus.access.policy import Standing
from emeritus.access.service import Terms
from emeritus.acts import Actor, stamp, utc_now
from emeritus.app import App
from emeritus.gateway import announced
from emeritus.gateway.house import House
from emeritus.lifecycle.axes import parse_when
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement
from emeritus.settings import load as settings

ANA = Actor("ana")
BASE = "https://example.org"
ASKED: Any = {"model": "ibis", "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A home with one resident that a script answers for, announced to retire in ten days."""
    chosen = settings(home=tmp_path / "home", base_url=BASE, notice_days=1)
    App.create(chosen, ANA, keep=set())
    opened = App.open(chosen)
    opened.lifecycle.register(Registration("ibis", engine="scripted", options={"rules": []}, weights_held=False), ANA)
    opened.access.set_tier("ibis", Standing("on-demand", "by request"), "A test.", ANA)
    days = [(utc_now().date() + timedelta(days=ahead)).isoformat() for ahead in (0, 10)]
    opened.lifecycle.announce("ibis", Announcement(*map(parse_when, days), "Little used."), ANA)
    yield opened
    opened.close()


async def test_a_home_through_anthropics_sdk(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers carry the deprecation's link, the notice and what is left of the grant's limits; a brown-out its type."""
    monkeypatch.setattr(announced, "FRESH_S", 0.0)
    terms = Terms(limits=Limits(requests_per_day=2, tokens_per_month=100_000))
    key, other = (
        app.access.issue_key(app.access.grant("ibis", holder, given, "A test.", ANA), "laptop")
        for holder, given in (("ann", terms), ("bo", Terms()))
    )
    start = utc_now() + timedelta(hours=30)
    app.calling.plan_brown_out("ibis", (stamp(start), stamp(start + timedelta(hours=1))), "A test.", ANA)
    house = House(app, BASE)
    try:
        async with (
            served(house) as address,
            anthropic.AsyncAnthropic(base_url=address.removesuffix("/v1"), api_key=key, max_retries=0) as claude,
        ):
            model = await claude.models.retrieve("ibis")
            assert (model.lifecycle, model.retires_at is not None) == ("deprecated", True)
            answer = await claude.messages.with_raw_response.create(**ASKED)
            assert (await answer.parse()).content[0].text
            headers = answer.headers
            assert headers["anthropic-ratelimit-requests-limit"] == "2"
            assert headers["anthropic-ratelimit-requests-remaining"] == "1"
            assert headers["anthropic-ratelimit-tokens-remaining"] == "100000"  # as it was admitted
            assert headers["link"].endswith('anchor="/v1/models/ibis"')
            assert headers["emeritus-notice"].startswith("unacknowledged")
            assert (await claude.messages.count_tokens(model="ibis", messages=ASKED["messages"])).input_tokens > 0
            with pytest.raises(anthropic.RateLimitError) as limited:
                await claude.messages.create(**ASKED)
            assert (limited.value.error_code, limited.value.response.headers["x-should-retry"]) == ("EM603", "false")
            monkeypatch.setattr(app.acts, "_clock", lambda: start + timedelta(minutes=15))
            with pytest.raises(anthropic.APIStatusError) as browned:
                await claude.with_options(api_key=other).messages.create(**ASKED)
            assert (browned.value.status_code, browned.value.body["error"]["type"]) == (503, "model_brown_out")
            assert browned.value.response.headers["x-should-retry"] == "false"
    finally:
        await app.close_residency()
