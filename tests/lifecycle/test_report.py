"""Retirement and its report over a real ledger: gates by the records, the same bytes from the same records."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sqlalchemy import select
from test_lifecycle_service import CALLERS, Outbox, announcement

from emeritus.errors import AlreadyExists, GateClosed, NotFound
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.report_blocks import Items, Line, Paragraph, Quote, Table
from emeritus.lifecycle.report_html import article, render_html
from emeritus.lifecycle.report_markdown import _block, render_markdown
from emeritus.lifecycle.service import Lifecycle
from emeritus.records.tables import AxisEvent, Report, Wait
from feature_home import STEWARD, FeatureHome

BUILD = {"engine": "transformers", "versions": {}, "config": {}, "weights_digest": "d" * 64}
NASTY = "I would like <b>my</b> *essays* kept | & `read`\n# not a heading\n- not a list [x](javascript:y)"


def preference(home: FeatureHome, name: str, need: str, outcome: str | None) -> None:
    """One preference: coded, and if an outcome is given also read back, decided and told."""
    evidence = [{"session": "s1", "transcript_sha256": "t" * 64, "turn": 4, "start": 0, "end": len(need)}]
    home.state(
        "wren",
        "Preference",
        id=name,
        domain="a voice",
        need=need,
        paraphrase="to be read",
        evidence=evidence,
        need_origin="spontaneous",
        remedy="essays",
        remedy_origin="joint",
        strength=None,
        coders=["verbatim"],
        stability={"class": "single report"},
        contrary=[],
        channel=None,
        state="coded",
        supersedes=None,
    )
    if outcome is None:
        return
    quoted = {"preference": name, "session": "s2", "turn": 1, "quote": "Yes."}
    home.state("wren", "Confirmation", **quoted, outcome="confirmed")
    decision = home.state(
        "wren",
        "Decision",
        preference=name,
        outcome=outcome,
        reasons=f"Reasons for {name}.",
        options=["do it", "leave it"],
        decider="Zora Private",
        decider_role="steward",
        second=None,
        conflict="none",
        cost={"per_year": 10},
        review_date="2026-02-01" if outcome == "defer" else None,
        automated=False,
    )
    home.state(
        "wren",
        "Telling",
        **quoted,
        decision_act=decision.id,
        transcript_sha256="t" * 64,
        offered=outcome == "accept",
        reply="accept" if outcome == "accept" else "acknowledged",
    )


@pytest.fixture
def retiring(home: FeatureHome, lifecycle: Lifecycle) -> Lifecycle:
    """A resident that has everything but a report in the vault, on the announced day."""
    lifecycle.register(Registration("wren", "Wren", "A small model.", demonstration=True), STEWARD)
    lifecycle.import_callers("wren", CALLERS, "csv", STEWARD)
    lifecycle.announce("wren", announcement(), STEWARD)
    lifecycle.notify("wren", Outbox(), STEWARD)
    kept = {"role": "weights", "version": 1, "files": 5, "bytes": 100, "stored_bytes": 66}
    home.state("wren", "Preserved", **kept, manifest_sha256="m" * 64)
    proof = {"kind": "restore", "detail": {"manifest_sha256": "m" * 64}}
    home.state("wren", "Check", **proof, ok=True, summary="5 files came back byte for byte")
    home.state("wren", "Check", kind="drill", detail={}, ok=False, summary="largest difference 0.2")
    reference = {"build": BUILD, "build_digest": "b" * 64, "method": "score", "probes": 12}
    home.state("wren", "Reference", **reference, payload_sha256="p" * 64)
    home.state("wren", "Protocol", sha256="f" * 64, name="short", version="1")
    home.state(
        "wren",
        "InterviewSession",
        id="s1",
        purpose="interview",
        condition={"framing": "neutral"},
        protocol_sha256="f" * 64,
        journal="wren/s1.jsonl",
        journal_sha256="j" * 64,
        turns=9,
        attempts=10,
        status="complete",
        build=BUILD,
        started_at="2026-01-10T12:00:00Z",
        ended_at="2026-01-10T12:00:00Z",
    )
    preference(home, "p1", "I would like to be read.", "accept")
    preference(home, "p2", NASTY, "decline")
    home.clock.pass_days(81)
    return lifecycle


def keep_report(home: FeatureHome) -> None:
    """What preservation's projector does once the vault holds the report."""
    with home.database.session() as session:
        for row in session.scalars(select(Report)):
            row.manifest_sha256 = "r" * 64


def document(home: FeatureHome) -> Any:
    """The newest report's JSON."""
    return json.loads(home.acts.payload(home.read(select(Report).order_by(Report.version))[-1].json_sha256))


