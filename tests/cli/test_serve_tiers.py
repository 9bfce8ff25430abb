"""Tiers at a running `emeritus serve`: visiting hours, and a resident that is awake before it is called."""

from __future__ import annotations

import json
import shlex
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from refused import Program
from served import Served, serving

from emeritus.access.known import LOOK_EVERY_S
from warm_program import Warm

ALWAYS = "mon-sun 00:00-00:00"


@pytest.fixture
def program(tmp_path: Path, warm: Warm) -> Program:
    """A home with one resident, whose server we start ourselves."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"model": "own", "default": "A plain answer."}))
    command = f"{{python}} -m emeritus.engines.scripted --port {{port}} --script {shlex.quote(str(script))}"
    program = Program(tmp_path / "home", tmp_path, warm.parent)
    program("init")
    program("register", "own", "--engine", "command", "-o", f"command={command}", "-o", "model=own")
    return program


def set_tier(program: Program, tier: str, *more: str) -> None:
    """Set the tier as a steward would, while it serves or before."""
    said = program.say("access", "tier", "own", tier, "--access", "open", "--reason", "a test", *more)
    assert said.code == 0, said


def call(served: Served) -> tuple[int, dict[str, str], Any]:
    """Ask the resident something without a key."""
    body = {"model": "own", "messages": [{"role": "user", "content": "Hello"}]}
    reply = served.call("POST", "/v1/chat/completions", json.dumps(body).encode())
    return reply.status, reply.headers, reply.json


def test_visiting_hours_are_published_and_kept(program: Program) -> None:
    """Outside them a call is told when they begin, and the list says the same; within them it is answered."""
    opens = (datetime.now(UTC) + timedelta(days=3)).replace(hour=9, minute=0, second=0, microsecond=0)
    hours = f"{opens:%a}".lower() + " 09:00-17:00"
    set_tier(program, "hours", "--hours", hours)
    with serving(program.home) as served:
        shown = served.call("GET", "/v1/models/own").json["emeritus"]
        assert (shown["tier"], shown["hours"], shown["reachable"]) == ("hours", hours, False)
        assert shown["reachable_at"] == f"{opens:%Y-%m-%dT%H:%M:%SZ}"
        assert hours in served.call("GET", "/residents/own").body.decode()

        status, headers, body = call(served)
        assert (status, body["error"]["code"]) == (503, "EM605")
        assert f"{opens:%a %Y-%m-%d} 09:00 UTC" in body["error"]["message"]
        waited = (opens - datetime.now(UTC)).total_seconds()
        assert waited - 5 < int(headers["retry-after"]) < waited + 60
        assert headers["x-should-retry"] == "false"

        set_tier(program, "hours", "--hours", ALWAYS)
        time.sleep(LOOK_EVERY_S)  # within which every process looks whether access has changed
        assert call(served)[0] == 200
        shown = served.call("GET", "/v1/models/own").json["emeritus"]
        assert (shown["reachable"], shown["reachable_at"]) == (True, None)


def test_a_resident_of_tier_awake_is_awake_before_anyone_calls(program: Program) -> None:
    """Its server starts with ours, and none starts for one that is woken on demand."""
    logs = program.home / "logs"
    set_tier(program, "on-demand")
    with serving(program.home):
        time.sleep(2)  # nothing is to happen
        assert not list(logs.glob("*own*"))
    set_tier(program, "awake")
    with serving(program.home) as served:
        for _ in range(100):
            if list(logs.glob("*own*")):
                break
            time.sleep(0.1)
        assert list(logs.glob("*own*"))
        assert call(served)[0] == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hours"], "needs visiting hours"),
        (["hours", "--hours", "noon"], "'noon' cannot be read"),
        (["hours", "--hours", "mon 09:00+02:00-17:00"], "they are UTC"),
        (["awake", "--hours", ALWAYS], "belong to the tier 'hours'"),
    ],
)
def test_hours_that_cannot_be_are_refused(program: Program, arguments: list[str], said: str) -> None:
    """With one clear error, before anything is recorded."""
    refused = program.refuses("access", "tier", "own", *arguments, "--access", "open", code="EM100", status=3)
    assert said in refused["message"]
