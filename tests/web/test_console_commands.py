"""What the console's pages do, the commands do: accounts, words, and a round coded, compared and settled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from console_coding import NAME, QUOTE, VOICE, interviewed
from console_house import PASSWORD, STEWARD, Browser, open_app, quick_hashes
from typer.testing import CliRunner

from emeritus.app import App
from emeritus.cli.context import Flags
from emeritus.cli.main import app as program
from emeritus.errors import EmeritusError

Run = Callable[..., Any]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A home with people and an interview in it."""
    quick_hashes(monkeypatch)
    app = open_app(tmp_path)
    interviewed(app, STEWARD)
    yield app
    app.close()


@pytest.fixture
def run(app: App) -> Run:
    """Run a command with --json; what it printed, or the error it ended with."""

    def call(*arguments: str, plain: bool = False) -> Any:
        flags = Flags({"home": str(app.settings.home)})
        said = CliRunner().invoke(program, [*arguments, *([] if plain else ["--json"])], obj=flags)
        if isinstance(said.exception, EmeritusError):
            return said.exception.code
        assert said.exit_code == 0, said.output
        return said.output if plain else json.loads(said.output)

    return call


def test_accounts(app: App, run: Run) -> None:
    """The link that `people add` prints once sets a password; reset, role, disable and enable do what they say."""
    added = run("people", "add", "noa", "--display", "Noa Example", "--role", "coder")
    link = urlsplit(added["setup_link"])
    assert link.path == "/console/set-up"
    assert parse_qs(link.query) == {"name": ["noa"], "token": [added["setup_token"]]}
    assert added["setup_expires"] > app.acts.now
    assert "setup_token" not in json.dumps(run("people", "list"))
    assert run("people", "password", "noa", "--token", added["setup_token"], "--password", PASSWORD)["name"] == "noa"
    browser = Browser(app)
    browser.sign_in("noa")
    assert run("people", "role", "noa", "moderator")["role"] == "moderator"
    assert "(noa, moderator)" in browser.get("/console")
    assert run("people", "disable", "noa")["disabled"] is True
    assert browser.client.get("/console").status_code == 303
    assert run("people", "enable", "noa")["disabled"] is False
    assert run("people", "reset", "noa")["setup_token"] != added["setup_token"]
    assert run("people", "role", "noa", "king") == "EM100"
    assert run("people", "disable", "nobody") == "EM108"
    assert "works once" in run("people", "reset", "noa", plain=True)


def test_words(run: Run) -> None:
    """Words are left, listed and moderated; rejected ones are listed without their text."""
    first, second = (run("words", "leave", NAME, "--text", text)["id"] for text in ("Thank you.", "Call me."))
    assert {each["text"] for each in run("words", "list")["held"]} == {"Thank you.", "Call me."}
    assert run("words", "moderate", first, "--approve", "--as", "moe")["verdict"] == "approved"
    assert run("words", "moderate", second, "--reject", "--as", "moe") == "EM100"
    assert run("words", "moderate", second, "--as", "moe") == "EM100"
    assert run("words", "moderate", second, "--reject", "--reason", "no", "--as", "moe")["verdict"] == "rejected"
    listed = run("words", "list", NAME)
    assert listed["held"] == []
    assert {(each["verdict"], each["text"]) for each in listed["moderated"]} == {
        ("approved", "Thank you."),
        ("rejected", None),
    }
    assert "Call me." not in run("words", "list", plain=True)
    assert run("words", "leave", "nobody", "--text", "x") == "EM108"


def test_a_round(run: Run, tmp_path: Path) -> None:
    """A round is opened, coded twice from files, compared, proposed and agreed, and then it is in the register."""
    opened = run("coding", "open", NAME, "--coder", "ana", "--coder", "ben", "--sample", "1", "--as", "stella")
    assert (opened["id"], opened["status"], opened["sessions"]) == (f"{NAME}-r1", "coding", 1)
    shown = run("coding", "show", opened["id"], "1")
    assert "condition" not in json.dumps(shown)
    turn = next(each for each in shown["turns"] if each["item"] == "voice")
    start = VOICE.index(QUOTE)
    code = {
        "turn": turn["turn"],
        "start": start,
        "end": start + len(QUOTE),
        "quote": QUOTE,
        "domain": "voice",
        "paraphrase": "A place for letters.",
        "transcript_sha256": shown["transcript_sha256"],
    }
    mine, theirs = tmp_path / "mine.json", tmp_path / "theirs.json"
    mine.write_text(json.dumps({"codes": [code]}))
    theirs.write_text(json.dumps({"codes": [{**code, "paraphrase": "Letters."}], "adequacy": {"1": "refused"}}))
    assert run("coding", "submit", opened["id"], "1", "--codes", str(tmp_path / "none.json"), "--as", "ana") == "EM100"
    assert run("coding", "submit", opened["id"], "1", "--codes", str(mine), "--as", "stella") == "EM504"
    assert run("coding", "compare", opened["id"], "1") == "EM500"
    assert run("coding", "submit", opened["id"], "1", "--codes", str(mine), "--as", "ana")["handed_in"]["ana"] == 1
    run("coding", "submit", opened["id"], "1", "--codes", str(theirs), "--as", "ben")
    compared = run("coding", "compare", opened["id"], "1")
    assert (compared["agree"], compared["proposed"]) == ([False], None)
    assert run("coding", "agree", opened["id"], "1", "--as", "ben") == "EM500"
    run("coding", "resolve", opened["id"], "1", "--codes", str(mine), "--note", "Ana's words.", "--as", "ana")
    assert "they differ" in run("coding", "compare", opened["id"], "1", plain=True)
    settled = run("coding", "agree", opened["id"], "1", "--as", "ben")
    assert (settled["status"], settled["settled"]["1"]["by"]) == ("resolved", ["ana", "ben"])
    assert settled["agreement"]["passes"] is True
    assert [each["need"] for each in run("status", NAME)["preferences"]] == [QUOTE]
    assert "resolved" in run("coding", "list", plain=True)
