"""`emeritus access`: plans and their people, requests and decisions, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_process import Emeritus

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.lifecycle.registration import Registration
from emeritus.settings import load as settings

ANA = Actor("ana")


@pytest.fixture
def home_of_ibis(made: Emeritus, home: Path) -> Emeritus:
    """A home with a resident that is called by request."""
    app = App.open(settings(home=home))
    app.lifecycle.register(Registration("ibis", engine="scripted", options={}), ANA)
    app.close()
    made("access", "tier", "ibis", "on-demand", "--reason", "a few calls", "--as", "ana")
    return made


def test_a_plan_and_its_people(home_of_ibis: Emeritus, home: Path, tmp_path: Path) -> None:
    """Defined, filled from a file, listed, keyed; a bad file changes nothing."""
    run = home_of_ibis
    run("access", "plan", "paid", "--title", "All paid users", "--resident", "ibis", "--per-minute", "9", "--as", "ana")
    people = tmp_path / "paid.csv"
    people.write_text("email\nana@example.org\nben@example.org\n")
    assert "added 2" in run("access", "members", "paid", "--import", str(people)).out
    people.write_text("name\nana\n")
    assert "no column that names people" in run("access", "members", "paid", "--import", str(people), code=3).err
    (listed,) = json.loads(run("access", "plans", "--json").out)
    assert (listed["people"], listed["limits"]["requests_per_minute"]) == (2, 9)
    members = json.loads(run("access", "members", "paid", "--json").out)["members"]
    key = run("access", "key", members[0]["id"], "--scope", "chat").out.strip()
    app = App.open(settings(home=home))
    try:
        assert app.access.check(key, "ibis").limits[0].left == 8
    finally:
        app.close()


def test_a_request_and_its_decision(home_of_ibis: Emeritus) -> None:
    """Little is granted at once with a key; much is declined by two and granted on appeal by a third."""
    run = home_of_ibis
    little = json.loads(run("access", "request", "ibis", "--who", "Eve", "--purpose", "a study", "--json").out)
    assert little["state"] == "auto-granted"
    assert little["key"].startswith("em_")
    asked = run("access", "request", "ibis", "--who", "Mallory", "--purpose", "all", "--per-day", "9000", "--json").out
    request = json.loads(asked)["request"]
    decline = ("access", "review", request, "--decline", "capacity", "--text", "Too much.", "--as")
    assert "declined by one of two" in run(*decline, "ana").out
    assert ": declined." in run(*decline, "ben").out
    run("access", "appeal", request, "--text", "At night.")
    assert "overturned" in run("access", "review", request, "--grant", "--per-day", "100", "--as", "caro").out
    whole = run("access", "requests", request).out
    assert "At night." in whole
    assert "100 a day" in whole
    figures = json.loads(run("access", "requests", "--figures", "--json").out)
    assert (figures["granted"], figures["overturned"]) == (2, 1)
    run("access", "erase", request)
    assert "Mallory" not in run("access", "requests", request).out
