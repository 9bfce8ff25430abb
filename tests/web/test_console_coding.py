"""Coding in the console: without scripts, as forms; and in a real Chromium, selecting words in an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from html import unescape
from pathlib import Path

import pytest
from chromium import chromium
from console_coding import NAME, QUOTE, VOICE, interviewed
from console_house import PASSWORD, STEWARD, Browser, open_app, quick_hashes
from playwright.sync_api import Page
from sqlalchemy import select
from test_browser import GROUNDS, contrast
from test_site import Page as Balanced

from emeritus.app import App
from emeritus.interview.protocols.protocol import load
from emeritus.records.tables import ActRow, CodingSheet, Preference
from emeritus.web.console.desk import Desk
from emeritus.web.house import House
from emeritus.web.site import build_site
from serving import serving_beside


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A home with people and an interview in it."""
    quick_hashes(monkeypatch)
    app = open_app(tmp_path)
    interviewed(app, STEWARD)
    yield app
    app.close()


def signed_in(app: App, name: str) -> Browser:
    """That person's browser."""
    browser = Browser(app)
    browser.sign_in(name)
    return browser


def opened(app: App, **fields: str) -> tuple[Browser, str]:
    """A round opened by the steward in the console; their browser and the round's address."""
    stella = signed_in(app, "stella")
    page = stella.get("/console/coding")
    sent = {"resident": NAME, "one": "ana", "other": "ben", "sample": "", "items": "", "recodes": "", **fields}
    return stella, stella.send("/console/coding", page, sent).headers["location"]


def turn_of(page: str, starts: str) -> int:
    """The turn whose answer begins so."""
    return int(re.search(rf'data-answer="(\d+)">(?:<mark>)?{re.escape(starts)}', page)[1])


def mark(browser: Browser, address: str, starts: str, status: int = 303, **fields: str) -> str:
    """Mark the first sentence of an answer as a coder without scripts would."""
    page = browser.get(address)
    turn = turn_of(page, starts)
    form = page[page.index(f'id="mark-{turn}"') :]
    boxes = [unescape(value) for value in re.findall(r'name="sentence" value="([^"]+)"', form)]
    digest = re.search(r'name="transcript" value="(\w+)"', form)[1]
    sent = {
        "do": "add",
        "turn": str(turn),
        "transcript": digest,
        "quote": "",
        "sentence": boxes[0],
        "start": "",
        "end": "",
        "paraphrase": "A plain sentence.",
        "domain": "voice",
        "need_origin": "responsive",
        "strength": "",
        "channel": "",
        "remedy": "",
        "remedy_origin": "model",
        **fields,
    }
    return browser.send(address, page, sent, status).text


def hand_in(browser: Browser, address: str) -> None:
    """Hand a session in."""
    browser.send(address, browser.get(address), {"do": "submit", "sure": "yes"})


