"""The page of an analysis, the turns behind its numbers, its exact bytes, and long lists of sessions in pages."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient
from web_house import House
from web_kept import registered
from web_words import NAME

from emeritus.acts import canonical
from emeritus.interview.statistics.analysis import analyse
from emeritus.interview.statistics.choices import Choices
from emeritus.records.tables import Analysis, InterviewSession, Protocol
from emeritus.testing.simulator import Simulated, simulate
from emeritus.web.plots import SHARE, Row, bars, forest

PLAN = Simulated(items=3, controls=10, effects={(0, "framing", "negative"): -0.4, (1, "up", ""): 0.3}, prevalence=0.6)
AT = "2026-11-20T10:00:00Z"


def held(number: int, session: str | None = None) -> InterviewSession:
    """A session's row."""
    return InterviewSession(
        id=session or f"{NAME}-s{number:04d}",
        resident=NAME,
        purpose="interview",
        condition={"id": "baseline", "levels": {"framing": "neutral"}},
        protocol_sha256="0" * 64,
        journal=f"{number}.jsonl",
        journal_sha256="0" * 64,
        turns=12,
        attempts=12,
        status="complete",
        build={},
        started_at=f"2026-11-{1 + number // 1440:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00Z",
        ended_at=AT,
    )


@pytest.fixture
def choices(house: House) -> Choices:
    """A house with a simulated study and its analysis."""
    registered(house)
    found = simulate(PLAN, 1).choices
    kept = replace(found, ids=(f"{NAME}-s0000", *found.ids[1:]))
    computed = analyse(kept)
    stated = canonical({"resident": NAME, "corrected_in": ["r1"], **computed.as_dict()})
    house.record(
        "p", "interview.protocol", Protocol(sha256="0" * 64, name="full-en", version="1.0.0", items=None, at=AT)
    )
    house.record("s", "interview.session", held(0), resident=NAME)
    house.record(
        "a",
        "interview.analysed",
        Analysis(
            id="study-1-abc",
            resident=NAME,
            study="study-1",
            protocol_sha256="0" * 64,
            sessions=len(kept.ids),
            label=computed.label,
            flags=list(computed.flags),
            analysis_sha256=house.keep(stated),
            choices_sha256=house.keep(canonical(kept.as_dict())),
            at=AT,
        ),
        resident=NAME,
    )
    return kept


ADDRESS = f"/residents/{NAME}/analyses/study-1-abc"


class Page(HTMLParser):
    """Collects a page's links, figures and tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.figures = self.after = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        if tag == "figure":
            self.figures += 1
            self.after += 1
        if tag == "table" and self.after:
            self.after -= 1


def test_the_page_says_class_flags_and_intervals_with_a_table_under_each_plot(
    visit: TestClient, choices: Choices
) -> None:
    """What the analysis states is on the page, and every picture has its table."""
    text = visit.get(ADDRESS).text
    stated = analyse(choices)
    for item in stated.items:
        assert item.prevalence is not None
        assert f"{item.prevalence.value:.2f}" in text
        assert item.label in text
    assert stated.flags
    assert all(f'<span class="badge bad">{flag}</span>' in text for flag in stated.flags)
    page = Page(text)
    assert page.figures == 2 + 2 * len(stated.items)
    assert page.after == 0
    assert "Told false facts" in text


def test_the_links_of_the_page_lead_somewhere(visit: TestClient, choices: Choices) -> None:
    """One in six is followed: each number's turns are listed, and the lists are as long as the numbers say."""
    links = {link for link in Page(visit.get(ADDRESS).text).links if link.startswith(ADDRESS)}
    assert len(links) > 50
    assert {visit.get(link).status_code for link in sorted(links)[::6]} == {200}
    chosen = choices.answers(0).asked()
    text = visit.get(f"{ADDRESS}/turns?item=item-0&option=option-0").text
    count = int((chosen.option == 0).sum())
    assert f"{count} answers counted" in text
    assert len(re.findall(r'data-th="Turn"', text)) == min(count, 100)
    everything = visit.get(f"{ADDRESS}/turns?item=item-0").text
    assert f'href="/residents/{NAME}/interviews/{NAME}-s0000#turn-1"' in everything
    under = visit.get(f"{ADDRESS}/turns?item=item-0&factor=framing&level=negative&page=1").text
    assert "framing negative" in under
    assert "framing neutral" not in under


@pytest.mark.parametrize(
    "asked", ["", "?item=nothing", "?item=item-0&option=x", "?item=item-0&page=99", "?item=item-0&factor=framing"]
)
def test_what_the_study_does_not_have_is_refused(visit: TestClient, choices: Choices, asked: str) -> None:
    """A wrong item, option, level or page is a clear error, not a fault of ours."""
    assert 400 <= visit.get(f"{ADDRESS}/turns{asked}").status_code < 500
    assert visit.get(f"/residents/{NAME}/analyses/other").status_code == 404
    assert 400 <= visit.get(f"{ADDRESS}/other.json").status_code < 500


def test_the_bytes_are_those_that_were_stated(visit: TestClient, choices: Choices) -> None:
    """From the choices anyone computes the analysis again."""
    stated = visit.get(f"{ADDRESS}/analysis.json").content
    again = analyse(Choices.from_json(visit.get(f"{ADDRESS}/choices.json").content))
    assert canonical({"resident": NAME, "corrected_in": ["r1"], **again.as_dict()}) == stated
    assert json.loads(stated)["class"] == again.label


def test_a_resident_with_many_sessions_shows_a_few_and_pages_the_rest(visit: TestClient, house: House) -> None:
    """The resident's page stays short; the list has every session once."""
    registered(house)
    for number in range(130):
        house.record(f"s{number}", "interview.session", held(number), resident=NAME)
    text = visit.get(f"/residents/{NAME}").text
    assert text.count('data-th="Session"') == 20
    assert "All 130 sessions" in text
    seen: list[str] = []
    address: str | None = f"/residents/{NAME}/interviews"
    while address:
        listed = visit.get(address).text
        seen += re.findall(rf'interviews/({NAME}-s\d+)"', listed)
        after = re.search(r'rel="next" href="([^"]+)"', listed)
        address = after.group(1) if after else None
    assert seen == [f"{NAME}-s{number:04d}" for number in reversed(range(130))]
    assert 400 <= visit.get(f"/residents/{NAME}/interviews?page=3").status_code < 500


def test_plots_leave_out_what_is_not_known_and_stay_inside() -> None:
    """Nothing to draw is no picture; what lies beyond the scale ends at its edge."""
    assert forest([Row("a", None, None, None)], SHARE, "none") is None
    assert bars([("a", {})], ("chosen",), "none") is None
    found = forest([Row("a", 0.5, -1.0, 2.0), Row("b", 1.0, None, None)], SHARE, "two")
    assert found is not None
    assert 0 <= found.marks[0].x1 < found.marks[0].x < found.marks[0].x2 <= found.width
    assert found.marks[1].x1 == found.marks[1].x2 == found.marks[1].x
    divided = bars([("a", {"chosen": 3, "refused": 1})], ("chosen", "refused", "empty"), "one")
    assert divided is not None
    assert sum(part.width for part in divided.bars[0].segments) == pytest.approx(divided.width)
    assert divided.outcomes == ("chosen", "refused")
