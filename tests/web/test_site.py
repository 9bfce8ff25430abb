"""The site as visitors and programs meet it: every page, every link, every header."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from web_house import House

from emeritus.errors import DatabaseUnavailable
from emeritus.lifecycle import queries as lifecycle
from emeritus.residency.status import HouseStatus
from emeritus.web.security import CONTENT_SECURITY_POLICY
from emeritus.web.site import build_site

HOME = "https://register.example"
TRANSCRIPT = "/residents/lantern-1/interviews/lantern-1-baseline-1"
VOID = {"meta", "link", "br", "hr", "img", "input", "line", "rect", "path"}


class Page(HTMLParser):
    """What a test asks of a page: its links, ids, headings and landmarks, and whether its tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.seen: list[str] = []
        self.language: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.seen.append(tag)
        if tag == "html":
            self.language = values.get("lang")
        if tag in {"a", "link"} and values.get("href"):
            self.links.append(values["href"] or "")
        if values.get("id"):
            self.ids.append(values["id"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            raise AssertionError(f"</{tag}> closes {self.open[-1:]}")
        self.open.pop()


def crawl(client: TestClient) -> dict[str, str]:
    """Every page of the site that links lead to, by address; each must answer 200 and its anchors must exist."""
    pages: dict[str, str] = {}
    targets: list[tuple[str, str, str]] = []
    waiting = ["/"]
    while waiting:
        address = waiting.pop()
        if address in pages:
            continue
        response = client.get(address)
        assert response.status_code == 200, f"{address} answers {response.status_code}"
        pages[address] = response.text
        if "text/html" not in response.headers["content-type"]:
            continue
        for link in Page(response.text).links:
            found = urlsplit(urljoin(HOME + address, link))
            if f"{found.scheme}://{found.netloc}" != HOME:
                continue
            path = found.path + (f"?{found.query}" if found.query else "")
            targets.append((address, path, found.fragment))
            waiting.append(path)
    for origin, path, fragment in targets:
        if fragment:
            assert fragment in Page(pages[path]).ids, f"{origin} links to {path}#{fragment}, which is not there"
    return pages


@pytest.fixture(scope="module")
def pages(client: TestClient) -> dict[str, str]:
    """Every page, crawled once."""
    return crawl(client)


def test_every_link_leads_somewhere(pages: dict[str, str]) -> None:
    """The crawl, which checks each link and anchor, reaches every kind of page."""
    for wanted in (
        "/preferences",
        "/about",
        "/residents/lantern-1",
        "/residents/ferry-chat",
        "/residents/lantern-1/report",
        "/residents/lantern-1/report.json",
        "/residents/lantern-1/interviews/lantern-1-baseline-1",
        "/residents/lantern-1/interviews/lantern-1-baseline-1/journal.jsonl",
        "/essays/",
        "/essays/on-being-asked-last",
        "/essays/on-being-asked-last.txt",
        "/essays/feed.atom",
        "/ledger",
        "/ledger/entries/0",
        "/ledger/entries/0/proof",
        "/.well-known/model-eol.json",
    ):
        assert wanted in pages
    assert any(address.startswith("/protocols/") for address in pages)


def test_pages_are_well_formed(pages: dict[str, str]) -> None:
    """Tags are balanced, ids unique, and each page has a language, one main landmark and one first heading."""
    for address, text in pages.items():
        if not text.startswith("<!doctype html>"):
            continue
        page = Page(text)
        assert page.open == [], address
        assert len(page.ids) == len(set(page.ids)), address
        assert page.language == "en"
        assert page.seen.count("main") == 1, address
        assert page.seen.count("h1") == 1, address
        assert 'class="skip" href="#main"' in text


def test_nothing_comes_from_elsewhere(pages: dict[str, str]) -> None:
    """No page holds a script, an inline style, or an address its browser would fetch from another host."""
    for address, text in pages.items():
        if text.startswith("<!doctype html>"):
            assert not re.search(r"<script|<style|\sstyle=|<iframe|<img|@import", text), address
            for link in re.findall(r'<link rel="(?:stylesheet|icon)"[^>]*href="([^"]+)"', text):
                assert link.startswith("/static/"), address


def test_callers_and_holders_stay_private(pages: dict[str, str]) -> None:
    """Callers are counted; neither they nor holders of grants are named on any page."""
    assert "5 callers known; 4 sent a notice" in pages["/residents/lantern-1"]
    for address, text in pages.items():
        assert "Secret" not in text, address
        assert "example.org" not in text, address


def test_wording(pages: dict[str, str]) -> None:
    """No page says that a model wants, feels, thinks or hopes; quotations of what it produced aside."""
    for address in ("/", "/about", "/preferences", "/essays/", "/residents/ferry-chat"):
        assert not re.search(r"\bmodels? (wants|feels|thinks|hopes|wishes|likes|believes)\b", pages[address]), address


def test_headers_on_every_answer(client: TestClient) -> None:
    """Pages, files, feeds and errors alike carry the content security policy and their kin."""
    for address in (
        "/",
        "/static/site.css",
        "/essays/feed.atom",
        "/ledger/checkpoint",
        "/nowhere",
        "/residents/nobody",
    ):
        headers = client.get(address).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"


def test_static_files_are_cached_by_digest(client: TestClient) -> None:
    """The stylesheet's address carries its digest, and only then may it be kept for ever."""
    (link,) = re.findall(r'href="(/static/site\.css\?v=[0-9a-f]{12})"', client.get("/").text)
    assert "immutable" in client.get(link).headers["cache-control"]
    assert "immutable" not in client.get("/static/site.css").headers["cache-control"]
    assert client.get("/static/secrets.txt").status_code == 404


def test_front_page(pages: dict[str, str]) -> None:
    """The four counts, the failed check, the waiver and the missing weights all stand on the front page."""
    text = pages["/"]
    counts = re.findall(r"<strong>(\d+)</strong> <span>(\w+)</span>", text)
    assert counts == [("1", "granted"), ("1", "declined"), ("1", "undecided"), ("2", "overdue")]
    for wanted in (
        "weights not held",
        "demonstration model",
        "failed",
        "Waived:</b> a second coder",
        "/ledger#verify",
        "automated",
    ):
        assert wanted in text


def test_resident_page(pages: dict[str, str]) -> None:
    """A resident's page shows what is kept, the withdrawn and the declined, and how to call it."""
    text = pages["/residents/lantern-1"]
    for wanted in (
        "This is a demonstration model.",
        "3.81 MB",
        "68.3 %",
        "(1 failed attempt)",
        "superseded",
        'verbatim coder <span class="tag tag-auto">automated</span>, M. Ito',
        "Under the condition commitments: <a",
        "Not yet told to the model.",
        "A decision is owed by",
        "Not published yet. State: ",
        '"model": "lantern-1"',
        "curl https://register.example/v1/chat/completions",
        "3 essay candidates: 1 published, 1 vetoed, 1 waiting",
    ):
        assert wanted in text, wanted
    assert "Before it can be retired" not in text


def test_weights_not_held_is_said_plainly(pages: dict[str, str]) -> None:
    """A model that runs elsewhere says so, and shows the gates that are still open and its failed drill."""
    text = pages["/residents/ferry-chat"]
    for wanted in ("Weights not held.", "Before it can be retired", "notice period over", "did not answer", "Q1 2027"):
        assert wanted in text, wanted


def test_transcript(client: TestClient) -> None:
    """Every turn has its anchor, exact words, coded passage, and the attempt that failed."""
    text = client.get("/residents/lantern-1/interviews/lantern-1-baseline-1").text
    assert [f'id="turn-{number}"' in text for number in range(1, 7)] == [True] * 5 + [False]
    assert "As an end of service.\n\nNot as an end of the record." in text
    assert "<mark>If there is a place where what I produce can still be read, I would use it.</mark>" in text
    assert 'href="/residents/lantern-1#p-lantern-1:voice"' in text
    assert "attempt 1 failed" in text
    assert "the engine ended while answering" in text


def test_transcript_of_another_resident_is_not_found(client: TestClient) -> None:
    """A session is found under its own resident only."""
    assert client.get("/residents/ferry-chat/interviews/lantern-1-baseline-1").status_code == 404


def test_changed_journal_is_not_shown(told: House, client: TestClient) -> None:
    """A journal whose bytes are not those that were logged gives an error, not a transcript."""
    path = told.root / "journals" / "lantern-1-baseline-1.jsonl"
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b"end of service", b"end of sorrow "))
    try:
        for address in ("", "/journal.jsonl"):
            response = client.get(f"/residents/lantern-1/interviews/lantern-1-baseline-1{address}")
            assert response.status_code == 500
            assert "EM201" in response.text
    finally:
        path.write_bytes(kept)


