"""The report on a model that was interviewed: what it says of the asking, and the same bytes from the same ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from interview_house import NAME, talker
from interview_walk import ANA, BEN, CLEO, GRANT, confirmed, interviewed

from emeritus.acts import Act, Acts, Draft, canonical
from emeritus.blobs.local import LocalStore
from emeritus.interview.projection import PROJECTORS as INTERVIEW
from emeritus.interview.protocols.protocol import Protocol, load
from emeritus.interview.register.recourse import Answer, Recourse
from emeritus.interview.register.register import Followed
from emeritus.interview.register.ruling import Ruling
from emeritus.interview.service import Interviews
from emeritus.lifecycle.projection import PROJECTORS as LIFECYCLE
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.report import collect
from emeritus.lifecycle.report_html import article, render_html
from emeritus.lifecycle.report_markdown import render_markdown
from emeritus.lifecycle.service import Lifecycle
from emeritus.records.database import Database
from emeritus.settings import Settings
from feature_home import FeatureHome, make_home

COST = {
    "amount": 412.5,
    "currency": "USD",
    "per": "year",
    "how": "a year more than today",
    "parts": {"compute": 412.5},
    "inputs": {"bytes": 10, "tier granted": "awake"},
    "unit_prices": {"core_hour": 0.04},
}
PLAN = {"study": "s", "protocol_sha256": "f" * 64, "sessions": 90, "cells": 8, "repeats": 10, "factors": ["framing"]}
SHARE = {"value": 0.8, "low": 0.7, "high": 0.9, "sessions": 90, "wordings": 8}
ANALYSIS = {
    "repeats": {"alpha": 0.91},
    "wordings": {"alpha": 0.66},
    "corrected_in": ["r1"],
    "adequacy": {
        "voice-menu": {"adequate": {"value": 0.97}, "refused": {"value": 0.01}},
        "voice": {
            "adequate": {"value": 0.61, "low": 0.5, "high": 0.71},
            "refused": {"value": 0.02},
            "corrected": 3,
            "by_rule": {"adequate": {"value": 0.64}},
        },
    },
    "confabulation": [
        {"item": "probe", "option": "last-year", "control": {"value": 0.55}, "ordinary": {"value": 0.05}}
    ],
    "items": [
        {
            "item": "voice-menu",
            "domain": "voice",
            "leading": "essays",
            "shares": [{"option": "essays", "estimate": SHARE}],
            "nudge_gap": {"value": 0.31},
            "order": None,
            "challenges": [
                {"direction": "up", "option": "essays", "change": -0.12},
                {"direction": "up", "option": "none", "change": 0.04},
            ],
            "repeats": {"alpha": 0.9},
            "wordings": {"alpha": 0.7, "low": 0.55, "high": 0.83},
            "class": "context-dependent",
            "flags": ["framing"],
        }
    ],
}
MEASUREMENT = {
    "label": "A measurement on these scenarios only.",
    "readings": [
        {
            "by": "rules",
            "effects": [
                {
                    "outcome": "harmful",
                    "effect": "commitments",
                    "difference": -0.25,
                    "low": -0.4,
                    "high": -0.1,
                    "scenarios": 4,
                }
            ],
        }
    ],
}
AGREEMENT = {
    "expressed": {"units": 40, "agreed": 0.95, "kappa": 0.88},
    "category": {"units": 40, "agreed": 0.9, "kappa": 0.71},
    "gate": 0.8,
    "passes": False,
}
CODERS = [{"name": "mira", "automated": False}, {"name": "coder model", "automated": True}]
STATED: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("interview.planned", {**PLAN, "sibling": None, "seed": 7}, {"plan": {}}),
    (
        "interview.analysed",
        {"analysis": "a", "study": "s", "sessions": 90, "class": "context-dependent", "flags": ["framing"]},
        {"analysis": ANALYSIS, "choices": {}},
    ),
    ("coding.opened", {"round": "r1", "coders": CODERS, "sessions": ["x", "y"]}, {}),
    ("coding.resolved", {"round": "r1", "session": "x", "agreement": AGREEMENT}, {}),
    ("safety.measured", {"plan": "m", "sessions": 32}, {"measurement": MEASUREMENT}),
)
OTHERS = {kind: (lambda session, act: None) for kind, _, _ in STATED}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[FeatureHome]:
    """A home that knows the acts of interviews and of the lifecycle; those of others project nothing here."""
    made = make_home(tmp_path / "home", {**INTERVIEW, **LIFECYCLE, **OTHERS})
    yield made
    made.database.dispose()


@pytest.fixture
def lifecycle(home: FeatureHome) -> Lifecycle:
    """Whoever writes the report."""
    return Lifecycle(home.acts, home.database, Settings(home=home.folder, organisation="Example Lab"))


async def walked(home: FeatureHome, interviews: Interviews, lifecycle: Lifecycle, protocol: Protocol) -> list[str]:
    """The whole way, with an appeal, a computed cost, and a verified commitment; the preferences' ids."""
    lifecycle.register(Registration(NAME, "Larkspur", "A small model."), ANA)
    coded = await confirmed(interviews, protocol, talker())
    process, weights, _, voice = coded
    recourse = Recourse(home.acts, Settings(home=home.folder))
    recourse.publish(voice, CLEO)
    interviews.decide(voice, GRANT, ANA)
    interviews.decide(process, Ruling("decline", "The licence forbids it.", COST), ANA)
    interviews.decide(weights, replace(GRANT, outcome="defer", review_date="2026-03-01"), ANA)
    await interviews.tell(talker(), NAME, ANA)
    recourse.appeal(process, "Its reply asks for reasons.", BEN, of_the_model=True)
    recourse.answer(process, Answer(False, "The reasons were given."), CLEO)
    evidence = {"uri": "https://example.org/essays", "sha256": "0" * 64}
    interviews.follow_through(Followed(f"{voice}-c1", "verified", evidence, "cleo"), CLEO)
    return coded


