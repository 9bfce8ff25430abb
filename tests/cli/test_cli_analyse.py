"""`emeritus interview analyse` over a home in which sessions were held."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.cli.context import Flags
from emeritus.cli.main import app as program
from emeritus.engines.script import Rule, Script
from emeritus.engines.scripted import ScriptedEngine
from emeritus.errors import NotFound
from emeritus.interview.protocols.protocol import load
from emeritus.interview.service import Interview
from emeritus.interview.sessions.prompts import Briefing
from emeritus.settings import Settings

ANA = Actor("ana")
NAME = "larkspur"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the full protocol was asked once, of a model that takes the first option."""
    settings = Settings(
        home=tmp_path_factory.mktemp("asked") / "home", organisation="Example Lab", origin="example.test/cli"
    )
    App.create(settings, ANA, set())
    app = App.open(settings)
    try:
        protocol = load("full-en")
        app.interviews.log_protocol(protocol, ANA)
        model = ScriptedEngine(Script(rules=(Rule(match=r"A\) ", answer="A) that one"),), context=10**6), "ab" * 32)
        wanted = Interview(NAME, Briefing("Larkspur", "Example Lab", True, True), protocol, ("baseline",))
        asyncio.run(app.interviews.run(model, wanted, ANA))
    finally:
        app.close()
    return settings.home


def test_an_analysis_is_printed_for_people_and_for_programs(asked: Path) -> None:
    """The same one: its class in words, the whole of it as JSON, and both are one ledger entry."""
    runner = CliRunner()
    said = runner.invoke(program, ["interview", "analyse", NAME, "--as", "ana"], obj=Flags({"home": str(asked)}))
    assert said.exit_code == 0, said.output
    assert "single report" in said.output
    assert f"/residents/{NAME}/analyses/{NAME}-" in said.output
    command = ["interview", "analyse", NAME, "--as", "ana", "--json"]
    written = json.loads(runner.invoke(program, command, obj=Flags({"home": str(asked)})).output)
    assert f"Ledger entry {written['entry']}." in said.output
    assert written["sessions"] == {"none": 1, "sibling": 0, "false facts": 0}
    assert {each["class"] for each in written["items"]} == {"single report"}
    assert written["contradictions"]


def test_nothing_to_analyse_is_said(asked: Path) -> None:
    """A resident that was not interviewed is an error with a remedy, and nothing is stated."""
    found = CliRunner().invoke(
        program, ["interview", "analyse", "nobody", "--as", "ana"], obj=Flags({"home": str(asked)})
    )
    assert isinstance(found.exception, NotFound)
    assert found.exception.remedy
