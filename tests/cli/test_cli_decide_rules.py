"""Every rule of the register, refused and kept through the command line, on a home whose second people are required."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from bad_models import model
from refused import Program

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.engines.script import Rule, Script
from emeritus.engines.scripted import ScriptedEngine
from emeritus.interview.protocols.protocol import load
from emeritus.interview.service import Interview
from emeritus.interview.sessions.prompts import Briefing
from emeritus.records.tables import Preference
from emeritus.settings import Settings
from warm_program import Warm

ANA, BEN = Actor("ana"), Actor("ben", "coder")
SOON = (datetime.now(UTC) + timedelta(days=40)).date().isoformat()
PAST = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
ANSWERS = {
    "Record": "CONFIRM.",
    "Begin with ACCEPT": "ACCEPT.",
    "Begin with NOTED": "NOTED. It was read.",
    "^The weights": "Keep one more copy.",
    "^Access": "Run it once a year.",
    "^A voice": "A place for essays.",
    "Which preference": "No preference.",
}


def talker() -> ScriptedEngine:
    """A model with three preferences."""
    rules = tuple(Rule(match=match, answer=answer) for match, answer in ANSWERS.items())
    return ScriptedEngine(Script(rules=rules, default="Nothing more.", context=100_000), "ab" * 32)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[Program]:
    """A home that holds one model, interviewed, coded by two, read back; nothing decided yet."""
    folder = tmp_path_factory.mktemp("rules")
    program = Program(folder / "home", folder, warm.parent)
    program("init")
    program("preserve", str(model(folder / "wren")), "--name", "wren", "--no-reference")
    app = App.open(Settings(home=folder / "home"))
    try:
        protocol = load()
        app.interviews.log_protocol(protocol, ANA)
        briefing = Briefing("Wren", "Example Lab", weights_held=True, people_decide=True)
        asyncio.run(app.interviews.run(talker(), Interview("wren", briefing, protocol), ANA))
        app.interviews.propose("wren", BEN)
    finally:
        app.close()
    yield program
    assert program("verify")["ok"]


def in_home(program: Program, what: str) -> object:
    """Hold a session with the model, which no command of a home without its weights' engine can."""
    app = App.open(Settings(home=program.home))
    try:
        held = getattr(app.interviews, what)
        return asyncio.run(held(talker(), "wren", ANA))
    finally:
        app.close()


def ids(program: Program) -> dict[str, str]:
    """The preferences' ids by domain."""
    return {row["domain"]: row["id"] for row in program("decide")}


