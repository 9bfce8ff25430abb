"""Signing in at a real provider on loopback, as people do and as those who would forge it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from chat_house import Plain, open_house, served
from console_house import quick_hashes
from oidc_house import CLIENT, SECRET, Provider, provider_served

from emeritus.app import App
from emeritus.errors import BadSettings
from emeritus.people import oidc
from emeritus.settings import Settings


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """The provider."""
    with provider_served() as provider:
        yield provider


@pytest.fixture(scope="module")
def app(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A house whose people sign in there."""
    folder: Path = tmp_path_factory.mktemp("oidc")
    (folder / "secret").write_text(SECRET + "\n")
    with pytest.MonkeyPatch.context() as patch:
        quick_hashes(patch)
        app = open_house(
            folder,
            oidc_issuer=provider.issuer,
            oidc_client_id=CLIENT,
            oidc_client_secret_file=str(folder / "secret"),
            oidc_name="Harbour",
            oidc_plan_claim="account.groups",
            oidc_plans=json.dumps({"subscribers": "paid"}),
            oidc_role_claim="job",
            oidc_roles=json.dumps({"archivist": "steward"}),
        )
        yield app
        app.close()


@pytest.fixture(scope="module")
def address(app: App) -> Iterator[str]:
    """Where it is served."""
    with served(app) as address:
        yield address


@pytest.fixture
def browser(address: str, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plain]:
    """A browser, and a provider that does as it should."""
    monkeypatch.setattr(oidc, "REFETCH_S", 0.0)
    provider.forge, provider.down = "", False
    provider.claims = {"sub": "248289761001", "name": "Jane Doe"}
    browser = Plain(address)
    yield browser
    browser.close()


def leave(browser: Plain, following: str = "/chat") -> str:
    """Press the button; the callback's address that the provider sends the browser to."""
    page = f"/console/sign-in?next={following}"
    told = browser.send("/console/sign-in/provider", {"next": following}, page=page)
    there = unescape(re.search(r'Going on to <a href="([^"]+)"', told.text)[1])
    answer = httpx.get(there, trust_env=False)
    assert answer.status_code == 302
    return answer.headers["location"]


def test_signing_in_by_the_provider_and_out(browser: Plain, provider: Provider, app: App) -> None:
    """An account is made for issuer and subject, its plan comes and goes with the mapped claim, and it signs out."""
    provider.claims["account"] = {"groups": ["subscribers", "others"]}
    back = browser.client.get(leave(browser, "/chat/lantern-1"))
    assert back.headers["location"] == "/chat/lantern-1"
    page = browser.get("/chat/lantern-1")
    assert "Jane Doe" in page
    assert 'id="message"' in page
    (member,) = [each for each in app.access.members.in_plan("paid") if each.source == "oidc"]
    assert app.people.find(member.who)["role"] == "caller"
    browser.send("/console/sign-out", {}, page="/chat", status=303)
    assert "Jane Doe" not in browser.get("/chat")
    provider.claims = {"sub": "248289761001", "name": "Jane Roe"}
    browser.client.get(leave(browser))
    assert "Jane Roe" in browser.get("/chat")
    assert [each for each in app.access.members.in_plan("paid") if each.source == "oidc"] == []
    assert app.people.find(member.who)["display"] == "Jane Roe"  # the same account
    app.people.disable(member.who)
    assert browser.client.get(leave(browser)).status_code == 401
    app.people.enable(member.who)


def test_what_the_account_asked_for_it_may_call(browser: Plain, provider: Provider) -> None:
    """Someone from a provider asks for a resident by its page and talks with it on the chat page, without any key."""
    browser.client.get(leave(browser, "/residents/quay/access"))
    assert 'id="message"' not in browser.get("/chat/quay")
    asked = browser.send("/residents/quay/access", {"purpose": "A study.", "per_day": "2", "contact": ""}, status=303)
    assert "Talk with it" in browser.get(asked.headers["location"])
    assert "I have been kept." in browser.send("/chat/quay", {"message": "Hello"}).text


def test_an_account_is_never_taken_by_its_address_or_name(browser: Plain, provider: Provider, app: App) -> None:
    """Someone who calls themselves like a local account, verified or not, gets an account of their own, and no role."""
    provider.claims = {"sub": "paula", "name": "paula", "preferred_username": "paula", "role": "steward"}
    browser.client.get(leave(browser))
    assert "not-a-member" in browser.get("/chat")
    assert browser.client.get("/console/access").status_code == 403
    provider.claims = {"sub": "keeper", "name": "Keeper", "job": "archivist"}
    other = Plain(browser.address)
    other.client.get(leave(other))
    assert other.client.get("/console").status_code == 200  # a role that is mapped
    provider.claims = {"sub": "keeper", "name": "Keeper"}
    other.client.get(leave(other))
    assert other.client.get("/console").status_code == 303  # it goes as it came
    other.close()