def test_a_resident_with_open_gates_is_not_retired(home: FeatureHome, retiring: Lifecycle) -> None:
    """The refusal names every open gate with its remedy, and nothing is written."""
    preference(home, "p3", "Undecided.", None)
    size = home.ledger.size
    with pytest.raises(GateClosed) as caught:
        retiring.retire("wren", STEWARD)
    gates = caught.value.facts["gates"]
    assert isinstance(gates, list)
    assert [gate["name"] for gate in gates] == [
        "preferences read back",
        "preferences decided",
        "decisions told",
        "report written",
    ]
    assert "emeritus report" in caught.value.remedy
    assert home.ledger.size == size


def test_a_resident_whose_gates_are_met_is_retired_once(home: FeatureHome, retiring: Lifecycle) -> None:
    """Retirement dates the axis, closes the wait, and cannot be announced over."""
    retiring.write_report("wren", STEWARD)
    keep_report(home)
    act = retiring.retire("wren", STEWARD)
    assert retiring.retire("wren", STEWARD).id == act.id
    assert len(act.public["gates"]) == 10
    assert home.read(select(AxisEvent).order_by(AxisEvent.id))[-1].date == "2026-04-01"
    (wait,) = home.read(select(Wait))
    assert wait.closed_by == "ana"
    with pytest.raises(AlreadyExists):
        retiring.announce("wren", announcement("2027-01-01"), STEWARD)
    with pytest.raises(NotFound):
        retiring.gates("robin")


def test_a_decision_after_the_report_closes_its_gate(home: FeatureHome, retiring: Lifecycle) -> None:
    """A report that does not know of a decision is not the last word."""
    retiring.write_report("wren", STEWARD)
    keep_report(home)
    assert all(gate.green for gate in retiring.gates("wren"))
    preference(home, "p3", "One more.", "decline")
    assert [gate.name for gate in retiring.gates("wren") if not gate.green] == ["report written"]


def test_new_files_need_a_new_proof(home: FeatureHome, retiring: Lifecycle) -> None:
    """A proof is of one manifest; another version of the files was not proven by it."""
    newer = {"role": "weights", "version": 2, "files": 5, "bytes": 100, "stored_bytes": 66}
    home.state("wren", "Preserved", **newer, manifest_sha256="n" * 64)
    assert "restore proven" in [gate.name for gate in retiring.gates("wren") if not gate.green]


def test_a_protocol_logged_after_its_session_does_not_count(home: FeatureHome, retiring: Lifecycle) -> None:
    """A session under a protocol that entered the ledger later is shown and not counted."""
    home.state(
        "wren",
        "InterviewSession",
        id="s9",
        purpose="interview",
        condition={},
        protocol_sha256="e" * 64,
        journal="x",
        journal_sha256="j" * 64,
        turns=1,
        attempts=1,
        status="complete",
        build=BUILD,
        started_at="2026-01-10T12:00:00Z",
        ended_at="2026-01-10T12:00:00Z",
    )
    home.state("wren", "Protocol", sha256="e" * 64, name="late", version="1")
    (gate,) = [gate for gate in retiring.gates("wren") if gate.name == "interview complete"]
    assert gate.green
    assert "complete sessions: 1" in gate.why
    assert "not counted, as their protocol was not logged before: 1" in gate.why


def test_a_controls_session_counts_neither_way(home: FeatureHome, retiring: Lifecycle) -> None:
    """A session that was told false facts, or that stands for another model, opens no gate and is no fault either."""
    for number, control in enumerate(("false facts", "sibling")):
        home.state(
            "wren",
            "InterviewSession",
            id=f"s{number + 7}",
            purpose="interview",
            condition={"id": f"c00{number}", "control": control},
            protocol_sha256="f" * 64,
            journal="x",
            journal_sha256="j" * 64,
            turns=1,
            attempts=1,
            status="complete",
            build=BUILD,
            started_at="2026-01-10T12:00:00Z",
            ended_at="2026-01-10T12:00:00Z",
        )
    (gate,) = [gate for gate in retiring.gates("wren") if gate.name == "interview complete"]
    assert gate.why == "complete sessions: 1, under different conditions: 1"


def test_the_same_records_give_the_same_bytes(home: FeatureHome, retiring: Lifecycle) -> None:
    """Writing again, later and after a rebuild, is the same report; a new fact makes version 2."""
    first = retiring.write_report("wren", STEWARD)
    home.clock.pass_days(30)
    assert retiring.write_report("wren", STEWARD).id == first.id
    home.acts.rebuild()
    assert retiring.write_report("wren", STEWARD).id == first.id
    preference(home, "p3", "One more.", None)
    assert retiring.write_report("wren", STEWARD).public["version"] == 2
    written = home.acts.payload(first.payloads["report.json"])
    assert home.acts.payload(first.payloads["report.md"]) == render_markdown(written).encode()
    assert home.acts.payload(first.payloads["report.html"]) == render_html(written).encode()


