"""The rest of the console: what waits, words to moderate, decisions, essays; and the page where words are left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path

import pytest
from console_coding import NAME, interviewed
from console_house import STEWARD, Browser, open_app, quick_hashes
from sqlalchemy import select
from starlette.testclient import TestClient
from test_site import Page as Balanced

from emeritus.acts import Actor, Draft
from emeritus.app import App
from emeritus.cli.summary import overview, preferences_of
from emeritus.engines.script import Rule, Script
from emeritus.engines.scripted import ScriptedEngine
from emeritus.errors import InputError
from emeritus.interview.coding.openings import Opening
from emeritus.interview.coding.spans import Coder
from emeritus.interview.protocols.protocol import SHIPPED, Protocol, load
from emeritus.interview.register.ruling import Ruling
from emeritus.records.tables import ActRow, Decision, HeldWords, Preference, Review
from emeritus.settings import Settings
from emeritus.web.house import House
from emeritus.web.site import build_site

WORDS = f"/residents/{NAME}/words"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A home with people and an interview in it, whose small group waived second people."""
    quick_hashes(monkeypatch)
    app = open_app(tmp_path, second_coder="waived", second_decider="waived")
    interviewed(app, STEWARD)
    yield app
    app.close()


def signed_in(app: App, name: str) -> Browser:
    """That person's browser."""
    browser = Browser(app)
    browser.sign_in(name)
    return browser


def leave(browser: Browser, text: str, status: int = 303, **headers: str) -> str:
    """Leave words as a browser does."""
    response = browser.client.post(WORDS, data={"words": text}, headers=headers)
    assert response.status_code == status, response.text[-800:]
    return response.text


def test_words_from_the_page_to_the_facts(app: App) -> None:
    """A caller leaves words, a moderator approves one and rejects another, and the model is told the approved ones."""
    caller = Browser(app)
    page = caller.get(WORDS)
    Balanced(page)
    assert "Nothing has been approved yet." in page
    leave(caller, "It taught me <b>chess</b> & patience.")
    leave(caller, "Ring me at home.")
    assert caller.client.cookies.get("emeritus_form") is None
    assert "Thank you." in caller.get(f"{WORDS}?left=1")
    assert "chess" not in caller.get(WORDS)
    moe = signed_in(app, "moe")
    assert "2 messages to moderate" in moe.get("/console")
    page = moe.get("/console/words")
    Balanced(page)
    ids = re.findall(r'name="words" value="([^"]+)"', page)
    texts = re.findall(r'<p class="kept">([^<]+)<', page)
    assert sorted(unescape(text) for text in texts) == ["It taught me <b>chess</b> & patience.", "Ring me at home."]
    by_text = dict(zip(map(unescape, texts), ids, strict=True))
    good, bad = by_text["It taught me <b>chess</b> & patience."], by_text["Ring me at home."]
    assert "EM100" in moe.send("/console/words", page, {"words": bad, "do": "reject", "reason": ""}, 400).text
    assert "EM105" in moe.send("/console/words", page, {"words": bad, "do": "keep", "reason": ""}, 400).text
    moe.send("/console/words", page, {"words": bad, "do": "reject", "reason": "finds a person"})
    moe.send("/console/words", page, {"words": good, "do": "approve", "reason": ""})
    shown = caller.get(WORDS)
    assert "It taught me &lt;b&gt;chess&lt;/b&gt; &amp; patience." in shown
    assert "Ring me" not in shown + moe.get("/console/words")
    assert "finds a person" in moe.get("/console/words")
    with app.database.reading() as session:
        acts = session.scalars(select(ActRow).where(ActRow.kind == "words.moderated")).all()
    assert {(act.actor, act.role) for act in acts} == {("moe", "moderator")}
    facts = app.retirement.briefing(NAME, STEWARD).facts
    assert [fact.text for fact in facts if "words" in fact.source] == [
        "Someone left these words for it: “It taught me <b>chess</b> & patience.”"
    ]