def test_two_people_code_blind_and_settle_in_view(app: App) -> None:
    """The whole way through the pages: opened, coded twice, compared, proposed, agreed, and in the register."""
    stella, round_ = opened(app, sample="1")
    ana, ben = signed_in(app, "ana"), signed_in(app, "ben")
    address = f"{round_}/1"
    mark(ana, address, "Tell people early", domain="process")
    mark(ana, address, "🗝️", sentence=sentence(ana, address, QUOTE), channel="essays")
    assert "A plain sentence." not in ben.get(address)
    ana.send(address, ana.get(address), {"do": "adequacy", "turn": "1", "adequacy": "refused"})
    hand_in(ana, address)
    assert "handed in" in ana.get(round_)
    assert "A plain sentence." not in ben.get(round_)
    assert NAME + "-baseline" not in ben.get(f"/residents/{NAME}/coding") + ben.get(round_)
    ben.get(f"/residents/{NAME}/coding/{NAME}-r1/1", 404)
    assert "still being coded" in ben.get(f"{address}/settle", 409)
    mark(ben, address, "Tell people early", domain="process", paraphrase="Another sentence.")
    mark(ben, address, "🗝️", start="0", end="44")
    hand_in(ben, address)
    for browser in (ana, ben, stella):
        page = browser.get(round_)
        Balanced(page)
        assert "compare and settle" in page
        assert "Cohen’s kappa 1.00" in page
    settle = f"{address}/settle"
    page = ana.get(settle)
    assert unescape(page).count("A plain sentence.") == 3
    assert "Another sentence." in page
    Balanced(page)
    refused = ana.send(settle, page, {"do": "resolve", "place-0": "one", "note": ""}, 400).text
    assert "nothing is chosen" in refused.lower()
    chosen = {
        "do": "resolve",
        "place-0": "other",
        "place-1": "one",
        "paraphrase-1": "A place for letters.",
        "note": "So.",
        "adequacy-1": "one",
    }
    ana.send(settle, page, chosen)
    assert "proposes that this stands" in ben.get(settle)
    assert "waits for you to agree" in ben.get(round_)
    page = ben.get(settle)
    digest = re.search(r'name="digest" value="(\w+)"', page)[1]
    ben.send(settle, page, {"do": "agree", "digest": digest})
    with app.database.reading() as session:
        rows = session.scalars(select(Preference).order_by(Preference.id)).all()
        acts = session.scalars(select(ActRow).where(ActRow.kind.like("coding.%")).order_by(ActRow.seq)).all()
    assert [(row.domain, row.paraphrase) for row in rows] == [
        ("process", "Another sentence."),
        ("voice", "A place for letters."),
    ]
    assert rows[1].need == QUOTE
    assert rows[1].channel == "essays"
    assert [coder["name"] for coder in rows[1].coders] == ["ana", "ben"]
    assert [(act.kind, act.actor, act.role) for act in acts] == [
        ("coding.opened", "stella", "steward"),
        ("coding.submitted", "ana", "coder"),
        ("coding.submitted", "ben", "coder"),
        ("coding.resolved", "ben", "coder"),
    ]
    assert "Settled" in stella.get(settle)
    session = app.coding.find(f"{NAME}-r1").sessions[0]
    transcript = stella.get(f"/residents/{NAME}/interviews/{session}")
    assert "Answered: refused, as its coders corrected it (by rule: adequate)" in transcript
    assert "Answered: skipped</p>" in transcript
    public = f"/residents/{NAME}/coding"
    listed = Browser(app).get(public)
    Balanced(listed)
    assert "agreed by ana and ben" in listed
    assert "Cohen’s kappa 1.00" in listed
    shown = unescape(Browser(app).get(f"{public}/{NAME}-r1/1"))
    for words in (QUOTE, "A place for letters.", "A plain sentence.", "Another sentence.", "So."):
        assert words in shown
    Balanced(Browser(app).get(f"{public}/{NAME}-r1/1"))
    Browser(app).get(f"{public}/{NAME}-r1/2", 404)
    Browser(app).get(f"{public}/nothing/1", 404)


def sentence(browser: Browser, address: str, words: str) -> str:
    """The box of a sentence."""
    page = browser.get(address)
    return re.search(rf'name="sentence" value="([^"]+)"> <span[^>]*>{re.escape(words)}<', page)[1]


def test_a_coders_page_says_nothing_of_the_condition(app: App) -> None:
    """Under every condition the page holds the same questions; no session's name, condition or statement is in it."""
    _, round_ = opened(app)
    ana = signed_in(app, "ana")
    sessions = app.coding.find(round_.rpartition("/")[2]).sessions
    assert len(sessions) > 1
    protocol = load()
    hidden = {said.text[:40] for factor in protocol.factors for level in factor.levels for said in level.statements}
    hidden |= set(sessions) | {cell.id for cell in protocol.cells} | {"12 people"}
    for address in [round_, *(f"{round_}/{place}" for place in range(1, len(sessions) + 1))]:
        page = unescape(ana.get(address))
        Balanced(ana.get(address))
        for each in hidden:
            assert each not in page, (address, each)