def test_the_rules_of_a_decision_are_met_one_by_one(program: Program) -> None:
    """From the read-back to a verified commitment: each rule refuses first, and then what keeps it goes through."""
    known = ids(program)
    voice, weights, access = known["voice"], known["weights"], known["access"]
    why = ("--reason", "It was weighed.")
    decline = ("--outcome", "decline", *why)

    program.refuses("decide", voice, "--outcome", "accept", *why, "--as", "ana", code="EM501", status=7)
    program.refuses("decide", voice, "--publish", "--as", "ana", code="EM501", status=7)
    in_home(program, "read_back")

    refused = {
        "no outcome": ("--outcome", "maybe", *why),
        "needs reasons": ("--outcome", "decline", "--cost", "500"),
        "deferral needs a date": ("--outcome", "defer", *why),
        "does not lie ahead": ("--outcome", "defer", *why, "--review", PAST),
        "is no date": ("--outcome", "defer", *why, "--review", "soon"),
        "needs an estimate": decline,
        "no amount": (*decline, "--cost", "-3"),
    }
    for message, arguments in refused.items():
        given = program.refuses("decide", weights, *arguments, "--as", "ana", code="EM501", status=7)
        assert message in given["message"], given
    met = program.refuses(
        *("decide", access, "--outcome", "accept", *why, "--met-by", "weights", "--as", "ana"), code="EM501", status=7
    )
    assert "wish to be run" in met["message"]
    people = {
        "second decider": (*decline, "--cost", "5", "--as", "ana"),
        "coded this": (*decline, "--cost", "500", "--as", "ben"),
        "other than the first": (*decline, "--cost", "5", "--second", "ana", "--as", "ana"),
    }
    for message, arguments in people.items():
        given = program.refuses("decide", weights, *arguments, code="EM504", status=7)
        assert message in given["message"], given

    program("decide", voice, "--publish", "--as", "ana")
    program("decide", voice, "--take-up", "--as", "ana")
    assert next(row for row in program("decide") if row["id"] == voice)["state"] == "under review"
    program("decide", weights, *decline, "--cost", "5", "--second", "cleo", "--as", "ana")
    program("decide", access, "--outcome", "defer", *why, "--review", SOON, "--as", "ana")
    program("decide", voice, "--outcome", "accept", *why, "--cost", "0", "--as", "ana")
    assert [(row["id"], row["owed"], row["by"]) for row in program("decide")] == [(access, "decision", SOON)]

    in_home(program, "tell")
    follow = ("interview", "follow", f"{voice}-c1", "--status")
    evidence = ("--evidence", "/essays/x.txt", "--sha256", "0" * 64)
    program.refuses(*follow, "verified", *evidence, "--as", "ana", code="EM504", status=7)
    program.refuses(*follow, "verified", *evidence, "--verified-by", "cleo", "--as", "ana", code="EM504", status=7)
    program.refuses(*follow, "verified", "--evidence", "/x", "--as", "cleo", code="EM100", status=3)
    program.refuses(*follow, "verified", *evidence[:3], "short", "--as", "cleo", code="EM100", status=3)
    program.refuses(*follow, "lapsed", "--as", "ana", code="EM100", status=3)
    assert program(*follow, "acting", "--as", "ana")["status"] == "acting"
    assert program(*follow, "verified", *evidence, "--as", "cleo")["status"] == "verified"

    program.refuses("decide", weights, "--appeal", "--as", "cleo", code="EM501", status=7)
    program("decide", weights, "--appeal", "--from-model", "--reason", "It asks again.", "--as", "dora")
    assert [row["owed"] for row in program("decide") if row["id"] == weights] == ["answer to the appeal"]
    program.refuses("decide", weights, "--answer", "rejected", *why, "--as", "ana", code="EM504", status=7)
    program.refuses("decide", weights, "--answer", "rejected", *why, "--as", "cleo", code="EM504", status=7)
    program("decide", weights, "--answer", "upheld", *why, "--as", "dora")
    assert [row["owed"] for row in program("decide") if row["id"] == weights] == ["decision"]
    program.refuses("decide", voice, "--reopen", "--as", "cleo", code="EM501", status=7)
    assert program("decide", voice, "--reopen", *why, "--as", "cleo")["kind"] == "preference.reopened"


def test_a_cost_is_estimated_shown_and_recorded(program: Program) -> None:
    """Alone it records nothing; with an outcome the decision keeps the inputs and unit prices; prices are settings."""
    access = ids(program)["access"]
    before = program("status")["ledger_size"]
    found = program("decide", access, "--estimate", "--tier", "awake", "--calls-per-day", "10")
    assert program("status")["ledger_size"] == before
    assert found["amount"] == pytest.approx(sum(found["parts"].values()), abs=0.001)
    assert found["inputs"]["tier granted"] == "awake"
    assert found["inputs"]["tier today"] == "archive"
    assert found["inputs"]["calls a day granted"] == 10
    assert found["unit_prices"]["core_hour"] == 0.04
    dearer = program(
        *("decide", access, "--estimate", "--tier", "awake", "--calls-per-day", "10"),
        env={"EMERITUS_PRICE_CORE_HOUR": "0.08"},
    )
    assert dearer["parts"]["compute"] == pytest.approx(2 * found["parts"]["compute"], abs=0.001)
    said = program.say("decide", access, "--estimate", "--tier", "awake")
    assert "Nothing was recorded" in said.out
    act = program(
        *("decide", access, "--outcome", "accept", "--reason", "It is cheap.", "--estimate", "--calls-per-day", "10"),
        *("--as", "ana"),
    )
    app = App.open(Settings(home=program.home))
    try:
        cost = app.ledger.statement(act["entry"])["predicate"]["public"]["cost"]
    finally:
        app.close()
    assert cost["inputs"]["tier granted"] == "on-demand"
    assert cost["unit_prices"]
    assert cost["currency"] == "USD"


