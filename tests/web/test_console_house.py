"""Who is awake, as the console and `emeritus status` say it of a house that serves; looking wakes nobody."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from chat_house import PASSWORD, STEWARD, Plain, open_house, served
from console_house import quick_hashes

from emeritus.access.policy import Standing
from emeritus.app import App
from emeritus.cli.summary import overview, serving
from emeritus.lifecycle.service import Registration
from emeritus.residency.board import EVERY_S, GONE, Board


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A house with a steward."""
    quick_hashes(monkeypatch)
    app = open_house(tmp_path)
    lost = Registration("wreck", engine="scripted", options={"script": "/nowhere.toml"}, weights_held=False)
    app.lifecycle.register(lost, STEWARD)
    app.access.set_tier("wreck", Standing("on-demand", "open"), "A test.", STEWARD)
    app.people.set_password("stella", app.people.add("stella", "Stella Example", "steward"), PASSWORD)
    yield app
    app.close()


def said_within(app: App, name: str, state: str) -> dict[str, object]:
    """What the board says of a resident, once it says that state, and that no call is under way."""
    until = time.monotonic() + 20 * EVERY_S
    while time.monotonic() < until:
        for note in serving(app, name)["serving"]:
            for one in note["residents"]:
                if (one["state"], one["in_flight"]) == (state, 0):
                    return one
        time.sleep(0.05)
    raise AssertionError(serving(app, name))


def test_the_board_says_who_is_awake_and_what_failed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is awake until somebody asks; then state, room, wakes and the reason of a failed load are told."""
    monkeypatch.setattr("emeritus.app.EVERY_S", 0.05)
    assert overview(app)["serving"] == []
    with served(app) as address:
        stella = Plain(address)
        stella.sign_in("stella", "/console/house")
        assert "Nobody was asked for yet" in stella.get("/console/house")
        (note,) = overview(app)["serving"]
        assert (note["url"], note["residents"]) == ("http://127.0.0.1", [])
        stella.send("/chat/ferry", {"message": "hello"})
        assert said_within(app, "ferry", "awake")["bytes"] == 0  # it answers from a script
        page = stella.get("/console/house?watch=1")
        assert "<b>awake</b>" in page
        assert "lantern-1" in page  # a wake that was measured before this process
        app.reviving.write_wakes()
        assert {wake["resident"] for wake in overview(app)["wakes"]} == {"ferry", "lantern-1"}
        stella.send("/chat/wreck", {"message": "hello"}, status=502)
        failed = said_within(app, "wreck", "failed")
        assert "EM" in str(failed["error"])
        assert str(failed["error"]).split()[0] in stella.get("/console/house")
        carol = Plain(address)
        carol.sign_in("nora")
        carol.get("/console/house", 403)
        carol.close()
        stella.close()
    assert overview(app)["serving"] == []


def test_a_note_that_grows_old_is_read_no_more(tmp_path: Path) -> None:
    """A process that was killed leaves its note: nobody takes it for one that serves, and the next takes it down."""
    board, now = Board(tmp_path), datetime.fromisoformat("2027-03-01T12:00:00+00:00")
    old = {"host": "a", "pid": 1, "at": now.isoformat(), "residents": [], "house": None, "url": "x"}
    board.pin(old)
    (tmp_path / "serving" / "b-2.json").write_text("{")
    assert board.read(now + GONE) == (old,)
    later = now + GONE + timedelta(seconds=1)
    assert board.read(later) == ()
    new = {**old, "pid": 3, "at": later.isoformat()}
    board.pin(new)
    assert board.read(later) == (new,)
    assert [json.loads(path.read_text()) for path in (tmp_path / "serving").glob("a-*.json")] == [new]
    board.take_down(new)
    assert board.read(later) == ()