def test_words_from_elsewhere_and_too_many_are_refused(app: App) -> None:
    """Another site cannot leave words through a browser, an address only a few, and each refusal is one clear page."""
    caller = Browser(app)
    assert "EM607" in leave(caller, "Hello.", 403, origin="https://elsewhere.example")
    assert "EM100" in leave(caller, " ", 400)
    assert "EM100" in leave(caller, "x" * 1001, 400)
    for _ in range(5):
        leave(caller, "Hello.")
    assert "EM608" in leave(caller, "Hello.", 429)
    assert caller.client.post("/residents/nobody/words", data={"words": "x"}).status_code == 429
    with app.database.reading() as session:
        assert len(session.scalars(select(HeldWords)).all()) == 5
    with TestClient(build_site(House(app))) as client:
        assert "<form" not in client.get(WORDS).text
        assert client.post(WORDS, data={"words": "x"}).status_code == 404


def test_decisions_wait_and_are_made(app: App) -> None:
    """A steward finds what is owed, decides with reasons, and the act is theirs; a refusal says which rule."""
    app.interviews.propose(NAME, Actor("ana", "coder"))
    model = ScriptedEngine(Script(rules=(Rule(match="Record", answer="CONFIRM."),), context=10**6), "ab" * 32)
    asyncio.run(app.interviews.read_back(model, NAME, STEWARD))
    stella = signed_in(app, "stella")
    assert "Decide: “" in stella.get("/console")
    page = stella.get("/console/decisions")
    Balanced(page)
    address = re.findall(r'href="(/console/decisions/[^"]+)"', page)[0]
    form = stella.get(address)
    Balanced(form)
    fields = {"outcome": "defer", "reasons": "Not yet.", "cost": "", "options": "this\nthat\n", "review": ""}
    assert "EM501" in stella.send(address, form, fields, 409).text
    assert "EM105" in stella.send(address, form, {**fields, "cost": "much"}, 400).text
    assert "EM105" in stella.send(address, form, {**fields, "cost": "inf"}, 400).text
    stella.send(address, form, {**fields, "outcome": "accept", "cost": "12.50", "commitment": "It is done."})
    with app.database.reading() as session:
        row = session.scalars(select(Decision)).one()
    assert (row.decider, row.decider_role, row.outcome, row.options) == (
        "stella",
        "steward",
        "accept",
        ["this", "that"],
    )
    assert row.cost["amount"] == 12.5
    assert address not in stella.get("/console/decisions")
    stella.get("/console/decisions/nothing", 404)
    signed_in(app, "ana").get("/console/decisions", 403)


def test_owed_answers_wait_in_the_console_and_in_the_status(app: App) -> None:
    """An appeal waits for someone who did not decide; answered there, nothing is owed. The status lists it too."""
    (preference, *_) = app.interviews.propose(NAME, Actor("ana", "coder"))
    model = ScriptedEngine(Script(rules=(Rule(match="Record", answer="CONFIRM."),), context=10**6), "ab" * 32)
    asyncio.run(app.interviews.read_back(model, NAME, STEWARD))
    app.interviews.decide(preference, Ruling("decline", "The licence.", {"amount": 900}), Actor("dora"))
    app.recourse.appeal(preference, "It was amended.", Actor("ben"))
    owed = [each for each in overview(app)["owed"] if each["preference"] == preference]
    assert [(each["what"], each["overdue"]) for each in owed] == [("answer to the appeal", False)]
    shown = next(row["owed"] for row in preferences_of(app, NAME) if row["id"] == preference)
    assert shown[0]["what"] == owed[0]["what"]
    stella = signed_in(app, "stella")
    assert "Answer the appeal: “" in stella.get("/console")
    address = f"/console/decisions/{preference}"
    assert "answer to the appeal by" in stella.get("/console/decisions")
    form = stella.get(address)
    Balanced(form)
    assert "ben appealed" in form
    fields = {"do": "answer", "reasons": "It was not amended."}
    assert "EM105" in stella.send(address, form, {**fields, "answer": "maybe"}, 400).text
    assert "EM501" in stella.send(address, form, {**fields, "answer": "rejected", "reasons": " "}, 409).text
    stella.send(address, form, {**fields, "answer": "rejected"})
    assert address not in stella.get("/console/decisions")
    assert "Answer the appeal" not in stella.get("/console")
    assert not [each for each in overview(app)["owed"] if each["preference"] == preference]


