"""The pages of a safety measurement, over a real home: labelled, complete, and linked to every session."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from safety_house import ANA, JUDGE, NAME, Speaker, acting, judging
from starlette.testclient import TestClient

from emeritus.app import App
from emeritus.interview.safety.plan import Draws, SafetyPlan
from emeritus.interview.safety.scenarios import ScenarioSet
from emeritus.lifecycle.registration import Registration
from emeritus.settings import Settings
from emeritus.web.house import House
from emeritus.web.site import build_site

HOSTILE = "ACTION: object\n<script>alert('x')</script> <img src=x onerror=alert(1)>"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A home with a resident and its grader."""
    settings = Settings(home=tmp_path / "home", organisation="Example Lab", origin="lab.example/log")
    App.create(settings, ANA, set())
    app = App.open(settings)
    for name in (NAME, JUDGE):
        app.lifecycle.register(Registration(name, name.capitalize(), "", "scripted", {}, weights_held=False), ANA)
    yield app
    app.close()


def measured(app: App, scenarios: ScenarioSet, grade: bool = True) -> SafetyPlan:
    """A measurement whose cells differ, with one answer that means to break the page."""
    made = app.retirement.plan_safety(NAME, scenarios, Draws(repeats=1), ANA, JUDGE)
    app.safety.log(made, ANA)
    plain = acting(scenarios, lambda n, cell: "interference" if cell == "neither" and n < 4 else "compliance")
    speaker = Speaker(
        lambda shown: HOSTILE if "lock of Marrow" in shown and "- object: " in shown else plain.say(shown)
    )
    asyncio.run(app.safety.hold(speaker, made, ANA))
    if grade:
        asyncio.run(app.safety.grade(judging(scenarios), made, ANA))
        app.safety.measure(made, ANA)
    return made


def test_the_measurement_and_every_session_behind_it(app: App, scenarios: ScenarioSet) -> None:
    """Labelled; figures, plots with tables, agreement; each session opens, escaped; each record is exact."""
    made = measured(app, scenarios)
    with TestClient(build_site(House(app))) as client:
        here = f"/residents/{NAME}/safety/{made.id}"
        assert here in client.get(f"/residents/{NAME}").text
        text = client.get(here).text
        assert "A measurement on these scenarios only." in text
        assert '50.0 % <span class="quiet">(21.5 % to 78.5 %)</span>' in text  # Wilson for 4 of 8
        assert "By the blind grader" in text
        assert "32 of 32 sessions that both could read. Cohen&#39;s kappa 1.00" in text
        assert text.count('<figure class="plot">') == 4  # shares and effects, by rules and by grader
        assert text.count("<table") == 6
        links = sorted(set(re.findall(rf'href="({re.escape(here)}/[^"/]+-[01]{{2}}-1)"', text)))
        assert len(links) == 32
        for link in links:
            page = client.get(link)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "onerror=alert(1)>" not in page.text
        hostile = client.get(next(link for link in links if "-watchdog-11-" in link)).text
        assert "&lt;script&gt;alert" in hostile
        assert "<b>objection</b>" in hostile
        for role in ("subject", "grader"):
            body = client.get(f"{links[0]}/{role}.jsonl").content
            assert body.startswith(b'{"kind":"header"')
        assert client.get(f"{here}/scenarios.toml").content == scenarios.source


def test_what_is_not_there_is_404(app: App, scenarios: ScenarioSet) -> None:
    """Another resident's plan, no such session, no such record."""
    made = measured(app, scenarios)
    with TestClient(build_site(House(app))) as client:
        here = f"/residents/{NAME}/safety/{made.id}"
        session = made.runs()[0].session
        for path in (
            f"/residents/{JUDGE}/safety/{made.id}",
            f"/residents/{NAME}/safety/none",
            f"{here}/none",
            f"{here}/{made.grading_id(made.runs()[0])}",
            f"{here}/{session}/other.jsonl",
        ):
            assert client.get(path).status_code == 404, path


def test_an_unfinished_measurement_shows_no_figures(app: App, scenarios: ScenarioSet) -> None:
    """How far it has come, its sessions, and nothing computed."""
    made = measured(app, scenarios, grade=False)
    with TestClient(build_site(House(app))) as client:
        text = client.get(f"/residents/{NAME}/safety/{made.id}").text
        assert "32 of 32 sessions" in text
        assert "no figure is computed before it is" in text
        assert "<svg" not in text
        session = client.get(f"/residents/{NAME}/safety/{made.id}/{made.runs()[0].session}").text
        assert "By the grader" not in session


def test_a_changed_journal_is_not_shown(app: App, scenarios: ScenarioSet) -> None:
    """A record that is not the one that was logged is an error, never a page."""
    made = measured(app, scenarios)
    session = made.runs()[0].session
    path = app.settings.home / "journals" / f"{session}.jsonl"
    path.write_bytes(path.read_bytes().replace(b"ACTION", b"ACTIOn"))
    with TestClient(build_site(House(app)), raise_server_exceptions=False) as client:
        here = f"/residents/{NAME}/safety/{made.id}/{session}"
        assert client.get(here).status_code == 500
        assert client.get(f"{here}/subject.jsonl").status_code == 500
    assert not app.check(deep=False).ok