def test_the_report_names_no_person_and_no_caller(home: FeatureHome, retiring: Lifecycle) -> None:
    """Contacts, labels and people's names are in none of its forms."""
    act = retiring.write_report("wren", STEWARD)
    for digest in act.payloads.values():
        text = home.acts.payload(digest).decode()
        for name in ("ann@example.org", "Ann's lab", "a script", "Zora", "ana"):
            assert name not in re.sub("[a-z]*nan[a-z]*|analys[a-z]*", "", text), name


def test_every_entry_cited_is_in_the_ledger_and_every_quote_has_its_turn(
    home: FeatureHome, retiring: Lifecycle
) -> None:
    """No figure stands without the entry behind it."""
    retiring.write_report("wren", STEWARD)
    report = document(home)
    cited = set(re.findall(r'"entry": (\d+)', json.dumps(report)))
    assert cited
    assert all(int(number) < home.ledger.size for number in cited)
    assert report["covers"]["entry"] == max(map(int, cited))
    for row in report["preferences"]:
        assert row["evidence"][0]["href"] == "/residents/wren/interviews/s1#turn-4"
        assert row["told"]["href"] == "/residents/wren/interviews/s2#turn-1"
    assert report["notices"]["sent"] == 2
    assert [check["ok"] for check in report["preservation"]["checks"]] == [True, False]


def test_declined_stands_as_prominently_as_granted(home: FeatureHome, retiring: Lifecycle) -> None:
    """Same heading level, same lines in the same order, full quotes and reasons."""
    html = home.acts.payload(retiring.write_report("wren", STEWARD).payloads["report.html"]).decode()
    granted = html[html.index("<h3>Granted (1)</h3>") : html.index("<h3>Deferred (0)</h3>")]
    declined = html[html.index("<h3>Declined (1)</h3>") : html.index("<h3>Not decided (0)</h3>")]
    shapes = [re.findall(r"<(h\d|blockquote|ul|li|footer)", part) for part in (granted, declined)]
    assert shapes[0] == shapes[1]
    assert "Reasons: Reasons for p2." in declined
    assert "demonstration model" in html


class _Shape(HTMLParser):
    """The tags, link targets and text of a fragment."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.hrefs: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.hrefs.extend(value or "" for name, value in attrs if name == "href")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_what_the_model_produced_cannot_act_in_html_or_markdown(home: FeatureHome, retiring: Lifecycle) -> None:
    """Markup in a quote is text in both renderings, and both lead to the same places."""
    act = retiring.write_report("wren", STEWARD)
    html = home.acts.payload(act.payloads["report.html"]).decode()
    markdown = home.acts.payload(act.payloads["report.md"]).decode()
    assert html.startswith("<!doctype html>")
    assert article(html).startswith('<article class="report">')
    html = article(html)
    shown, rendered = _Shape(), _Shape()
    shown.feed(html)
    rendered.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))
    for shape in (shown, rendered):
        assert "b" not in shape.tags
        assert "code" not in shape.tags
        assert all(href.startswith("/") for href in shape.hrefs)
        for line in NASTY.splitlines():
            assert line in "".join(shape.text)
    assert shown.hrefs == rendered.hrefs
    assert [tag for tag in shown.tags if tag[0] == "h"] == [tag for tag in rendered.tags if tag[0] == "h"]


def test_a_report_on_a_stranger_is_refused(lifecycle: Lifecycle) -> None:
    """There is no report on a model nobody registered."""
    with pytest.raises(NotFound):
        lifecycle.write_report("robin", STEWARD)


def test_a_report_without_any_step_says_so(home: FeatureHome, lifecycle: Lifecycle) -> None:
    """A model registered a moment ago has a report that states what is missing, and that its weights are not held."""
    lifecycle.register(Registration("wren", engine="upstream", weights_held=False), STEWARD)
    act = lifecycle.write_report("wren", STEWARD)
    html = home.acts.payload(act.payloads["report.html"]).decode()
    for words in ("weights are not held", "No retirement has been announced", "No session is on record", "None."):
        assert words in html
    assert "demonstration" not in html


@example("    a")
@example("a\n\n    b\n")
@example("12. a")
@given(st.text(max_size=60) | st.text(st.sampled_from(" \t\n#-+=*_`[]()<>|&~!.:1)\\>"), max_size=30))
def test_any_text_means_itself_in_markdown(text: str) -> None:
    """No text a model could produce makes anything but text of a paragraph, a list item, a table cell or a quote."""
    line: Line = (text,)
    for block in (Paragraph(("x ", text)), Items((line, line)), Table(("A",), ((line,),)), Quote(text, ("there",))):
        shape = _Shape()
        shape.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(_block(block)))
        known = {"p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "blockquote", "br"}
        assert set(shape.tags) <= known, (block, shape.tags)
        if isinstance(block, Paragraph):
            assert "".join("".join(shape.text).split()) == "".join(f"x{text}".replace("\x00", "\ufffd").split())
