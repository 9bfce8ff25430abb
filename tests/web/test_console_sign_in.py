"""Signing in to the console, as browsers and as those who would forge one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_house import BASE, PASSWORD, Browser, open_app, quick_hashes
from starlette.routing import Route
from starlette.testclient import TestClient

from emeritus.app import App
from emeritus.web.console.desk import Desk
from emeritus.web.console.forms import MOST_BYTES, SESSION_COOKIE
from emeritus.web.console.routes import console_routes
from emeritus.web.house import House
from emeritus.web.site import build_site

DOCUMENT = Path(__file__).parents[2] / "docs" / "console.md"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A home with people in it."""
    with pytest.MonkeyPatch.context() as patch:
        quick_hashes(patch)
        app = open_app(tmp_path_factory.mktemp("console"))
        yield app
        app.close()


def test_every_page_of_the_console_is_documented() -> None:
    """docs/console.md lists exactly the addresses the console answers."""
    served = {re.sub(r":\w+}", "}", route.path) for route in console_routes()}
    documented = set(re.findall(r"^\| `(/console[^`]*)` \|", DOCUMENT.read_text(), re.MULTILINE))
    assert documented == served


def test_no_page_opens_without_a_sign_in(app: App) -> None:
    """Every page but those for people without a session leads to the sign-in, whatever it is asked."""
    browser = Browser(app)
    assert browser.client.post("/console/sign-in/provider").status_code == 404  # none is set
    assert browser.client.get("/console/sign-in/callback?code=1&state=1").status_code == 404
    for route in console_routes():
        if route.path.startswith(("/console/sign-in", "/console/set-up")):
            continue
        path = re.sub(r"{\w+(:\w+)?}", "1", route.path)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            response = browser.client.request(method, path)
            assert response.status_code == 303, path
            assert response.headers["location"].startswith("/console/sign-in"), path


def test_signing_in_and_out(app: App) -> None:
    """A person signs in, every page says who they are, and after signing out the old cookie opens nothing."""
    browser = Browser(app)
    response = browser.sign_in("ana")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "Secure" in cookie
    assert "SameSite=lax" in cookie
    page = browser.get("/console")
    assert "Ana Example" in page
    assert "(ana, coder)" in page
    token = browser.client.cookies[SESSION_COOKIE]
    assert len(token) >= 43  # 256 bits
    browser.send("/console/sign-out", page, {})
    assert SESSION_COOKIE not in browser.client.cookies
    browser.client.cookies.set(SESSION_COOKIE, token, domain="register.example", path="/console")
    assert browser.client.get("/console").status_code == 303


def test_cookies_are_secure_only_where_the_site_is(app: App) -> None:
    """On plain http the cookie is not marked Secure, or no browser would send it back."""
    browser = Browser(app, "http://register.example")
    page = browser.get("/console/sign-in")
    response = browser.send("/console/sign-in", page, {"name": "ana", "password": PASSWORD})
    assert "Secure" not in response.headers["set-cookie"]


def test_a_wrong_name_and_a_wrong_password_read_alike(app: App) -> None:
    """What the page says does not tell whether a name exists."""
    pages = []
    for name in ("ben", "nob"):
        text = Browser(app).sign_in(name, "wrong password", 401).text
        pages.append(text.replace(f'value="{name}"', "").replace(re.search(r'csrf" value="(\w+)"', text)[1], ""))
    assert pages[0] == pages[1]
    assert "the name or the password is wrong" in pages[0].lower()


def test_tries_are_throttled(app: App) -> None:
    """After five failures the page says to wait."""
    browser = Browser(app)
    for _ in range(5):
        browser.sign_in("throttled", "wrong password", 401)
    assert "EM" not in browser.sign_in("throttled", "wrong password", 429).text


