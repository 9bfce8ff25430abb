"""`emeritus plan` for a fleet and for a home, and `emeritus callers` from a log to an export."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.cli.context import Flags
from emeritus.cli.main import app as program
from emeritus.errors import EmeritusError
from emeritus.lifecycle.registration import Registration
from emeritus.settings import load
from emeritus.testing.model import random_model

ANA = Actor("ana")
Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command in a home of its own; its JSON, or its text where none is asked for."""

    def command(*arguments: object) -> Any:
        flags = Flags({"home": str(tmp_path / "home"), "notice_days": 1})
        found = CliRunner().invoke(program, [str(each) for each in arguments], obj=flags)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout) if "--json" in arguments else found.stdout

    return command


def test_a_plan_for_a_fleet_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    """Mixes, a curve and a tier for each, as a table, as JSON and as a picture; the same seed gives the same plan."""
    flags = ("--models", 6, "--calls-per-day", 20, "--days", 3, "--machine-gb", 40, "--svg", tmp_path / "c.svg")
    found = run("plan", *flags, "--json")
    assert [each["name"] for each in found["mixes"]] == ["all awake", "all on-demand", "as now", "recommended"]
    assert found["mixes"][0]["machines"] == 3
    assert found["curve"][-1]["models"] == len(found["residents"]) == 6
    assert all(each["reasons"] for each in found["residents"])
    assert run("plan", *flags, "--json") == found
    assert "recommended" in run("plan", *flags)
    assert (tmp_path / "c.svg").read_text().startswith("<svg")
    trace = tmp_path / "trace.csv"
    trace.write_text("at,resident\n0,model-001\n90000,model-002\n")
    assert run("plan", "--models", 2, "--trace", trace, "--machine-gb", 40, "--json")["calls"] == 2
    trace.write_text("at,resident\n0,robin\n")
    with pytest.raises(EmeritusError, match="robin"):
        run("plan", "--models", 2, "--trace", trace)


@pytest.fixture
def home(tmp_path: Path) -> None:
    """A home that holds one model."""
    chosen = load(home=tmp_path / "home")
    App.create(chosen, ANA, keep=set())
    opened = App.open(chosen)
    random_model(tmp_path / "model")
    opened.lifecycle.register(Registration("ibis"), ANA)
    opened.preservation.preserve("ibis", tmp_path / "model", ANA)
    opened.close()


@pytest.mark.usefixtures("home")
def test_a_home_is_planned_and_its_callers_go_from_a_log_to_an_export(run: Run, tmp_path: Path) -> None:
    """The home's own sizes are planned with; a log's callers are imported, told, acknowledged and exported."""
    planned = run("plan", "--json")["residents"]
    assert [(each["name"], each["recommended"], each["load_measured"]) for each in planned] == [
        ("ibis", "on-demand", False)
    ]
    assert planned[0]["bytes"] > 0
    log = tmp_path / "access.log"
    line = '10.0.0.1 - {} [01/Jan/2026:10:00:00 +0000] "POST /v1/models/ibis/x HTTP/1.1" 200 1 "-" "py"\n'
    log.write_text(line.format("ann@example.org") + "broken\n" + line.format("=cmd()"))
    with pytest.raises(EmeritusError, match="1 of 3 lines cannot be read: line 2"):
        run("callers", "import", "ibis", log, "--format", "nginx")
    found = run("callers", "import", "ibis", log, "--format", "nginx", "--bad-lines", 1, "--json")
    assert (found["callers"], found["new"], found["bad_lines"]) == (2, 2, 1)
    run("announce", "ibis", "--retires", "2099-01-01", "--reason", "Little used", "--json")
    assert run("callers", "tell", "ibis", "--json")["sent"] == 1
    assert run("callers", "acknowledge", "ibis", "ann@example.org", "--json")["via"] == "person"
    assert [each["label"] for each in run("callers", "list", "ibis", "--open", "--json")] == ["=cmd()"]
    run("callers", "export", "ibis", "-o", tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert {(row["contact"], row["label"], row["acknowledged_via"]) for row in rows} == {
        ("ann@example.org", "", "person"),
        ("", "'=cmd()", ""),
    }
    window = ("--from", "2098-01-01T09:00Z", "--until", "2098-01-01T10:00Z", "--reason", "A test")
    planned_window = run("callers", "brown-out", "ibis", *window, "--json")["brown_out"]
    run("callers", "cancel", planned_window, "--reason", "Not now", "--json")
    assert "cancelled: Not now" in run("callers", "windows")
