"""The chat page over HTTP: who may talk with whom, forms without a script, the lines of an answer, and forgeries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from chat_house import LONG, STEWARD, Plain, open_house, served
from console_house import quick_hashes
from sqlalchemy import select

from emeritus.acts import utc_now
from emeritus.app import App
from emeritus.gateway import announced
from emeritus.lifecycle.axes import parse_when
from emeritus.lifecycle.service import Announcement
from emeritus.records.tables import Usage

Lines = list[dict[str, object]]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The house."""
    with pytest.MonkeyPatch.context() as patch:
        quick_hashes(patch)
        app = open_house(tmp_path_factory.mktemp("chat"))
        yield app
        app.close()


@pytest.fixture(scope="module")
def address(app: App) -> Iterator[str]:
    """Where it is served."""
    with served(app) as address:
        yield address


@pytest.fixture
def browser(address: str) -> Iterator[Plain]:
    """A browser that is not signed in."""
    browser = Plain(address)
    yield browser
    browser.close()


def csrf(page: str) -> str:
    """The token of a page's form."""
    return re.findall(r'name="csrf" value="(\w+)"', page)[-1]


def ask(browser: Plain, name: str, text: str, **more: object) -> tuple[int, Lines]:
    """An answer as the page's script gets it."""
    token = more.pop("csrf", None) or csrf(browser.get(f"/chat/{name}"))
    body = {"csrf": token, "messages": [{"role": "user", "content": text}], **more}
    response = browser.client.post(f"/chat/{name}/answer", json=body, headers={"origin": browser.address})
    return response.status_code, [json.loads(line) for line in response.text.splitlines()]


def text_of(lines: Lines) -> str:
    """What the model produced."""
    return "".join(str(line["text"]) for line in lines if "text" in line)


def section(page: str, identity: str) -> str:
    """A section of the list, by its heading's id."""
    return page.split(f'id="{identity}"')[1].split("</section>")[0]


def test_the_list_says_who_answers_and_why_others_do_not(browser: Plain) -> None:
    """Whoever is not signed in sees what is open; every other resident stands there with its reason and what helps."""
    page = browser.get("/chat")
    assert re.findall(r'href="/chat/(\w[\w-]*)"', section(page, "may")) == ["ferry"]
    rest = section(page, "may-not")
    for code in ("key-missing", "tier-not-live", "outside-hours"):
        assert f'<span class="tag">{code}</span>' in rest
    assert "/residents/quay/access" in rest
    assert "the next begin" in rest
    browser.sign_in("nora")
    assert "not-a-member" in section(browser.get("/chat"), "may-not")
    other = Plain(browser.address)
    assert other.sign_in("paula", "/chat/lantern-1").headers["location"] == "/chat/lantern-1"
    page = other.get("/chat")
    assert re.findall(r'href="/chat/(\w[\w-]*)"', section(page, "may")) == ["ferry", "lantern-1"]
    assert "grant-not-by-name" in section(page, "may-not")
    assert "Paula Example" in page
    other.close()


def test_a_caller_works_on_nothing(browser: Plain) -> None:
    """An account of the role `caller` opens no page of the console but its account; it is led to what it may call."""
    assert browser.sign_in("paula", "/console").headers["location"] == "/console"
    assert browser.client.get("/console").headers["location"] == "/access/mine"
    for path in ("/console/decisions", "/console/essays", "/console/words"):
        assert browser.client.get(path).status_code == 403
    assert "Paula Example" in browser.get("/console/account")


def test_a_form_without_a_script_answers_whole(browser: Plain) -> None:
    """The plain form brings the whole conversation back with each answer, and it stands in the page as it is."""
    page = browser.get("/chat/ferry")
    assert "No system prompt is sent" in page
    assert "not stored here" in page
    first = browser.send("/chat/ferry", {"message": "markup, please", "temperature": "0"}).text
    assert "&lt;b&gt;not bold&lt;/b&gt; &amp; so on" in first
    before = re.search(r'name="before" value="([^"]*)"', first)[1]
    data = {"csrf": csrf(first), "before": before.replace("&#34;", '"').replace("&lt;", "<"), "message": "and then?"}
    second = browser.client.post("/chat/ferry", data=data, headers={"origin": browser.address}).text
    assert second.count('class="turn said-user"') == 2
    assert "I have been kept." in second
    assert browser.get("/chat/ferry").count("said-user") == 0  # nobody kept it


