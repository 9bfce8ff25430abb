"""Asking for access on the site, and deciding in the console: a real home, a browser without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console_house import BASE, STEWARD, Browser, open_app, quick_hashes

from emeritus.access.policy import Standing
from emeritus.acts import Draft
from emeritus.app import App

NAME = "ibis"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A home with a resident that is called by request, and two stewards."""
    quick_hashes(monkeypatch)
    app = open_app(tmp_path)
    for name in ("sten", "siri"):
        app.people.set_password(name, app.people.add(name, name, "steward"), "correct horse battery")
    public = {
        "title": "Ibis 7B",
        "description": "",
        "engine": {"kind": "scripted"},
        "weights_held": False,
        "demonstration": False,
    }
    app.acts.perform(f"register:{NAME}", STEWARD, lambda _: Draft("lifecycle.registered", NAME, public))
    app.access.set_tier(NAME, Standing("on-demand", "by request"), "asked for", STEWARD)
    yield app
    app.close()


def asked(browser: Browser, per_day: object, status: int = 303, **fields: Any) -> str:
    """Ask by the form; the address it leads to."""
    form = {"who": "Eve Ångström", "purpose": "A comparison.", "contact": "", "per_day": per_day, **fields}
    response = browser.client.post(f"/residents/{NAME}/access", data=form, headers={"origin": BASE})
    assert response.status_code == status, response.text[-900:]
    return response.headers.get("location", response.text)


def send(browser: Browser, link: str, status: int = 303, **fields: str) -> str:
    """Send a form of the applicant's page."""
    response = browser.client.post(link, data=fields, headers={"origin": BASE})
    assert response.status_code == status, response.text[-900:]
    return response.text


def test_from_the_form_to_an_answered_call(app: App) -> None:
    """Whoever asks for little has a key two forms later; it is shown once, and no cookie is set."""
    browser = Browser(app)
    assert f"/residents/{NAME}/access" in browser.get(f"/residents/{NAME}")
    assert "granted at once" in browser.get(f"/residents/{NAME}/access")
    link = asked(browser, 20)
    assert "auto-granted" in browser.get(link)
    found = re.search(r"em_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", send(browser, link, 200, do="key", label="laptop"))
    assert found is not None
    assert app.access.check(found[0], NAME).code == "granted"
    page = browser.client.get(link)
    assert found[0] not in page.text
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert not browser.client.cookies
    send(browser, link, 409, do="renew")
    browser.get(f"/access/requests/{'x' * 43}", 404)


def test_a_review_by_two_and_an_appeal_by_a_third(app: App) -> None:
    """Asked back, answered, declined by two, appealed, overturned by another; the public figures say so."""
    browser, stella, sten, siri = (Browser(app) for _ in range(4))
    link = asked(browser, 5000, purpose="Reading <b>all</b> of it")
    for person, name in ((stella, "stella"), (sten, "sten"), (siri, "siri")):
        person.sign_in(name)
    home = stella.get("/console")
    request = re.search(r"/console/access/(r-[0-9a-f]+)", home)
    assert request is not None
    desk = request[0]
    assert desk in stella.get("/console/access")

    def decide(person: Browser, status: int = 303, **fields: str) -> None:
        person.send(desk, person.get(desk), fields, status)

    assert "Reading &lt;b&gt;all" in stella.get(desk)
    decide(stella, do="ask", text="For how long?")
    assert "For how long?" in browser.get(link)
    send(browser, link, do="answer", text="A month.")
    decide(stella, do="decline", code="capacity", text="Too much.", status=303)
    decide(stella, do="decline", code="capacity", text="Too much.", status=409)
    decide(sten, do="decline", code="capacity", text="Too much.")
    page = browser.get(link)
    assert "declined" in page
    assert "Too much." in page
    send(browser, link, do="appeal", text="At night then.")
    decide(sten, 409, do="grant")
    decide(siri, do="grant", per_day="900")
    assert "900 requests a day" in browser.get(link)
    figures = browser.get("/access")
    assert "1, 1" in figures
    assert "Ångström" not in figures


def test_what_is_not_accepted(app: App) -> None:
    """Forms from elsewhere, without what is needed, or too many, get a clear error and leave nothing."""
    browser = Browser(app)
    form = {"who": "Eve", "purpose": "p", "per_day": "5"}
    elsewhere = browser.client.post(f"/residents/{NAME}/access", data=form, headers={"origin": "https://other.example"})
    assert elsewhere.status_code == 403
    asked(browser, 0, 400)
    asked(browser, 5, 400, who=" ")
    asked(browser, "many", 400)
    for _ in range(5):
        asked(browser, 5)
    assert "EM608" in asked(browser, 5, 429)
    link = f"/access/requests/{'y' * 43}"
    send(browser, link, 404, do="key")
    browser.get("/console/access", 303)
    coder = Browser(app)
    coder.sign_in("ana")
    coder.get("/console/access", 403)
    browser.get("/residents/dodo/access", 404)


def test_nobody_asks_for_what_is_open_or_answers_nobody(app: App) -> None:
    """The form is shown only where asking helps."""
    browser = Browser(app)
    assert "Nobody has asked yet" in browser.get("/access")
    app.access.set_tier(NAME, Standing("on-demand", "open"), "", STEWARD)
    assert "<form" not in browser.get(f"/residents/{NAME}/access")
    app.access.set_tier(NAME, Standing("archive", "none"), "", STEWARD)
    assert "<form" not in browser.get(f"/residents/{NAME}/access")
