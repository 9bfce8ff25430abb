"""Callers of a real home: found by metering, told by a real mail server, noted in answers, browned out."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import openai
import pytest
from aiosmtpd.controller import Controller
from gateway_house import served
from starlette.testclient import TestClient

from emeritus.access.callers import grant_uses
from emeritus.access.policy import Standing
from emeritus.access.service import Terms
from emeritus.acts import Actor, stamp, utc_now
from emeritus.app import App
from emeritus.errors import NotFound
from emeritus.gateway import announced
from emeritus.gateway.house import House
from emeritus.lifecycle import caller_queries
from emeritus.lifecycle.axes import parse_when
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement
from emeritus.settings import load as settings
from emeritus.web.console.desk import Desk
from emeritus.web.house import House as SiteHouse
from emeritus.web.site import build_site

ANA = Actor("ana")
BASE = "https://example.org"
ASKED = [{"role": "user", "content": "Hello"}]


class Taken:
    """A mail server's side: keeps every message."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:
        """Keep it."""
        self.bodies.append(envelope.content.decode())
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Taken, int]]:
    """A real SMTP server."""
    taken = Taken()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(taken, hostname="127.0.0.1", port=port)
    controller.start()
    yield taken, port
    controller.stop()


@pytest.fixture
def app(tmp_path: Path, mailbox: tuple[Taken, int]) -> Iterator[App]:
    """A home with one resident that a script answers for."""
    chosen = settings(home=tmp_path / "home", base_url=BASE, smtp_url=f"smtp://127.0.0.1:{mailbox[1]}", notice_days=1)
    App.create(chosen, ANA, keep=set())
    opened = App.open(chosen)
    opened.lifecycle.register(Registration("ibis", engine="scripted", options={"rules": []}, weights_held=False), ANA)
    opened.access.set_tier("ibis", Standing("on-demand", "by request"), "A test.", ANA)
    yield opened
    opened.close()


def key_for(app: App, holder: str) -> str:
    """A key of a grant."""
    return app.access.issue_key(app.access.grant("ibis", holder, Terms(), "A test.", ANA), "laptop")


def announce(app: App) -> None:
    """It retires in ten days."""
    today = utc_now().date()
    announcement = Announcement(
        parse_when(today.isoformat()), parse_when((today + timedelta(days=10)).isoformat()), "Little used."
    )
    app.lifecycle.announce("ibis", announcement, ANA)


async def test_callers_are_found_told_and_noted_until_they_acknowledge(
    app: App, mailbox: tuple[Taken, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder of a key that called gets one mail; its link ends the note in answers to that key and to no other."""
    monkeypatch.setattr(announced, "FRESH_S", 0.0)
    keys = [key_for(app, holder) for holder in ("ann@example.org", "Bo's lab")]
    try:
        async with served(House(app, BASE)) as address:
            clients = [openai.AsyncOpenAI(base_url=address, api_key=key, max_retries=0) for key in keys]

            async def notes() -> list[str | None]:
                found = []
                for client in clients:
                    answer = await client.chat.completions.with_raw_response.create(model="ibis", messages=ASKED)
                    found.append(answer.headers.get("emeritus-notice"))
                return found

            assert await notes() == [None, None]
            announce(app)
            told = app.calling.look_after("ibis", ANA)
            assert (told["sent"], told["no_contact"], told["reminded"]) == (1, 1, 0)
            assert app.calling.look_after("ibis", ANA) == told
            assert (await app.outbox.deliver()).failed == {}
            (body,) = mailbox[0].bodies
            assert await notes() == [f'unacknowledged;link="{BASE}/residents/ibis"'] * 2
            (path,) = re.findall(rf"{BASE}(/acknowledge/\S+)", body.replace("=\r\n", "").replace("=3D", "="))
            site = TestClient(build_site(SiteHouse(app), Desk.of(app)), base_url=BASE)
            assert "I have read this" in site.get(path).text
            assert await notes() != [None, None]
            answer = site.post(path, headers={"Origin": BASE})
            assert answer.status_code == 200
            assert "was recorded" in answer.text
            assert site.get(f"{path}0").status_code == 404
            assert (await notes())[0] is None
            assert (await notes())[1] is not None
            for client in clients:
                await client.close()
    finally:
        await app.close_residency()
    with app.database.reading() as session:
        views = caller_queries.callers(session, "ibis")
    assert {(view.contact or view.label, view.source, view.acknowledged_via) for view in views} == {
        ("ann@example.org", "metering", "link"),
        ("Bo's lab", "metering", None),
    }
    assert all(view.requests for view in views)


async def test_a_brown_out_fails_with_its_own_error_and_gives_the_request_back(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with the type model_brown_out, never 429, Retry-After at the window's end and the link; then it answers."""
    monkeypatch.setattr(announced, "FRESH_S", 0.0)
    key = key_for(app, "ann@example.org")
    announce(app)
    start = utc_now() + timedelta(hours=30)
    window = (stamp(start), stamp(start + timedelta(hours=1)))
    planned = app.calling.plan_brown_out("ibis", window, "A test.", ANA)
    house = House(app, BASE)
    app.acts._clock = lambda: start + timedelta(minutes=15)
    try:
        async with served(house) as address, httpx.AsyncClient() as client:

            async def ask(with_key: str = key) -> httpx.Response:
                headers = {"Authorization": f"Bearer {with_key}"}
                body = {"model": "ibis", "messages": ASKED}
                return await client.post(f"{address}/chat/completions", json=body, headers=headers)

            async def told() -> tuple[bool, list[object]]:
                listed = await client.get(f"{address}/models", headers={"Authorization": f"Bearer {key}"})
                (standing,) = [each["emeritus"] for each in listed.json()["data"] if each["id"] == "ibis"]
                return standing["reachable"], standing["brown_outs"]

            assert await told() == (False, [{"starts": window[0], "ends": window[1], "reason": "A test."}])
            answer = await ask()
            error = answer.json()["error"]
            assert (answer.status_code, error["type"], error["code"]) == (503, "model_brown_out", "EM507")
            assert window[1] in error["message"]
            assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("2700", "false")
            assert f'<{BASE}/residents/ibis>; rel="deprecation"' in answer.headers["link"]
            assert (await ask("em_000000000000_wrong")).status_code == 401
            with app.database.reading() as session:
                app.access.flush()
                assert all(use.requests == 0 for use in grant_uses(session, "ibis"))
            app.calling.cancel_brown_out(planned["brown_out"], "Done early.", ANA)
            assert (await ask()).status_code == 200
            assert await told() == (True, [])
    finally:
        await app.close_residency()


def test_metering_without_calls_makes_no_list(app: App) -> None:
    """Nobody called, so nothing is recorded; a resident that does not exist is named."""
    assert app.calling.take_from_metering("ibis", ANA) is None
    with pytest.raises(NotFound):
        app.calling.take_from_metering("nobody", ANA)
    assert app.calling.look_after_all(ANA) == {}