def test_an_answer_comes_as_lines(browser: Plain, app: App) -> None:
    """The text of an answer is the model's alone; what is waited for is said beside it, and use counts for the plan."""
    browser.sign_in("paula")
    status, lines = ask(browser, "lantern-1", "long", max_tokens=4000, temperature=0)
    assert status == 200
    assert {"state": "waking"} in lines
    assert text_of(lines) == LONG
    assert lines[-1]["end"]["reason"] == "stop"
    status, lines = ask(browser, "lantern-1", "long", max_tokens=5)
    assert lines[-1]["end"] == {"reason": "length", "tokens": 5}
    app.access.flush()
    (member,) = [each for each in app.access.members.in_plan("paid") if each.who == "paula"]
    assert member.id in used(app)


def used(app: App) -> set[str]:
    """Under which keys or memberships calls were counted."""
    with app.database.reading() as session:
        return set(session.scalars(select(Usage.key_prefix)))


def test_a_plan_that_is_used_up_says_so(browser: Plain) -> None:
    """The second request of a plan with one a day is refused with the reason's code, in a script and in a form."""
    browser.sign_in("fay")
    page = browser.get("/chat/ferry")
    assert ask(browser, "ferry", "hello", csrf=csrf(page))[0] == 200  # open: not of the plan
    assert ask(browser, "lantern-1", "hello")[0] == 200
    status, lines = ask(browser, "lantern-1", "hello")
    assert status == 429
    assert lines[0]["error"]["code"] == "quota"
    assert "today" in lines[0]["error"]["says"]
    refused = browser.send("/chat/lantern-1", {"message": "my words"}, status=429).text
    assert '<span class="tag">quota</span>' in refused
    assert "my words</textarea>" in refused


def test_a_brown_out_is_told_as_what_it_is(browser: Plain, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an announced brown-out runs the page says until when and why, and no request is counted."""
    today, now = utc_now().date(), utc_now()
    dates = (parse_when(today.isoformat()), parse_when((today + timedelta(days=90)).isoformat()))
    app.lifecycle.announce("ferry", Announcement(*dates, "Little used."), STEWARD)
    begins, ends = (f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M}Z" for hours in (25, 28))
    app.lifecycle.brown_outs.plan("ferry", (begins, ends), "A rehearsal.", STEWARD)
    monkeypatch.setattr(announced, "FRESH_S", 0.0)
    monkeypatch.setattr(app.acts, "_clock", lambda: now + timedelta(hours=26))
    status, lines = ask(browser, "ferry", "hello")
    assert status == 503
    assert "A rehearsal." in lines[0]["error"]["says"]
    assert "As announced, it does not answer from" in browser.get("/chat/ferry")


def test_an_engine_that_dies_breaks_off(browser: Plain) -> None:
    """What was produced stays, and an error with its code follows it; no end is told."""
    status, lines = ask(browser, "ferry", "die")
    assert status == 200
    assert text_of(lines) == "It began"
    assert lines[-1]["error"]["code"].startswith("EM")
    assert not any("end" in line for line in lines)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff",
        b'{"messages": []}',
        b'{"messages": [{"role": "system", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": 1}]}',
        b'{"messages": [{"role": "user", "content": "  "}]}',
        b'{"messages": [{"role": "user", "content": "a\\u0000"}]}',
        b'{"messages": [{"role": "assistant", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 999999}',
        b'{"messages": [{"role": "user", "content": "x"}], "more": 1}',
        b"[" * 100_000,
    ],
)
def test_bad_questions_are_refused(browser: Plain, body: bytes) -> None:
    """Whatever is no conversation is one clear error."""
    response = browser.client.post("/chat/ferry/answer", content=body, headers={"origin": browser.address})
    assert response.status_code == 400, response.text
    assert set(response.json()["error"]) == {"code", "says", "remedy", "ask"}


def test_forged_questions_are_refused(browser: Plain) -> None:
    """A question without this browser's token, or from another site, is not answered; nor is a token of another."""
    page = browser.get("/chat/ferry")
    assert ask(browser, "ferry", "hello", csrf="0" * 64)[0] == 403
    other = Plain(browser.address)
    assert ask(browser, "ferry", "hello", csrf=csrf(other.get("/chat/ferry")))[0] == 403
    other.close()
    body = {"csrf": csrf(page), "messages": [{"role": "user", "content": "hello"}]}
    for headers in ({"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}):
        assert browser.client.post("/chat/ferry/answer", json=body, headers=headers).status_code == 403


def test_no_page_of_the_chat_may_be_kept_or_run_what_is_not_ours(browser: Plain) -> None:
    """Pages are not cached; the policy allows the site's own script and its own addresses, and nothing inline."""
    response = browser.client.get("/chat/ferry")
    policy = response.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?! src)|\son\w+=|style=", response.text)
    assert browser.client.get("/chat/nobody").status_code == 404
    assert browser.client.get("/chat/NO%0a").status_code == 404