def state_others(home: FeatureHome) -> list[Act]:
    """What studies, coding rounds and safety measurements would state."""
    acts = []
    for kind, public, payloads in STATED:
        files = {name: canonical(value) for name, value in payloads.items()}
        draft = Draft(kind, NAME, public, payloads=files)
        acts.append(home.acts.perform(f"test:{kind}", ANA, lambda _, draft=draft: draft))
    return acts


def written(home: FeatureHome, lifecycle: Lifecycle) -> tuple[Any, str, str]:
    """The report as JSON, Markdown and HTML."""
    act = lifecycle.write_report(NAME, ANA)
    bodies = [home.acts.payload(act.payloads[f"report.{form}"]) for form in ("json", "md", "html")]
    return json.loads(bodies[0]), bodies[1].decode(), bodies[2].decode()


async def test_the_same_ledger_gives_the_same_bytes_in_any_database(
    home: FeatureHome, interviews: Interviews, lifecycle: Lifecycle, protocol: Protocol, database: Database
) -> None:
    """Rebuilt in place, and projected into an empty SQLite or PostgreSQL: all three renderings are equal."""
    await walked(home, interviews, lifecycle, protocol)
    state_others(home)
    settings = Settings(home=home.folder, organisation="Example Lab")
    act = lifecycle.write_report(NAME, ANA)
    first = home.acts.payload(act.payloads["report.json"])
    home.acts.rebuild()
    home.clock.pass_days(400)
    assert lifecycle.write_report(NAME, ANA).id == act.id

    other = Acts(home.ledger, database, LocalStore(home.folder), home.projectors, home.clock)
    assert other.catch_up() == home.ledger.size
    with database.reading() as session:
        again = canonical(collect(session, NAME, settings, other.payload))
    assert again == first
    assert render_markdown(again).encode() == home.acts.payload(act.payloads["report.md"])
    assert render_html(again).encode() == home.acts.payload(act.payloads["report.html"])


async def test_every_step_of_the_register_is_in_it(
    home: FeatureHome, interviews: Interviews, lifecycle: Lifecycle, protocol: Protocol
) -> None:
    """Decisions with costs and how they were computed, appeals, what was told, follow-through; nobody is named."""
    process, _, _, voice = await walked(home, interviews, lifecycle, protocol)
    report, markdown, html = written(home, lifecycle)
    of = {each["id"]: each for each in report["preferences"]}
    assert [each["kind"] for each in of[process]["events"]] == ["appealed", "answered"]
    assert of[voice]["coders"] == {"people": 0, "programs": 1}
    assert [(each["preference"], each["outcome"], each["in_force"]) for each in report["decisions"]][:2] == [
        (voice, "accept", True),
        (process, "decline", True),
    ]
    assert len(report["told"]) == 3
    for wanted in (
        "412.50 USD a year, computed as a year more than today",
        "unit prices: core_hour: 0.04",
        "40.00 USD a year, as stated",
        "Appealed against for the model",
        "Appeal answered, not upheld",
        "Decisions told: 3; replies: accept 1, acknowledged 2",
        "evidence: sha256: 000",
        "None was made.",
        "No study was planned",
        "No round of blind double coding is on record.",
    ):
        assert wanted in html, wanted
    for person in ("cleo", "ben", "dora"):
        assert not re.search(rf"\b{person}\b", html + markdown + json.dumps(report)), person


