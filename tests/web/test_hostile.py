"""What a model, a title or a name may hold: none of it becomes markup, a script or a link that acts."""

from __future__ import annotations

import hashlib

import pytest
import web_story
import web_words
from starlette.testclient import TestClient
from web_house import House

from emeritus.records.tables import Essay, Preference, Publication, Report, Resident
from emeritus.web.markdown import essay_html, report_html

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg/onload=alert(1)>"


@pytest.fixture
def hostile(house: House) -> House:
    """The story with an attack in every text that did not come from us."""
    web_story.retired_model(house)
    essay_bytes = f"# {ATTACK}\n\n{ATTACK}\n\n[go](javascript:alert(1)) ![x](https://evil.example/x.png)\n".encode()
    with house.database.session() as session:
        resident = session.get(Resident, web_words.NAME)
        essay = session.get(Essay, "lantern-1:essay:1")
        publication = session.get(Publication, "on-being-asked-last")
        preference = session.get(Preference, "lantern-1:voice")
        assert resident is not None
        assert essay is not None
        assert publication is not None
        assert preference is not None
        resident.title = resident.description = ATTACK
        essay.content, essay.prompt = essay_bytes, [{"role": "user", "content": ATTACK}]
        publication.title = publication.note = ATTACK
        publication.sha256 = hashlib.sha256(essay_bytes).hexdigest()
        preference.need = preference.paraphrase = preference.domain = ATTACK
        for report in session.query(Report):
            report.html_sha256 = house.keep(f"<article>{ATTACK}<a href='javascript:alert(1)'>x</a></article>".encode())
    return house


def test_no_page_carries_the_attack(hostile: House, visit: TestClient) -> None:
    """On every page that shows such texts they are escaped or removed."""
    addresses = (
        "/",
        "/preferences",
        "/essays/",
        "/essays/on-being-asked-last",
        f"/residents/{web_words.NAME}",
        f"/residents/{web_words.NAME}/report",
        f"/residents/{web_words.NAME}/interviews/{web_words.NAME}-baseline-1",
    )
    for address in addresses:
        response = visit.get(address)
        assert response.status_code == 200, address
        text = response.text.lower()
        assert "<script" not in text, address
        assert "<img" not in text, address
        assert "<svg/" not in text, address
        assert 'href="javascript' not in text, address
        assert "evil.example" not in text or "<img" not in text, address


def test_attack_in_an_address(visit: TestClient) -> None:
    """An address is shown escaped on the page that says it does not exist."""
    response = visit.get("/residents/<script>alert(1)</script>")
    assert response.status_code == 404
    assert "<script" not in response.text


def test_essay_markup() -> None:
    """Raw HTML stays text, images are not fetched, and links carry only harmless schemes."""
    html = essay_html(
        "<b>bold</b> **strong**\n\n![p](https://evil.example/p.png)\n\n[a](https://a.example) [d](data:x)", ""
    )
    assert "&lt;b&gt;bold&lt;/b&gt; <strong>strong</strong>" in html
    assert "<img" not in html
    assert '<a href="https://a.example" rel="nofollow noopener noreferrer">a</a>' in html
    assert "data:x</a>" not in html
    assert 'href="data' not in html


@pytest.mark.parametrize(
    ("title", "expected"),
    [("One", "<p>Text</p>\n"), ("Two", "<h2>One</h2>\n<p>Text</p>\n")],
)
def test_first_heading_is_left_out_only_when_the_page_shows_it(title: str, expected: str) -> None:
    """Only a first heading equal to the page's own is left out; any other moves one level down."""
    assert essay_html("# One\n\nText\n", title) == expected


def test_report_markup() -> None:
    """A report keeps its tables, classes and anchors and loses all that could act."""
    html = report_html(
        '<article class="report" onclick="x()"><h2 id="use">Use</h2><table><tr><th scope="col">Year</th></tr></table>'
        '<a href="/ledger/entries/3">entry</a><form action="/x"><input></form><style>p{}</style>'
        '<iframe src="/"></iframe>'
        "<script>alert(1)</script></article>"
    )
    assert '<article class="report">' in html
    assert '<h2 id="use">' in html
    assert '<a href="/ledger/entries/3">entry</a>' in html
    for gone in ("onclick", "<form", "<input", "<style", "<iframe", "<script", "alert"):
        assert gone not in html