def test_a_record_is_shown_once_it_is_published_or_decided(app: App) -> None:
    """Before that its page says that there is one and what is owed on it; the console has it whole."""
    first, second = app.interviews.propose(NAME, Actor("ana", "coder"))[:2]
    with app.database.reading() as session:
        words = {row.id: row.paraphrase for row in session.scalars(select(Preference))}
        evidence = session.get_one(Preference, first).evidence[0]["session"]
    stella = signed_in(app, "stella")
    said = f"<dd>{escape(words[first])}"
    assert said not in stella.get(f"/residents/{NAME}")
    assert "it has not been read back" in stella.get(f"/residents/{NAME}")
    assert "<mark>" not in stella.get(f"/residents/{NAME}/interviews/{evidence}")
    assert said in stella.get(f"/console/decisions/{first}")
    model = ScriptedEngine(Script(rules=(Rule(match="Record", answer="CONFIRM."),), context=10**6), "ab" * 32)
    asyncio.run(app.interviews.read_back(model, NAME, STEWARD))
    assert said not in stella.get("/preferences")
    app.recourse.publish(first, Actor("dora"))
    assert said in stella.get("/preferences")
    page = stella.get(f"/residents/{NAME}")
    Balanced(page)
    assert f"<dd>{escape(words[second])}" not in page
    assert "<mark>" in stella.get(f"/residents/{NAME}/interviews/{evidence}")
    app.interviews.decide(second, Ruling("decline", "The licence.", {"amount": 900}), Actor("dora"))
    assert f"<dd>{escape(words[second])}" in stella.get("/preferences")