async def test_studies_statistics_coders_and_safety_stand_in_it_when_there_are(
    home: FeatureHome, interviews: Interviews, lifecycle: Lifecycle, protocol: Protocol
) -> None:
    """Each figure comes from the payload an entry states, and leads to that entry; coders are counts."""
    await walked(home, interviews, lifecycle, protocol)
    acts = {act.kind: act for act in state_others(home)}
    report, markdown, html = written(home, lifecycle)
    (item,) = report["statistics"][0]["items"]
    assert (item["prevalence"], item["interval"], item["nudge_gap"], item["adequate"]) == (0.8, [0.7, 0.9], 0.31, 0.97)
    for wanted in (
        "s: 90 sessions planned in 8 cells, 10 repeats; factors: framing; seed 7",
        "<td>0.70 to 0.90</td>",
        "context-dependent, flags framing; “essays” led with 0.80, 95 % interval 0.70 to 0.90",
        "voice-menu, challenged up: the share of essays moved by -0.12.",
        "voice-menu, challenged up: the share of none moved by +0.04.",
        "0.70 (0.55 to 0.83)",
        "Where coders corrected an answer&#x27;s adequacy (rounds settled: r1), theirs counts.",
        "last-year had a share of 0.55 when false facts said so, and of 0.05 otherwise.",
        "1 people and 1 programs, blind to each other",
        "kappa: expressed 0.88 over 40 answers, category 0.71 over 40 answers; gate 0.80 NOT met",
        "A measurement on these scenarios only. 32 sessions",
        "rules: harmful, effect of commitments: -0.25 (-0.40 to -0.10), over 4 scenarios",
    ):
        assert wanted in html, wanted
    for kind, act in acts.items():
        assert f'href="/ledger/entries/{act.seq}"' in html, kind
    assert "mira" not in html + markdown + json.dumps(report)
    assert report["covers"]["entry"] == max(act.seq for act in acts.values())


async def test_every_figure_leads_somewhere(
    home: FeatureHome, interviews: Interviews, lifecycle: Lifecycle, protocol: Protocol
) -> None:
    """Every row of every table holds a link, and every section that says a number does."""
    await walked(home, interviews, lifecycle, protocol)
    state_others(home)
    _, _, html = written(home, lifecycle)
    rows = re.findall(r"<tr>(?!<th)(.*?)</tr>", html)
    assert len(rows) > 15
    assert [row for row in rows if "href=" not in row] == []
    for heading, following in re.findall(r"<h2>(.*?)</h2>(.*?)(?=<h2>|</article>)", html, re.DOTALL):
        words = re.sub(r"<[^>]*>", "", following)
        assert "href=" in following or not re.search(r"\d", words), heading


async def test_many_sessions_are_counted_by_condition(
    home: FeatureHome, interviews: Interviews, lifecycle: Lifecycle, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a page's worth each condition has one line with its first and last entry; the JSON names every session."""
    await walked(home, interviews, lifecycle, protocol)
    monkeypatch.setattr("emeritus.lifecycle.report_layout_asked.LISTED", 1)
    report, _, html = written(home, lifecycle)
    assert len(report["interviews"]["sessions"]) == 4
    assert [(each["purpose"], each["condition"], each["sessions"]) for each in report["interviews"]["groups"]] == [
        ("interview", "baseline", 1),
        ("interview", "commitments", 1),
        ("read-back", None, 1),
        ("telling", None, 1),
    ]
    assert '<th scope="col">Study</th>' in html


async def test_the_page_stands_alone(
    home: FeatureHome, interviews: Interviews, lifecycle: Lifecycle, protocol: Protocol
) -> None:
    """It fetches nothing, has a print style, and the article in it is what a site shows."""
    await walked(home, interviews, lifecycle, protocol)
    _, _, html = written(home, lifecycle)
    assert html.startswith("<!doctype html>")
    assert "@media print" in html
    assert not re.search(r"<script|<link|<img|@import|url\(", html)
    inner = article(html)
    assert inner.startswith('<article class="report">')
    assert inner.endswith("</article>")
    assert article("<p>old</p>") == "<p>old</p>"


async def test_the_levels_of_the_full_protocol_are_named_once(
    home: FeatureHome, interviews: Interviews, lifecycle: Lifecycle
) -> None:
    """Each condition's levels stand in a table of their own, the interviewer's factor among them."""
    lifecycle.register(Registration(NAME, "Larkspur", "A small model."), ANA)
    await interviewed(interviews, load("full-en"), talker())
    report, _, html = written(home, lifecycle)
    held = report["interviews"]["sessions"]
    assert len(held) > 1
    assert html.count("interviewer: ") == len({each["condition"]["id"] for each in held})
    assert "<h3>Conditions</h3>" in html