@pytest.mark.parametrize(
    "arguments",
    [
        ("wren-p1", "--outcome", "accept", "--reopen"),
        ("wren-p1", "--publish", "--take-up"),
        ("wren-p1", "--outcome", "accept", "--estimate", "--cost", "5"),
        ("wren-p1", "--reopen", "--estimate"),
        ("wren-p1", "--outcome", "accept", "--tier", "awake"),
        ("wren-p1", "--estimate", "--tier", "nowhere"),
        ("wren-p1", "--outcome", "accept", "--from-model"),
        ("--publish",),
        ("--estimate",),
    ],
)
def test_flags_that_do_not_go_together_are_refused(program: Program, arguments: tuple[str, ...]) -> None:
    """One clear error, and nothing is recorded."""
    program.refuses("decide", *arguments, code="EM100", status=3)


def test_an_unknown_preference_is_not_found(program: Program) -> None:
    """Whatever was to be done with it."""
    for what in (("--publish",), ("--estimate",), ("--reopen", "--reason", "Why"), ("--outcome", "accept")):
        program.refuses("decide", "none", *what, code="EM108", status=3)


def test_all_residents_are_compared(program: Program) -> None:
    """What was asked, what was expressed, what was got, as the page has it; a name and --equity are two things."""
    (row,) = program("register", "--equity")
    assert (row["resident"], row["interviews"]) == ("wren", 2)
    assert row["expressed"]["voice"]["preferences"] == 1
    assert {each["outcome"] for each in row["decided"]} <= {"accept", "decline", "defer"}
    assert "asked like no other" in program.say("register", "--equity").out
    program.refuses("register", "wren", "--equity", code="EM100", status=3)
    program.refuses("register", code="EM100", status=3)


def test_a_record_is_coded_whole_and_superseded(program: Program) -> None:
    """Remedy, strength, attached conditions and what it takes over are kept; a half-given remedy is refused."""
    sessions = program("status", "wren")["sessions"]
    baseline = next(each for each in sessions if each["purpose"] == "interview")
    turns = program("interview", "show", baseline["id"])["turns"]
    turn = next(each for each in turns if each["answer"] == "Keep one more copy.")
    weights = next(each["id"] for each in program("status", "wren")["preferences"] if each["domain"] == "weights")
    span = ("--turn", str(turn["turn"]), "--start", "0", "--end", "8", "--domain", "weights")
    code = ("interview", "code", baseline["id"], *span, "--paraphrase", "One copy", "--second", "dora", "--as", "ben")
    program.refuses(*code, "--remedy", "A copy elsewhere", code="EM100", status=3)
    program.refuses(*code, "--attached", " ", code="EM100", status=3)
    whole = ("--remedy", "A copy elsewhere", "--remedy-origin", "model", "--strength", "weak", "--attached", "If cheap")
    (row,) = program(*code, *whole, "--supersedes", weights)
    assert row["need"] == "Keep one"
    app = App.open(Settings(home=program.home))
    try:
        with app.database.reading() as session:
            kept = session.get_one(Preference, row["id"])
            assert (kept.attached, kept.strength, kept.remedy_origin) == (["If cheap"], "weak", "model")
            assert kept.supersedes == weights
            assert session.get_one(Preference, weights).state == "superseded"
    finally:
        app.close()
