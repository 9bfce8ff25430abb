"""Studies by the command line: priced before they run, killed and resumed, watched, and a session led by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_process import Emeritus, emeritus_process

from emeritus.cli.exits import exit_code
from emeritus.errors import InputError

NAME = "voice-1"
SCRIPT = {"default": "An answer.", "rules": [{"match": "Stop now", "answer": "STOP"}]}


def register(home: Path, script: dict[str, object]) -> None:
    """A resident for whom a script answers."""
    from emeritus.acts import Actor
    from emeritus.app import App
    from emeritus.lifecycle.registration import Registration
    from emeritus.settings import load

    app = App.open(load(home=home))
    app.lifecycle.register(Registration(NAME, engine="scripted", options=script, weights_held=False), Actor("ana"))
    app.close()


@pytest.fixture
def voiced(made: Emeritus, home: Path) -> Emeritus:
    """`emeritus` on a home with one resident."""
    register(home, SCRIPT)
    return made


def test_a_plan_is_printed_before_anything_runs_and_logged_when_asked(voiced: Emeritus) -> None:
    """Sessions, turns, tokens, time and cost, with how each was estimated; the same plan twice is one study."""
    plain = voiced("interview", "plan", NAME, "--cells", "2", "--repeats", "3").out
    for word in ("Sessions     8", "Turns        96", "Tokens", "Wall time", "Nothing is recorded", "No unit price"):
        assert word in plain
    assert voiced("status", "--json").json is not None
    priced = {"EMERITUS_PRICE_COMPLETION_MILLION": "15", "EMERITUS_CURRENCY": "EUR"}
    arguments = ("interview", "plan", NAME, "--cells", "2", "--repeats", "3", "--save", "--json")
    first = voiced(*arguments, env=priced).json
    assert first["estimate"]["cost"] > 0
    assert first["estimate"]["currency"] == "EUR"
    assert len(first["study"]["sessions"]) == first["estimate"]["sessions"] == 8
    again = voiced(*arguments).json
    assert (again["study"], again["ledger_entry"]) == (first["study"], first["ledger_entry"])


REFUSED = (
    ("plan", NAME, "--cells", "1"),
    ("plan", NAME, "--cells", "2", "--factor", "colour"),
    ("plan", "nobody", "--cells", "2"),
    ("run", NAME, "--study", "none"),
    ("run", NAME, "--queue"),
    ("run", NAME, "--study", "none", "--protocol", "short-en"),
    ("ask", NAME, "--session", "none"),
)


def test_what_cannot_be_done_is_one_clear_error(voiced: Emeritus, home: Path) -> None:
    """A code and a remedy, and nothing half-made."""
    for arguments in REFUSED:
        said = voiced("interview", *arguments, code=exit_code(InputError("")))
        assert "EM1" in said.err
        assert "Traceback" not in said.err
    assert list((home / "journals").iterdir()) == []


@pytest.mark.slow
def test_a_study_killed_at_any_moment_goes_on(made: Emeritus, home: Path) -> None:
    """Killed again and again, watched in between, then run to its end: every session once, every call recorded."""
    register(home, {**SCRIPT, "token_delay_s": 0.004})
    plan = ("interview", "plan", NAME, "--cells", "2", "--repeats", "2", "--save", "--json")
    study = made(*plan).json["study"]
    command = emeritus_process(home, "interview", "run", NAME, "--study", study["id"], "--parallel", "2")
    journals = home / "journals"
    for _ in range(3):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        before = size = sum(path.stat().st_size for path in journals.iterdir())
        deadline = time.monotonic() + 60
        while size <= before + 20_000 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
            size = sum(path.stat().st_size for path in journals.iterdir())
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert size > before
    live = made("interview", "watch", NAME, "--json").json
    assert all(each["study"] == study["id"] and each["turns"] == 12 for each in live)
    assert "turn" in made("interview", "watch", NAME, "--once").out or not live
    done = made("interview", "run", NAME, "--study", study["id"], "--parallel", "2", "--json").json
    assert (done["over"], done["sessions"]) == (6, 6)
    assert made("interview", "watch", NAME, "--json").json == []
    for path in journals.glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        asked = [(line["turn"], line["attempt"]) for line in lines if line["kind"] == "asked"]
        made_ = [(line["turn"], line["attempt"]) for line in lines if line["kind"] == "attempt"]
        assert asked == made_
        answered = [line["turn"] for line in lines if line.get("outcome") == "answered"]
        assert answered == list(range(1, 13))
    assert made("verify", "--json").json["ok"]


def test_a_person_asks_at_the_terminal(voiced: Emeritus, home: Path) -> None:
    """Items and own words, line by line; left open and carried on; STOP ends it; the end is in the ledger."""

    def ask(said: str, *arguments: str) -> str:
        command = emeritus_process(home, "interview", "ask", NAME, *arguments)
        done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = ask("/items\n/item users\n\nAnd why?\n/again\n")
    assert "The model produced: An answer." in first
    session = first.rpartition("--session ")[2].strip()
    assert "Left open" in first
    turns = json.loads(ask("Stop now\nNever asked\n", "--session", session, "--json"))
    assert turns["status"] == "stopped"
    assert [turn["item"] for turn in turns["turns"]] == ["users", "person+1", "person+2"]
    shown = voiced("interview", "show", session, "--json").json
    assert len(shown["turns"]) == 3


def test_a_study_is_queued_for_the_house(voiced: Emeritus) -> None:
    """One job a session, asked for once."""
    study = voiced("interview", "plan", NAME, "--cells", "2", "--repeats", "1", "--save", "--json").json["study"]["id"]
    first = voiced("interview", "run", NAME, "--study", study, "--queue", "--json").json
    assert (first["asked"], first["waiting"], first["over"]) == (4, 4, 0)
    again = voiced("interview", "run", NAME, "--study", study, "--queue", "--json").json
    assert (again["asked"], again["waiting"]) == (0, 4)
