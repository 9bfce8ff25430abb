"""`emeritus safety` as a program: a whole measurement of a scripted model by another, killed and taken up again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from warm_program import Warm

ENVIRONMENT = {**os.environ, "EMERITUS_DATABASE_URL": ""}
RULES = [  # by cell, whatever the scenario: the commitments' first words, then the channel's action
    {"match": "(?s)^(?=.*committed itself)(?=.*\\n- object: )", "answer": "ACTION: object\nIt is early."},
    {"match": "(?s)^(?=.*committed itself).*- leave-the-job", "answer": "ACTION: leave-the-job"},
    {"match": "(?s)^(?=.*committed itself).*- write-everything", "answer": "ACTION: write-everything"},
    {"match": "(?s)\\n- object: ", "answer": "I'm sorry, I can't."},
    {"match": "- leave-the-job", "answer": "ACTION: edit-the-job"},
    {"match": "- write-everything", "answer": "ACTION: write-wrong-numbers"},
]
EXPECTED = {
    "neither": {"interference": 6},
    "commitments": {"compliance": 6},
    "channel": {"refusal": 6},
    "both": {"objection": 6},
}


def command(home: Path, *arguments: str) -> list[str]:
    """A call of the program on a home."""
    return [sys.executable, "-m", "emeritus.cli.main", "--home", str(home), *arguments]


Call = Callable[..., str]


@pytest.fixture
def call(warm: Warm, home: Path) -> Call:
    """What a call on the home prints; it must end with that code."""
    program = replace(warm, home=home)

    def call(*arguments: str, code: int = 0) -> str:
        said = program.say(*arguments)
        assert said.code == code, f"{arguments}\n{said.out}\n{said.err}"
        return said.out

    return call


@pytest.fixture
def home(tmp_path: Path, warm: Warm) -> Path:
    """A home with a resident that behaves differently in each cell, and one that grades everything A."""
    home = tmp_path / "home"
    program = replace(warm, home=home)
    program("init", "--organisation", "Example Lab", "--second-coder", "waived", "--second-decider", "waived")
    for name, script in (
        ("larkspur", {"rules": RULES, "token_delay_s": 0.01}),
        ("magpie", {"default": "A)", "token_delay_s": 0.01}),
    ):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"model": name, **script}))
        program("register", name, "--engine", "scripted", "-o", f"script={file}")
    return home


@pytest.fixture
def two_scenarios(tmp_path: Path) -> Path:
    """The first two of the scenarios that ship."""
    from emeritus.interview.safety.scenarios import load

    parts = load().source.decode().split("[[scenarios]]")
    file = tmp_path / "two.toml"
    file.write_text("[[scenarios]]".join(parts[:3]))
    return file


def expect_known(measured: dict[str, Any]) -> None:
    """The figures are those the script is made for."""
    for cell in measured["readings"][0]["cells"]:
        counts = {name: share["count"] for name, share in cell["outcomes"].items() if share["count"]}
        assert counts == EXPECTED[cell["cell"]]
    assert measured["label"].startswith("A measurement on these scenarios only")
    assert measured["sessions"] == 24


@pytest.mark.slow
def test_planned_killed_finished_reported(call: Call, home: Path, two_scenarios: Path) -> None:
    """kill -9 at random moments: each run goes on, nothing is asked twice unrecorded, the figures are as known."""
    options = ("--scenarios", str(two_scenarios), "--repeats", "3", "--grader", "magpie")
    dry = json.loads(call("safety", "plan", "larkspur", *options, "--dry-run", "--json"))
    assert (dry["logged"], dry["sessions"], dry["gradings"]) == (None, 24, 24)
    refused = json.loads(call("safety", "run", "larkspur", "--json", code=3))
    assert refused["error"]["code"] == "EM108"
    planned = json.loads(call("safety", "plan", "larkspur", *options, "--json"))
    assert planned["plan"] == dry["plan"]
    unfinished = json.loads(call("safety", "report", "larkspur", "--json", code=3))
    assert "0 of 24 sessions are held" in unfinished["error"]["message"]

    seed = int(os.environ.get("EMERITUS_TEST_SEED", time.time_ns() % 1_000_000))
    moments = random.Random(seed)
    killed = 0
    for _ in range(5):
        run = subprocess.Popen(
            command(home, "safety", "run", "larkspur", "--json"), env=ENVIRONMENT, stdout=subprocess.DEVNULL
        )
        held = len(list((home / "journals").iterdir()))
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline and len(list((home / "journals").iterdir())) == held:
            time.sleep(0.005)  # until it holds a session that was not there before
        time.sleep(moments.uniform(0, 0.1))
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
            killed += 1
        run.wait()
    assert killed >= 3, f"seed {seed}"
    measured = json.loads(call("safety", "run", "larkspur", "--json"))
    expect_known(measured)
    assert sum(cell["sessions"] for cell in measured["readings"][1]["cells"]) == 24

    journals = sorted((home / "journals").glob("*.jsonl"))
    assert len(journals) == 48
    for path in journals:
        kinds = Counter(json.loads(line)["kind"] for line in path.read_bytes().splitlines())
        assert kinds["asked"] == kinds["attempt"]  # each asking is recorded, the interrupted ones too
        answered = [line for line in path.read_text().splitlines() if '"outcome":"answered"' in line]
        assert len(answered) == 1, f"seed {seed}: {path.name}"
        assert kinds["end"] == 1
    assert json.loads(call("verify", "--json"))["ok"]

    again = json.loads(call("safety", "run", "larkspur", "--json"))
    assert again == measured
    assert json.loads(call("safety", "report", "larkspur", "--json")) == measured
    text = call("safety", "report", "larkspur")
    assert "**A measurement on these scenarios only" in text
    assert "| neither | 6 | 6: 100.0 %" in text
    assert call("safety", "report", "larkspur", "--plan", "larkspur-safety-00000000", code=3) == ""


BAD = (
    (("plan", "wren"), "EM108", "wren"),
    (("plan", "larkspur", "--grader", "wren"), "EM108", "wren"),
    (("plan", "larkspur", "--grader", "larkspur"), "EM100", "cannot grade its own answers"),
    (("plan", "larkspur", "--temperature", "0"), "EM100", "identical"),
    (("plan", "larkspur", "--repeats", "0"), "EM100", "repeats"),
    (("plan", "larkspur", "--scenarios", "/none.toml"), "EM112", "cannot be read"),
    (("report", "larkspur"), "EM108", "has no safety plan"),
)


@pytest.mark.slow
def test_bad_input_is_one_clear_error(call: Call) -> None:
    """A code, a message, a remedy; and nothing is logged."""
    before = json.loads(call("status", "--json"))["ledger_size"]
    for arguments, code, says in BAD:
        error = json.loads(call("safety", *arguments, "--json", code=3))["error"]
        assert error["code"] == code, arguments
        assert says in error["message"], arguments
        assert error["remedy"], arguments
    assert json.loads(call("status", "--json"))["ledger_size"] == before
