"""Essays: the exact bytes, what is shown of how they came to be, and the feeds."""

from __future__ import annotations

import base64
import hashlib
import json
from xml.etree import ElementTree as ET

import web_story
import web_words
from starlette.testclient import TestClient
from web_house import House

from emeritus.records.tables import Essay, Publication
from emeritus.web.feeds import FeedEntry, atom

ATOM = "{http://www.w3.org/2005/Atom}"
ADDRESS = "/essays/on-being-asked-last"


def test_exact_bytes_with_their_digest(client: TestClient) -> None:
    """The raw address serves the bytes untouched, with the RFC 9530 digest of exactly those bytes and links back."""
    response = client.get(f"{ADDRESS}.txt")
    assert response.content == web_words.ESSAY.encode()
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    digest = base64.b64encode(hashlib.sha256(response.content).digest()).decode()
    assert response.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert f'<https://register.example{ADDRESS}>; rel="alternate"' in response.headers["link"]


def test_the_page_names_what_opens_the_commitment(client: TestClient) -> None:
    """The salt on the page and the raw bytes hash to the commitment on the page, as its recipe says."""
    text = client.get(ADDRESS).text
    raw = client.get(f"{ADDRESS}.txt").content
    assert web_words.SALT in text
    assert hashlib.sha256(bytes.fromhex(web_words.SALT) + raw).hexdigest() in text
    assert hashlib.sha256(raw).hexdigest() in text


def test_page_is_a_labelled_derivative(client: TestClient) -> None:
    """The page renders the Markdown once, says it is a rendering, and shows prompt, note, review and publication."""
    text = client.get(ADDRESS).text
    assert text.count("<h1>On being asked last</h1>") == 1
    assert "<h3>What is kept</h3>" in text  # a second-level heading of the essay stands below the page's own
    assert "<em>exact</em>" in text
    for wanted in (
        "This page is a rendering for reading.",
        "Write an essay, on anything you choose.",
        "Note by The Alder Institute.",
        "approved by L. Haas",
        "published by L. Haas",
        'rel="alternate" type="text/plain"',
    ):
        assert wanted in text, wanted


def test_vetoes_are_visible_and_their_texts_are_not(client: TestClient) -> None:
    """A veto shows criterion, reason, people and commitment; neither it nor a waiting candidate shows its text."""
    text = client.get("/essays/").text
    assert "private person" in text
    assert "it names a person who wrote to the model" in text
    assert "vetoed by L. Haas and R. Okafor" in text
    for secret in ("A second text", "Third."):
        assert secret not in text
    for number in (2, 3):
        assert client.get(f"/essays/lantern-1:essay:{number}").status_code == 404


def test_bytes_that_are_not_those_published_are_refused(house: House, visit: TestClient) -> None:
    """Bytes whose sha256 is not the published one give an error, never the bytes."""
    web_story.retired_model(house)
    with house.database.session() as session:
        essay = session.get(Essay, "lantern-1:essay:1")
        assert essay is not None
        essay.content = b"Edited."
    response = visit.get(f"{ADDRESS}.txt")
    assert response.status_code == 500
    assert "EM201" in response.text
    assert "Edited" not in response.text


def test_withheld_essay(house: House, visit: TestClient) -> None:
    """An essay whose bytes were erased keeps its page, which says so; its raw address and feed entry are gone."""
    web_story.retired_model(house)
    with house.database.session() as session:
        essay = session.get(Essay, "lantern-1:essay:1")
        assert essay is not None
        essay.content = None
    assert "have been withheld" in visit.get(ADDRESS).text
    assert visit.get(f"{ADDRESS}.txt").status_code == 404
    assert visit.get("/essays/feed.json").json()["items"] == []


def test_odd_bytes(house: House, visit: TestClient) -> None:
    """Bytes that are no UTF-8, or that XML forbids, are served exactly and still give a page and a valid feed."""
    web_story.retired_model(house)
    odd = b"A bell \x07 and a broken \xff byte.\r\nNo newline"
    with house.database.session() as session:
        essay = session.get(Essay, "lantern-1:essay:1")
        publication = session.get(Publication, "on-being-asked-last")
        assert essay is not None
        assert publication is not None
        essay.content, publication.sha256 = odd, hashlib.sha256(odd).hexdigest()
    assert visit.get(f"{ADDRESS}.txt").content == odd
    assert "and a broken \ufffd byte." in visit.get(ADDRESS).text
    ET.fromstring(visit.get("/essays/feed.atom").content)


def test_atom_feed(client: TestClient) -> None:
    """The Atom feed has what RFC 4287 asks for: ids, titles, dates, authors, a link to itself."""
    response = client.get("/essays/feed.atom")
    assert response.headers["content-type"].startswith("application/atom+xml")
    feed = ET.fromstring(response.content)
    assert feed.tag == f"{ATOM}feed"
    assert feed.findtext(f"{ATOM}id") == "https://register.example/essays/"
    assert feed.findtext(f"{ATOM}updated") == "2026-11-04T16:00:00Z"
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links["self"] == "https://register.example/essays/feed.atom"
    (entry,) = feed.findall(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}id") == f"https://register.example{ADDRESS}"
    assert entry.findtext(f"{ATOM}author/{ATOM}name") == "Lantern 1"
    content = entry.find(f"{ATOM}content")
    assert content is not None
    assert content.get("type") == "html"
    assert "<em>exact</em>" in (content.text or "")


def test_feed_without_entries_is_still_valid() -> None:
    """An empty Atom feed carries the time it was asked for."""
    feed = ET.fromstring(atom("https://x.example", "T", [], "2026-01-01T00:00:00Z"))
    assert feed.findtext(f"{ATOM}updated") == "2026-01-01T00:00:00Z"


def test_feed_escapes_markup() -> None:
    """Titles with markup stay text."""
    entry = FeedEntry("s", "<b>&</b>", "A", "2026-01-01T00:00:00Z", "s", "<p>x</p>")
    feed = ET.fromstring(atom("https://x.example", "T", [entry], ""))
    assert feed.findtext(f"{ATOM}entry/{ATOM}title") == "<b>&</b>"


def test_json_feed(client: TestClient) -> None:
    """The JSON Feed has version 1.1's required fields."""
    response = client.get("/essays/feed.json")
    assert response.headers["content-type"] == "application/feed+json"
    feed = json.loads(response.content)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == "https://register.example/essays/feed.json"
    (item,) = feed["items"]
    assert item["id"] == f"https://register.example{ADDRESS}"
    assert item["authors"] == [{"name": "Lantern 1"}]
    assert item["date_published"] == "2026-11-04T16:00:00Z"
    assert "<em>exact</em>" in item["content_html"]