@pytest.mark.parametrize(
    "forge",
    [
        "nonce",
        "no-nonce",
        "audience",
        "audiences",
        "issuer",
        "expired",
        "future",
        "no-subject",
        "other-key",
        "hmac",
        "hmac-client",
        "own-key",
        "none",
        "header-list",
        "garbage",
    ],
)
def test_forged_identities_are_refused(browser: Plain, provider: Provider, forge: str) -> None:
    """A token with anything wrong in it signs nobody in."""
    provider.forge = forge
    refused = browser.client.get(leave(browser))
    assert refused.status_code == 401
    assert "Sign in with Harbour" in refused.text
    assert "emeritus_session" not in browser.client.cookies


def test_a_clock_that_is_a_little_off_is_forgiven(browser: Plain, provider: Provider) -> None:
    """Half a minute past its end a token still counts."""
    provider.forge = "skewed"
    assert browser.client.get(leave(browser)).status_code == 303


def test_answers_of_other_sign_ins_are_refused(browser: Plain) -> None:
    """A wrong state, another browser's answer, and an answer that was used before sign nobody in."""
    back = leave(browser)
    state = parse_qs(urlsplit(back).query)["state"][0]
    other = Plain(browser.address)
    assert other.client.get(back).status_code == 401
    other.close()
    assert browser.client.get(back.replace(state, "x" * 43)).status_code == 401
    back = leave(browser)
    cookie = browser.client.cookies["emeritus_oidc"]
    assert browser.client.get(back).status_code == 303
    assert browser.client.get(back).status_code == 401  # the cookie is gone
    browser.client.cookies.set("emeritus_oidc", cookie, domain="127.0.0.1", path="/")
    assert browser.client.get(back).status_code == 401  # and so is the code
    elsewhere = leave(browser).replace(re.search(r"iss=([^&]+)", back)[1], "https%3A%2F%2Felsewhere.example")
    assert browser.client.get(elsewhere).status_code == 401


def test_keys_may_be_rotated(browser: Plain, provider: Provider) -> None:
    """A key that is not known makes the provider's keys be read again; one that is known does not."""
    assert browser.client.get(leave(browser)).status_code == 303
    fetched = provider.fetched
    assert browser.client.get(leave(browser)).status_code == 303
    assert provider.fetched == fetched
    provider.rotate()
    assert browser.client.get(leave(browser)).status_code == 303
    assert provider.fetched == fetched + 1


def test_a_provider_that_is_down_leaves_local_accounts(
    browser: Plain, provider: Provider, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says that the provider does not answer, and the password field on it works."""
    monkeypatch.setattr(oidc, "KEPT_S", 0.0)
    provider.down = True
    page = "/console/sign-in?next=/chat"
    told = browser.send("/console/sign-in/provider", {}, page=page, status=503).text
    assert "sign-in provider answered with status 500" in told
    assert SECRET not in told
    assert browser.sign_in("paula").status_code == 303
    assert "Paula Example" in browser.get("/chat")


def test_the_button_needs_its_page(browser: Plain) -> None:
    """Another site cannot begin a sign-in, and the address after it stays on this one."""
    data = {"csrf": "0" * 64, "next": "/chat"}
    response = browser.client.post("/console/sign-in/provider", data=data, headers={"origin": browser.address})
    assert response.status_code == 403
    assert browser.client.get(leave(browser, "//elsewhere.example")).headers["location"] == "/console"


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_client_id": ""},
        {"oidc_issuer": ""},
        {"oidc_roles": json.dumps({"staff": "emperor"})},
        {"oidc_plans": json.dumps({"subscribers": 1})},
    ],
)
def test_settings_that_cannot_be_meant_are_refused_at_the_start(wrong: dict[str, str], tmp_path: Path) -> None:
    """Half a provider, and a role or a plan that cannot be, are an error before anybody signs in."""
    given = {"oidc_issuer": "https://sso.example", "oidc_client_id": CLIENT} | wrong
    with pytest.raises(BadSettings, match="oidc_"):
        oidc.provider_of(Settings(home=tmp_path, **given))


def test_a_secret_that_the_provider_does_not_know_is_the_sites_fault(
    browser: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong client secret is told as a provider that is not available, and is not shown."""
    monkeypatch.setattr(oidc.Provider, "_secret", lambda _: "an-old-secret")
    told = browser.client.get(leave(browser))
    assert told.status_code == 503
    assert "client id and secret" in told.text
    assert "an-old-secret" not in told.text