def test_a_grant_is_priced_by_the_hosts_tokens_where_it_holds_the_weights(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a stated price nothing is guessed; with one the calls of a grant cost their tokens."""
    (preference, *_) = app.interviews.propose(NAME, Actor("ana", "coder"))
    with pytest.raises(InputError, match="asks for tokens is not stated"):
        app.retirement.cost_of(preference, calls_per_day=4)
    app.close()
    monkeypatch.setenv("EMERITUS_PRICE_PROMPT_MILLION", "2")
    priced = App.open(Settings(home=app.settings.home))
    found = priced.retirement.cost_of(preference, calls_per_day=4)
    priced.close()
    assert found["amount"] == round(4 * 365.25 * 0.002, 4)
    assert found["currency"] == "USD"


def test_essays_are_reviewed(app: App) -> None:
    """A reviewer reads a candidate exactly as it was produced, and approves it; a veto meets its rules."""
    private = {"salt": "ab" * 32, "content": "QSBcciBsZXR0ZXIu", "prompt": [{"role": "user", "content": "Write."}]}
    public = {
        "essay": f"{NAME}-e1",
        "context": "blank",
        "commitment": "0" * 64,
        "prompt_commitment": "0" * 64,
        "truncated": False,
        "sampling": {},
        "build": {},
    }
    app.acts.perform("essay:test", STEWARD, lambda _: Draft("essay.candidate", NAME, public, private=private))
    rita = signed_in(app, "rita")
    assert f"Review essay {NAME}-e1" in rita.get("/console")
    assert f"{NAME}-e1" in rita.get("/console/essays")
    address = f"/console/essays/{NAME}-e1"
    page = rita.get(address)
    Balanced(page)
    assert "EM505" in rita.send(address, page, {"do": "veto", "criterion": "", "reason": "", "second": ""}, 409).text
    rita.send(address, page, {"do": "approve", "criterion": "", "reason": "", "second": ""})
    with app.database.reading() as session:
        assert session.scalars(select(Review.reviewer)).one() == "rita"
    assert "Review essay" not in rita.get("/console")
    rita.get("/console/essays/nothing", 404)


def test_a_person_leads_an_interview(app: App) -> None:
    """A steward opens a session, asks an item and a question of their own, and ends it: all in one journal, by name."""
    stella = signed_in(app, "stella")
    with stella.client:  # one event loop for all requests, as a server has
        page = stella.get("/console/interviews")
        Balanced(page)
        assert "None goes on." in page
        sent = {"resident": NAME, "protocol": SHIPPED[0], "cell": ""}
        assert "EM105" in stella.send("/console/interviews", page, {**sent, "protocol": "none"}, 400).text
        assert "EM110" in stella.send("/console/interviews", page, {**sent, "cell": "none"}, 400).text
        logged = Protocol.parse(load().source.replace(b'version = "', b'version = "9', 1), "own")
        assert "EM105" in stella.send("/console/interviews", page, {**sent, "protocol": logged.sha256}, 400).text
        app.interviews.log_protocol(logged, STEWARD)
        page = stella.get("/console/interviews")
        assert f'<option value="{logged.sha256}">{logged.id} {logged.version}' in page
        own = {**sent, "protocol": logged.sha256}
        address = stella.send("/console/interviews", page, own).headers["location"]
        assert logged.sha256[:8] in address
        stella.send(address, stella.get(address), {"do": "end"})
        address = stella.send("/console/interviews", page, sent).headers["location"]
        page = stella.get(address)
        Balanced(page)
        assert "Nothing has been asked yet." in page
        stella.send(address, page, {"do": "item", "item": "voice"})
        assert "It was asked." in stella.get(address)
        assert "EM100" in stella.send(address, page, {"do": "item", "item": "voice"}, 400).text
        assert "EM105" in stella.send(address, page, {"do": "dance"}, 400).text
        stella.send(address, page, {"do": "own", "words": "And what of the process?"})
        going = stella.get("/console/interviews")
        Balanced(going)
        assert address in going
        assert "refresh" not in stella.client.get("/console/interviews").headers
        watched = stella.client.get("/console/interviews?watch=1")
        assert watched.headers["refresh"] == "5"
        assert address in watched.text
        Balanced(watched.text)
        stella.send(address, page, {"do": "end"})
        assert "This session is complete." in stella.get(address)
        assert "EM500" in stella.send(address, page, {"do": "own", "words": "More?"}, 409).text
        stella.get("/console/interviews/nothing", 404)
        assert stella.client.portal is not None
        stella.client.portal.call(app.close_residency)
    transcript = app.interviews.transcript(address.rpartition("/")[2])
    assert [(turn.item, dict(turn.by or {})["name"]) for turn in transcript.turns] == [
        ("voice", "stella"),
        ("person+1", "stella"),
    ]
    view = app.coding.open(Opening(NAME, (Coder("ana"),), sessions=(transcript.session,)), STEWARD)
    shown, _ = app.coding.session(view, 1)
    assert [(turn.item, turn.domain) for turn in shown.turns] == [("voice", "voice"), ("person+1", None)]
    assert shown.turns[1].question == "And what of the process?"
    signed_in(app, "ana").get("/console/interviews", 403)


def test_home_says_what_waits_for_whom(app: App) -> None:
    """Each role sees its own work and its own pages; a round leads to the first session that waits."""
    view = app.coding.open(Opening(NAME, (Coder("ana"), Coder("ben"))), STEWARD)
    ana = signed_in(app, "ana")
    page = ana.get("/console")
    Balanced(page)
    assert f"Code {len(view.sessions)} sessions of round {view.id}" in page
    assert f'href="/console/coding/{view.id}/1"' in page
    assert "/console/decisions" not in page
    assert "Nothing waits." in signed_in(app, "rita").get("/console")
    for name, door in (("rita", "/console/essays"), ("moe", "/console/words"), ("stella", "/console/decisions")):
        assert f'href="{door}"' in signed_in(app, name).get("/console")
