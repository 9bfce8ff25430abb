"""Callers in the console: counted, listed, and an acknowledgement that came another way recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from console_house import STEWARD, Browser, open_app, quick_hashes
from test_site import Page as Balanced

from emeritus.app import App
from emeritus.lifecycle import caller_queries
from emeritus.lifecycle.axes import parse_when
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A home with people, and a resident whose callers were told."""
    quick_hashes(monkeypatch)
    app = open_app(tmp_path)
    app.lifecycle.register(Registration("ibis", "Ibis", engine="upstream", weights_held=False), STEWARD)
    app.lifecycle.import_callers("ibis", b"contact,label\nann@example.org,<b>Ann\n,a script\n", "csv", STEWARD)
    announcement = Announcement(parse_when(app.acts.now[:10]), parse_when("2099-01-01"), "Little used.")
    app.lifecycle.announce("ibis", announcement, STEWARD)
    app.lifecycle.notify("ibis", app.outbox, STEWARD)
    yield app
    app.close()


def test_a_steward_sees_who_has_not_acknowledged_and_records_who_has(app: App) -> None:
    """The act is the steward's; nobody else may look; an unknown caller is refused."""
    stella = Browser(app)
    stella.sign_in("stella")
    window = ("2098-01-01T09:00Z", "2098-01-01T10:00Z")
    app.lifecycle.brown_outs.plan("ibis", window, "To find who calls.", STEWARD)
    listed = stella.get("/console/callers")
    Balanced(listed)
    assert "Ibis" in listed
    page = stella.get("/console/callers/ibis")
    Balanced(page)
    assert "2 callers have not acknowledged" in page
    assert "&lt;b&gt;Ann" in page
    assert "To find who calls." in page
    public = stella.get("/residents/ibis")
    assert "1 January 2098, 09:00 UTC" in public
    assert "To find who calls." in public
    with app.database.reading() as session:
        caller = next(each.id for each in caller_queries.callers(session, "ibis") if each.contact)
    stella.send("/console/callers/ibis", page, {"caller": caller})
    assert "1 caller has not acknowledged" in stella.get("/console/callers/ibis")
    assert "EM108" in stella.send("/console/callers/ibis", page, {"caller": "nobody"}, 404).text
    ana = Browser(app)
    ana.sign_in("ana")
    ana.get("/console/callers", 403)
