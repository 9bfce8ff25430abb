"""Asking for access on the site, and deciding in the console: a real home, a browser without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from console_house import BASE, STEWARD, Browser, open_app, quick_hashes

from emeritus.access import queries as access
from emeritus.access.callers import grant_uses
from emeritus.access.limits import Limits
from emeritus.access.policy import Standing
from emeritus.access.requests import queries
from emeritus.access.service import PlanTerms
from emeritus.acts import Actor, Draft
from emeritus.app import App
from emeritus.errors import BadKey, QuotaExceeded
from emeritus.records.dates import days_after

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
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "same-origin")
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


def signed_in(app: App, name: str = "carla", role: str = "caller") -> Browser:
    """Someone with an account, signed in."""
    app.people.set_password(name, app.people.add(name, f"{name.capitalize()} Ångström", role), "correct horse battery")
    browser = Browser(app)
    browser.sign_in(name)
    return browser


def test_who_is_signed_in_asks_and_calls_without_a_key(app: App) -> None:
    """What an account asked for is on its page; granted, it works for them and for their keys, in one budget."""
    carla = signed_in(app)
    assert carla.client.get("/console").headers["location"] == "/access/mine"
    assert "Nothing yet" in carla.get("/access/mine")
    assert app.access.decide_person("carla", NAME).code == "not-a-member"
    ask = f"/residents/{NAME}/access"
    page = carla.get(ask)
    assert 'name="who"' not in page
    link = carla.send(ask, page, {"purpose": "A comparison.", "per_day": "3", "contact": ""}).headers["location"]
    assert re.fullmatch(r"/access/requests/r-[0-9a-f]{12}", link)
    assert link in carla.get("/access/mine")
    assert link in carla.get(ask)
    page = carla.get(link)
    assert "Access was granted by rule" in page
    assert f"/residents/{NAME}/letter" in page
    assert app.access.decide_person("carla", NAME).code == "granted"
    made = carla.send(link, page, {"do": "key", "label": "laptop"}, 200).text
    key = re.search(r"em_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", made)
    assert key is not None
    page = carla.get(link)
    assert key[0] not in page
    assert "laptop" in page
    app.access.check(key[0], NAME)
    app.access.check_person("carla", NAME)
    app.access.check_person("carla", NAME, "batch")
    with pytest.raises(QuotaExceeded):
        app.access.check_person("carla", NAME)
    app.access.flush()
    with app.database.reading() as session:
        uses = {each.key: (each.who, each.requests) for each in access.last_uses(session, NAME)}
        calls = grant_uses(session, NAME)
    assert sorted(uses.values()) == [("Carla Ångström", 1), ("Carla Ångström", 2)]
    assert [(each.holder, each.requests) for each in calls] == [("Carla Ångström", 3)]
    carla.send(link, page, {"do": "revoke", "key": key[0].split("_")[1]})
    assert "laptop" not in carla.get(link)
    with pytest.raises(BadKey):
        app.access.check(key[0], NAME)


def test_an_account_appeals_and_renews_on_its_page(app: App) -> None:
    """Reasons and deadlines stand on the request's page; a second one cannot wait beside it; it is nobody else's."""
    carla, other = signed_in(app), signed_in(app, "otto")
    ask = f"/residents/{NAME}/access"
    form = {"purpose": "All of it.", "per_day": "5000", "contact": ""}
    link = carla.send(ask, carla.get(ask), form).headers["location"]
    request = link.rpartition("/")[2]
    assert "A person decides by" in carla.get(link)
    assert "waits to be decided" in carla.send(ask, carla.get(ask), form, 409).text
    other.send(ask, other.get(ask), {**form, "per_day": "2"})
    other.get(link, 404)
    other.send(link, other.get("/access/mine"), {"do": "appeal", "text": "Mine."}, 404)
    signed_out = Browser(app)
    assert signed_out.client.get(link).headers["location"] == f"/console/sign-in?next={quote_plus(link)}"
    unsigned = carla.client.post(link, data={"do": "appeal", "text": "Forged."}, headers={"origin": BASE})
    assert unsigned.status_code == 403
    for person in ("stella", "sten"):
        app.requests.decline(request, "capacity", "Too much at once.", Actor(person))
    page = carla.get(link)
    assert "Too much at once." in page
    assert "The resident cannot answer as much" in page
    carla.send(link, page, {"do": "appeal", "text": "At night then."})
    assert "decides the appeal by" in carla.get("/access/mine")
    app.requests.grant(request, Actor("siri"), 900)
    page = carla.get(link)
    assert "900 requests a day" in page
    carla.send(link, page, {"do": "renew"}, 409)
    with app.database.reading() as session:
        (view,) = queries.of_account(session, "carla", app.acts.now, 30)
    assert view.grant is not None
    app.access.renew(view.grant.id, days_after(app.acts.now, 5), STEWARD)
    page = carla.get(link)
    assert "Expiring" in page
    carla.send(link, page, {"do": "renew"})
    assert "Active" in carla.get(link)
    app.requests.erase(request)
    carla.get(link, 404)
    assert app.access.decide_person("carla", NAME).code == "not-a-member"


def test_a_member_of_a_plan_makes_and_revokes_keys(app: App) -> None:
    """Their plans are listed with what they give; a key is shown once, at most five hold; nobody else's is theirs."""
    carla = signed_in(app)
    app.access.set_plan("paid", PlanTerms("All paid users", limits=Limits(requests_per_day=40)), "A test.", STEWARD)
    member = app.access.members.add("paid", "Carla")
    page = carla.get("/access/mine")
    assert "40 requests a day" in page
    form = {"member": member, "do": "key", "label": "desk"}
    for _ in range(5):
        assert "shown this once" in carla.send("/access/mine", page, form, 200).text
    carla.send("/access/mine", page, form, 403)
    carla.send("/access/mine", page, {**form, "member": "m-000000000000"}, 404)
    with app.database.reading() as session:
        keys = access.keys_of(session, member)
    carla.send("/access/mine", page, {"member": member, "do": "revoke", "key": keys[0].prefix})
    carla.send("/access/mine", page, {"member": member, "do": "revoke", "key": "0" * 12}, 404)
    assert carla.get("/access/mine").count("not used yet") == 4


@pytest.mark.parametrize(
    ("standing", "ways"),
    [
        (Standing("on-demand", "by request"), {"letter", "access"}),
        (Standing("correspondence", "entitled"), {"letter", "access"}),
        (Standing("archive", "entitled"), set()),
        (Standing("awake", "none"), set()),
    ],
)
def test_a_residents_page_leads_to_what_its_tier_offers(app: App, standing: Standing, ways: set[str]) -> None:
    """Letters where it answers batches, asking where asking helps, and nothing where nobody is answered."""
    app.access.set_tier(NAME, standing, "", STEWARD)
    page = Browser(app).get(f"/residents/{NAME}")
    assert {way for way in ("letter", "access") if f'"/residents/{NAME}/{way}"' in page} == ways