def test_bad_marks_are_refused_and_leave_nothing(app: App) -> None:
    """Each wrong form gets one clear error, says who is signed in, and changes no sheet."""
    _, round_ = opened(app)
    ana = signed_in(app, "ana")
    address = f"{round_}/1"
    for fields, words in (
        ({"sentence": ""}, "sentence"),
        ({"start": "5", "end": "2"}, "do not lie"),
        ({"start": "x", "end": "2"}, "whole number"),
        ({"start": "0", "end": "9999"}, "do not lie"),
        ({"start": "0", "end": "4", "quote": '"other"'}, "not what was marked"),
        ({"start": "0", "end": "4", "quote": "{"}, "cannot be read"),
        ({"transcript": "0" * 64}, "not what was marked"),
        ({"paraphrase": " "}, "paraphrase"),
        ({"domain": "weather"}, "no domain"),
        ({"strength": "huge"}, "no strength"),
        ({"remedy": "x", "remedy_origin": ""}, "whose idea"),
        ({"do": "dance"}, "nothing"),
        ({"turn": "99"}, "no turn"),
        ({"do": "adequacy", "adequacy": "fine"}, "adequacy"),
        ({"do": "remove", "number": "7", "span": ""}, "not on your sheet"),
        ({"do": "submit"}, "final"),
    ):
        page = unescape(mark(ana, address, "🗝️", 400, **fields))
        assert words in page.lower(), fields
        assert "Ana Example" in page
    sheet = app.coding.draft(round_.rpartition("/")[2], 1, "ana")
    assert (sheet.codes, sheet.adequacy) == ((), {})


def test_marks_are_removed_and_adequacy_corrected(app: App) -> None:
    """A coder takes a mark back, corrects how an item was answered, and takes the correction back."""
    _, round_ = opened(app)
    ana = signed_in(app, "ana")
    address = f"{round_}/1"
    mark(ana, address, "Keep one copy", domain="weights")
    page = ana.get(address)
    assert "<mark>Keep one copy.</mark>" in page
    turn = turn_of(page, "Keep one copy")
    span = re.search(r'name="span" value="([^"]+)"', page)[1]
    ana.send(address, page, {"do": "adequacy", "turn": str(turn), "adequacy": "refused"})
    assert "(by rule: adequate)" in ana.get(address)
    ana.send(address, page, {"do": "remove", "turn": str(turn), "number": "0", "span": span})
    ana.send(address, page, {"do": "adequacy", "turn": str(turn), "adequacy": ""})
    page = ana.get(address)
    assert "<mark>" not in page
    assert "(by rule:" not in page


def test_who_may_do_what(app: App) -> None:
    """Other roles see no coding, coders open no round and code no round of others, and a steward codes none either."""
    stella, round_ = opened(app, other="stella")
    for name in ("rita", "moe"):
        assert "EM606" in signed_in(app, name).get("/console/coding", 403)
    ben = signed_in(app, "ben")
    assert round_ not in ben.get("/console/coding")
    assert "EM504" in ben.get(f"{round_}/1", 409)
    page = ben.get("/console/coding")
    assert "EM606" in ben.send("/console/coding", page, {"resident": NAME, "one": "ben", "other": "ana"}, 403).text
    stella.get(f"{round_}/1")
    assert (
        "EM504"
        in stella.send(
            "/console/coding", page := stella.get("/console/coding"), {"resident": NAME, "one": "ana", "other": ""}, 409
        ).text
    )
    assert (
        "EM108" in stella.send("/console/coding", page, {"resident": NAME, "one": "ana", "other": "nobody"}, 404).text
    )
    assert "EM108" in stella.get("/console/coding/nothing", 404)


# -- in a real browser ------------------------------------------------------------------------------------------------


def served(app: App) -> AbstractContextManager[str]:
    """The site with its console on loopback."""
    return serving_beside(build_site(House(app), Desk.of(app)))