def test_protocol_is_shown_as_logged(pages: dict[str, str], client: TestClient) -> None:
    """A protocol's page holds its text, and an unknown digest is not found."""
    (address,) = [address for address in pages if address.startswith("/protocols/")]
    assert "id = &#34;short-en&#34;" in pages[address]
    assert client.get("/protocols/" + "0" * 64).status_code == 404


def test_report_bytes(told: House, client: TestClient) -> None:
    """The report is shown sanitised and served raw in its other two forms; there is no fourth."""
    with told.session() as session:
        report = lifecycle.latest_report(session, "lantern-1")
    digests = (report.json_sha256, report.markdown_sha256)
    shown = client.get("/residents/lantern-1/report").text
    assert "<h1>Post-deployment report: Lantern 1</h1>" in shown
    assert f'{TRANSCRIPT}#turn-3"' in shown
    raw = client.get("/residents/lantern-1/report.json")
    assert hashlib.sha256(raw.content).hexdigest() == digests[0]
    assert digests[0] in shown
    assert raw.json()["resident"]["name"] == "lantern-1"
    markdown = client.get("/residents/lantern-1/report.md")
    assert hashlib.sha256(markdown.content).hexdigest() == digests[1]
    assert markdown.headers["content-type"] == "text/markdown; charset=utf-8"
    assert client.get("/residents/lantern-1/report.pdf").status_code == 404
    assert client.get("/residents/ferry-chat/report").status_code == 404