def test_a_set_up_link_sets_a_password_once(app: App) -> None:
    """The link of `people add` leads to a page where a password is chosen; used again it is refused."""
    token = app.people.add("new", "New Person", "coder")
    browser = Browser(app)
    address = f"/console/set-up?name=new&token={token}"
    page = browser.get(address)
    fields = {"name": "new", "token": token, "password": PASSWORD, "again": PASSWORD}
    assert (
        "the two passwords differ" in browser.send("/console/set-up", page, {**fields, "again": "x"}, 400).text.lower()
    )
    assert "Password set." in browser.send("/console/set-up", page, fields, 200).text
    page = browser.get(address)
    assert "no account waits" in browser.send("/console/set-up", page, fields, 401).text.lower()
    browser.sign_in("new")


def test_a_new_password_signs_out_everywhere(app: App) -> None:
    """The page takes the old password and ends every session of that person."""
    token = app.people.add("changer", "C. Hanger", "coder")
    app.people.set_password("changer", token, PASSWORD)
    one, other = Browser(app), Browser(app)
    one.sign_in("changer")
    other.sign_in("changer")
    page = one.get("/console/account")
    fields = {"old": "wrong password", "password": "a new long password", "again": "a new long password"}
    assert "C. Hanger" in one.send("/console/account", page, fields, 401).text
    one.send("/console/account", page, {**fields, "old": PASSWORD})
    assert other.client.get("/console").status_code == 303
    one.sign_in("changer", "a new long password")


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"origin": BASE}, ""),
        ({"origin": BASE}, "0" * 64),
        ({"origin": "https://elsewhere.example"}, None),
        ({"origin": "null"}, None),
        ({"sec-fetch-site": "cross-site"}, None),
    ],
)
@pytest.mark.parametrize("path", ["/console/sign-out", "/console/account", "/console/sign-in"])
def test_forged_forms_are_refused(app: App, path: str, headers: dict[str, str], token: str | None) -> None:
    """A form without the browser's token, or from another site, changes nothing."""
    browser = Browser(app)
    if path != "/console/sign-in":
        browser.sign_in("ana")
        shown = browser.get("/console")
    else:
        shown = browser.get(path)
    real = re.search(r'name="csrf" value="([^"]+)"', shown)[1]
    data = {"csrf": real if token is None else token, "name": "ana", "password": PASSWORD}
    response = browser.client.post(path, data=data, headers=headers)
    assert response.status_code == 403
    assert "EM607" in response.text or "the form" in response.text.lower()
    if path != "/console/sign-in":
        assert browser.client.get("/console").status_code == 200
    else:
        assert SESSION_COOKIE not in browser.client.cookies


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * (MOST_BYTES + 1), 413),
        (b"&".join(b"a=1" for _ in range(2001)), 400),
        (b"name=%ff", 400),
        (b"name=\xff", 400),
        (b"name=%00", 400),
    ],
)
def test_bad_forms_are_refused(app: App, body: bytes, status: int) -> None:
    """Too large, too many fields, no UTF-8 and control characters are each one clear error."""
    browser = Browser(app)
    browser.sign_in("ana")
    response = browser.client.post(
        "/console/account", content=body, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert response.status_code == status
    assert "Ana Example" in response.text


@pytest.mark.parametrize(
    "following",
    ["https://elsewhere.example/", "//elsewhere.example", "/console/../\\x", "/console\r\nx: y", "/essays/"],
)
def test_signing_in_never_leads_elsewhere(app: App, following: str) -> None:
    """The page to go on to lies inside the console."""
    browser = Browser(app)
    page = browser.get("/console/sign-in")
    fields = {"name": "ana", "password": PASSWORD, "next": following}
    assert browser.send("/console/sign-in", page, fields).headers["location"] == "/console"


def test_a_site_without_a_desk_has_no_console(app: App) -> None:
    """Where the site is only read there is no console at all."""
    with TestClient(build_site(House(app))) as client:
        assert client.get("/console").status_code == 404
    assert any(
        isinstance(route, Route) and route.path == "/console" for route in build_site(House(app), Desk.of(app)).routes
    )
