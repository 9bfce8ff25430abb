"""The site in a real Chromium, on a phone and on a desk: what no test of the HTML alone can see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import chromium
from playwright.sync_api import Browser, Page
from starlette.testclient import TestClient
from test_site import TRANSCRIPT, crawl
from web_house import House

from emeritus.web.site import build_site
from serving import serving_beside

# every visible text with its colour and that of the nearest ground behind it
GROUNDS = """() => {
    const found = {};
    const walk = document.createTreeWalker(document.querySelector('body'), NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        if (!walk.currentNode.data.trim() || element.closest('svg, script, datalist')) continue;
        let behind = element;
        while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
        const pair = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
        found[pair.join('|')] = [...pair, element.className || element.tagName];
    }
    return Object.values(found);
}"""
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def address(told: House) -> Iterator[str]:
    """The site, served on loopback as `serve` would."""
    with serving_beside(build_site(told)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as browser:
        yield browser


def visit(browser: Browser, address: str, scheme: str) -> tuple[Page, list[str]]:
    """A phone's page in a colour scheme, and the list that its complaints go to."""
    context = browser.new_context(viewport=PHONE, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(address) else complaints.append(request.url))
    return page, complaints


def test_every_page_fits_a_phone(browser: Browser, address: str, client: TestClient) -> None:
    """At 390 pixels no page scrolls sideways, asks another host for anything, or complains on the console."""
    page, complaints = visit(browser, address, "light")
    checked = 0
    for path, text in crawl(client).items():
        if not text.startswith("<!doctype html>") or (
            path.startswith("/ledger/entries/") and path != "/ledger/entries/3"
        ):
            continue
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        checked += 1
    assert checked >= 12
    assert complaints == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_essay_is_readable_on_a_phone(browser: Browser, address: str, scheme: str) -> None:
    """An essay's text is large enough, its lines long enough, and its contrast at least WCAG AAA, in both schemes."""
    page, complaints = visit(browser, address, scheme)
    page.goto(f"{address}/essays/on-being-asked-last")
    style = page.evaluate(
        """() => {
            const text = getComputedStyle(document.querySelector('.essay-body p'));
            const box = document.querySelector('.essay-body p').getBoundingClientRect();
            const ground = getComputedStyle(document.body).backgroundColor;
            return {size: parseFloat(text.fontSize), line: parseFloat(text.lineHeight), width: box.width,
                    ink: text.color, ground: ground};
        }"""
    )
    assert style["size"] >= 17
    assert 1.4 <= style["line"] / style["size"] <= 1.9
    assert style["width"] >= 330
    assert contrast(style["ink"], style["ground"]) >= 7
    assert complaints == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/residents/lantern-1", "/residents/ferry-chat", "/essays/", TRANSCRIPT])
def test_contrast_of_all_text(browser: Browser, address: str, scheme: str, path: str) -> None:
    """Every visible text meets WCAG AA (4.5) against the nearest ground behind it, badges and tags included."""
    page, _ = visit(browser, address, scheme)
    page.goto(address + path)
    pairs = page.evaluate(GROUNDS)
    assert len(pairs) > 3
    for ink, ground, what in pairs:
        assert contrast(ink, ground) >= 4.5, f"{what}: {ink} on {ground}"
    page.context.close()


def test_keyboard_reaches_the_content(browser: Browser, address: str) -> None:
    """The first Tab shows the skip link, and Enter takes the focus to the content."""
    page, _ = visit(browser, address, "light")
    page.goto(address)
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("element => element === document.activeElement")
    box = skip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.context.close()


def test_a_quotation_leads_to_its_turn(browser: Browser, address: str) -> None:
    """From a preference one click opens the transcript at the very turn, and the mark there leads back."""
    page, _ = visit(browser, address, "light")
    page.goto(f"{address}/residents/lantern-1")
    page.locator("#p-lantern-1\\:voice .cite a").first.click()
    assert page.url == f"{address}{TRANSCRIPT}#turn-3"
    turn = page.locator("#turn-3")
    assert turn.evaluate("element => element.getBoundingClientRect().top") < PHONE["height"]
    turn.locator(".codes a").click()
    assert page.url == f"{address}/residents/lantern-1#p-lantern-1:voice"
    page.context.close()


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two CSS colours `rgb(r, g, b)` (WCAG 2.2, 1.4.3)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