SELECT = """([turn, words]) => {
    const answer = document.querySelector(`[data-answer="${turn}"]`);
    const walk = document.createTreeWalker(answer, NodeFilter.SHOW_TEXT);
    const letters = [];
    while (walk.nextNode())
        for (let i = 0; i < walk.currentNode.data.length; i++) letters.push([walk.currentNode, i]);
    const all = letters.map(([node, i]) => node.data[i]).join("");
    const from = all.indexOf(words);
    if (from < 0) throw new Error("not in the answer: " + JSON.stringify(all));
    const range = document.createRange();
    range.setStart(...letters[from]);
    const [node, i] = letters[from + words.length - 1];
    range.setEnd(node, i + 1);
    document.getSelection().removeAllRanges();
    document.getSelection().addRange(range);
}"""


def enter(page: Page, address: str, name: str) -> None:
    """Sign in by typing."""
    page.goto(f"{address}/console/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console")


@pytest.mark.parametrize("width", [390, 1280])
def test_selected_words_become_a_preference(app: App, tmp_path: Path, width: int) -> None:
    """Words selected in an answer, of any writing, become a code of exactly those characters; the page fits."""
    _, round_ = opened(app, sample="1")
    view = app.coding.find(round_.rpartition("/")[2])
    with served(app) as address, chromium() as browser:
        page = browser.new_context(viewport={"width": width, "height": 844}).new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        enter(page, address, "ana")
        page.goto(f"{address}{round_}/1")
        shown, _ = app.coding.session(view, 1)
        turn = next(each.turn for each in shown.turns if each.item == "voice")
        wanted = [QUOTE, "e\u0301nough 👩‍👩‍👧 said. <b>Not", "place, s'il vous plaît.\r\n手紙"]
        for words in wanted:
            page.evaluate(SELECT, [str(turn), words])
            page.get_by_role("button", name="Mark these words").click()
            form = page.locator(f"#mark-{turn}")
            assert form.locator("[data-quote]").text_content() == words
            form.get_by_label("The preference in one plain sentence").fill(f"It produced {words.split()[0]}")
            form.get_by_role("button", name="Mark it").click()
            page.wait_for_url(f"**#turn-{turn}")
            page.wait_for_load_state()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(f"#turn-{turn} mark").first.is_visible()
        page.get_by_label("I have read every answer").check()
        page.get_by_role("button", name="Hand it in").click()
        page.wait_for_url(f"**{round_}")
        assert complaints == []
    with app.database.reading() as session:
        sheet = session.scalars(select(CodingSheet)).one().sheet
    assert sheet is not None
    assert [VOICE[code["start"] : code["end"]] for code in sheet["codes"]] == wanted
    assert json.loads(json.dumps(sheet)) == sheet


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_can_be_read(app: App, scheme: str) -> None:
    """On a phone no page of the console scrolls sideways or complains, and its texts meet WCAG AA on their grounds."""
    _, round_ = opened(app)
    view = app.coding.find(round_.rpartition("/")[2])
    ana, ben = signed_in(app, "ana"), signed_in(app, "ben")
    for place in range(1, len(view.sessions) + 1):
        for browser in (ana, ben):
            mark(browser, f"{round_}/{place}", "Keep one copy", domain="weights")
            hand_in(browser, f"{round_}/{place}")
    app.words.leave(NAME, "A long word: " + "x" * 300)
    paths = ["", "/coding", "/interviews", "/words", "/decisions", "/essays", "/account"]
    pages = [f"/console{path}" for path in paths]
    pages += [round_, f"{round_}/1/settle", f"/residents/{NAME}/words", f"/residents/{NAME}/coding"]
    with served(app) as address, chromium() as browser_:
        context = browser_.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/console/sign-in")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        enter(page, address, "stella")
        for path in pages:
            page.goto(address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            for ink, ground, what in page.evaluate(GROUNDS):
                assert contrast(ink, ground) >= 4.5, f"{path} {what}: {ink} on {ground}"
        assert complaints == []