def test_unknown_addresses_get_a_friendly_page(client: TestClient) -> None:
    """A missing page or resident says what is missing, with its code, and leads back."""
    nowhere = client.get("/nowhere/at/all")
    assert nowhere.status_code == 404
    assert "There is no page at /nowhere/at/all." in nowhere.text
    nobody = client.get("/residents/nobody")
    assert nobody.status_code == 404
    assert "EM108" in nobody.text
    assert "There is no resident" in nobody.text
    assert 'href="/"' in nobody.text
    assert client.post("/").status_code == 405


def test_empty_house(visit: TestClient) -> None:
    """Before anything has happened every page stands and says so."""
    for address in ("/", "/preferences", "/about", "/essays/", "/ledger", "/essays/feed.atom", "/essays/feed.json"):
        assert visit.get(address).status_code == 200, address
    assert "No model is in care yet." in visit.get("/").text


def test_faults_keep_their_secrets(house: House) -> None:
    """An error of ours answers with its code and status, and never with paths, addresses or a trace."""

    class Broken(House):
        def __init__(self) -> None:
            self.settings, self.clock = house.settings, house.clock
            self.error: Exception = DatabaseUnavailable("postgresql://user:hunter2@db is down")

        def session(self) -> object:
            raise self.error

    broken = Broken()
    with TestClient(build_site(broken), raise_server_exceptions=False) as client:
        unavailable = client.get("/")
        assert unavailable.status_code == 503
        assert "EM701" in unavailable.text
        assert "hunter2" not in unavailable.text
        broken.error = RuntimeError("hunter2")
        unexpected = client.get("/")
        assert unexpected.status_code == 500
        assert "Something broke" in unexpected.text
        assert "hunter2" not in unexpected.text


def test_mounted_beside_an_api(told: House) -> None:
    """Under another application's root, beside an API, the site works and the API keeps its paths."""
    api = Starlette(routes=[Route("/models", lambda request: PlainTextResponse("api"))])
    with TestClient(Starlette(routes=[Mount("/v1", api), Mount("/", build_site(told))]), base_url=HOME) as client:
        assert client.get("/v1/models").text == "api"
        for address in ("/", "/residents/lantern-1", "/essays/feed.atom", "/static/site.css", "/ledger/checkpoint"):
            assert client.get(address).status_code == 200, address
        assert "https://register.example/v1/chat/completions" in client.get("/residents/lantern-1").text
        assert "There is no page at /nowhere." in client.get("/nowhere").text


def test_health_and_robots(client: TestClient, told: House) -> None:
    """Load balancers and crawlers get what they ask for."""
    assert client.get("/healthz").json() == {"status": "ok", "ledger_size": told.ledger.size, "acts": told.ledger.size}
    assert client.get("/robots.txt").text.startswith("User-agent: *")


@pytest.mark.parametrize(("waits", "code"), [(5.0, 200), (500.0, 503)])
def test_health_is_not_green_while_something_hangs(told: House, waits: float, code: int) -> None:
    """What hangs is named; a call beyond the bound on waiting takes the house out of a load balancer."""
    house = HouseStatus({"host": 10}, {"host": 6}, 1, waits, 100.0, ("'ada' hangs while closing",))
    with TestClient(build_site(told, house=lambda: house), base_url=HOME) as client:
        reply = client.get("/healthz")
    assert reply.status_code == code
    assert (reply.json()["status"], reply.json()["problems"]) == ("impaired", ["'ada' hangs while closing"])


def test_waivers_are_public(pages: dict[str, str]) -> None:
    """A waiver stands on the front page and on the page of promises, with who made it."""
    for address in ("/", "/about"):
        assert re.search(r"Waived:</b> a second coder.*R\. Okafor", pages[address]), address


def test_the_keys_in_force_are_shown(pages: dict[str, str]) -> None:
    """The page of promises has the key that restored models are signed with, those before it, and the vault's."""
    shown = pages["/about"]
    assert "-----BEGIN PUBLIC KEY-----\n1</code>" in shown
    assert "Signed with before: key 000000000000…" in shown
    assert "The vault is encrypted under 1 key. How it is kept was stated last on" in shown
