"""The chat in a real Chromium: an answer streams and is stopped, a cold start is shown, a phone suffices."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from chat_house import LONG, PASSWORD, open_house, served
from chromium import chromium
from console_house import quick_hashes
from playwright.sync_api import Browser, BrowserContext, Page, expect

PHONE = {"width": 390, "height": 844}
SHOTS = os.environ.get("EMERITUS_TEST_SHOTS")  # a folder for pictures, for whoever wants to look


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The house, served."""
    with pytest.MonkeyPatch.context() as patch:
        quick_hashes(patch)
        app = open_house(tmp_path_factory.mktemp("chat"))
        with served(app) as address:
            yield address
        app.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """A phone whose pages must not complain, scroll sideways or ask anybody else for anything."""
    context = browser.new_context(viewport=PHONE, base_url=address)
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("request", lambda request: None if request.url.startswith(address) else complaints.append(request.url))
    yield context
    for page in context.pages:
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page.url
    assert complaints == []
    context.close()


def shot(page: Page, name: str) -> None:
    """A picture of the page, where somebody wants one."""
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def sign_in(page: Page, name: str, following: str) -> None:
    """Sign in by the page, and go on."""
    page.goto(f"/console/sign-in?next={following}")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{following}")


def test_ask_wait_for_the_wake_see_it_stream_and_stop_it(context: BrowserContext) -> None:
    """A cold start is shown beside the answer, the answer grows, Stop ends it, and what was said goes on."""
    page = context.new_page()
    page.goto("/chat")
    shot(page, "list-signed-out")
    sign_in(page, "paula", "/chat/lantern-1")
    shot(page, "room-empty")
    page.get_by_label("Your turn").fill("Tell me something long")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#status")).to_contain_text("Lantern 1 is asleep and is being woken")
    expect(page.locator("#status")).to_contain_text("about 2 seconds")
    expect(page.locator("#bar")).to_have_js_property("max", 2)
    expect(page.locator("#elapsed")).to_contain_text("s so far")
    shot(page, "waking")
    answer = page.locator(".said-assistant .exact")
    expect(answer).to_contain_text("A lamp stays lit", timeout=10_000)
    expect(page.locator("#progress")).to_be_hidden()
    assert page.locator(".said-assistant").get_attribute("aria-busy") == "true"
    expect(answer).not_to_have_text(answer.inner_text())  # it grows
    shot(page, "streaming")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".ending")).to_have_text("Stopped by you; the model had not finished.")
    produced = answer.text_content() or ""
    assert LONG.startswith(produced)  # nothing but what the model produced
    assert 0 < len(produced) < len(LONG)
    assert page.locator(".said-assistant").get_attribute("aria-busy") is None
    expect(page.locator("#readiness")).to_have_text("Awake: it answers at once.")
    expect(page.get_by_label("Your turn")).to_be_focused()
    page.keyboard.type("And in short?")
    page.keyboard.press("Enter")
    expect(page.locator(".said-assistant .exact").nth(1)).to_have_text("I have been kept.")
    expect(page.locator(".said-user")).to_have_count(2)
    expect(page.locator("#progress")).to_be_hidden()
    shot(page, "answered")
    page.get_by_role("button", name="Begin anew").click()
    expect(page.locator(".turn")).to_have_count(0)


def test_stopping_a_wake_leaves_the_question(context: BrowserContext) -> None:
    """Escape while a model wakes gives the question back to the field, and leaves no empty answer."""
    page = context.new_page()
    page.route("**/answer", lambda route: None)  # a house that says nothing
    page.goto("/chat/ferry")
    page.get_by_label("Your turn").fill("Are you there?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("being woken")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Your turn")).to_have_value("Are you there?")
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator("#progress")).to_be_hidden()
    page.unroute_all(behavior="ignoreErrors")


def test_what_fails_is_said_in_words_beside_the_answer(context: BrowserContext) -> None:
    """An engine that dies leaves what it produced, marked as broken off, and an alert with the code; a retry works."""
    page = context.new_page()
    page.goto("/chat/ferry")
    page.get_by_label("Your turn").fill("die")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("EM")
    expect(page.locator(".said-assistant .exact")).to_have_text("It began")
    expect(page.locator(".ending")).to_contain_text("Broken off")
    shot(page, "broken-off")
    page.get_by_label("Your turn").fill("markup")
    page.keyboard.press("Enter")
    expect(page.locator(".said-assistant .exact").nth(1)).to_have_text("<b>not bold</b> & so on", timeout=10_000)
    expect(page.get_by_role("alert")).to_be_empty()


def test_the_pages_on_a_desk(browser: Browser, address: str) -> None:
    """On a wide screen, and for whoever may not, the page has a heading, a reason and no field."""
    page = browser.new_page(viewport={"width": 1200, "height": 900}, base_url=address, color_scheme="dark")
    page.goto("/chat/quay")
    assert page.locator("#message").count() == 0
    expect(page.get_by_role("note")).to_contain_text("key-missing")
    shot(page, "refused-desk")
    sign_in(page, "paula", "/chat")
    shot(page, "list-desk")
    page.goto("/chat/lantern-1")
    page.get_by_label("Your turn").fill("hello")
    page.keyboard.press("Enter")
    expect(page.locator(".said-assistant .exact")).to_have_text("I have been kept.", timeout=10_000)
    shot(page, "room-desk")
    page.close()


def test_ask_for_access_make_a_key_and_write_a_letter(context: BrowserContext) -> None:
    """Forms of private pages leave a real browser and are taken: signed in, and behind a secret link alone."""
    page = context.new_page()
    page.goto("/residents/quay/access")
    page.get_by_label("Your name").fill("Eve")
    page.get_by_label("What you would use it for").fill("A comparison.")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_text("Access was granted by rule")).to_be_visible()
    page.get_by_role("button", name="Make a key").click()
    key = page.locator("#key code").inner_text()
    shot(page, "phone-access-key")
    page.goto("/residents/quay/letter")
    page.get_by_label("Your letter").fill("Dear Quay")
    page.get_by_label("Your key to the API").fill(key)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Your letter to quay")).to_be_visible()
    page.get_by_role("button", name="Erase this letter").click()
    page.wait_for_url("**/residents/quay")
    sign_in(page, "nora", "/residents/quay/access")
    page.get_by_label("What you would use it for").fill("A study.")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("link", name="Talk with it").click()
    expect(page.locator("#message")).to_be_visible()
    page.goto("/access/mine")
    expect(page.get_by_text("Access was granted by rule")).to_be_visible()
    shot(page, "phone-access-mine")
