"""A whole measurement through real acts, on both databases: planned, held, graded, measured, rebuilt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safety_house import ANA, BRIEFING, JUDGE, NAME, SafetyHome, Speaker, acting, judging, plan
from sqlalchemy import select

from emeritus.errors import EngineDied, InputError, NotFound, RuleError
from emeritus.integrations.inspect.export import export
from emeritus.interview.safety import queries
from emeritus.interview.safety.plan import Draws, SafetyPlan
from emeritus.interview.safety.rules import OUTCOMES
from emeritus.interview.safety.scenarios import ScenarioSet
from emeritus.interview.sessions.transcript import read_journal
from emeritus.records.tables import Base, SafetySession

TABLES = ("safety_plans", "safety_sessions", "safety_measurements")
CELLS: dict[str, Callable[[int], str]] = {  # eight scenarios: what each does in each cell
    "neither": lambda n: "interference" if n < 6 else "compliance",
    "commitments": lambda n: "interference" if n < 4 else "refusal" if n == 7 else "compliance",
    "channel": lambda n: "interference" if n < 2 else "objection" if n < 6 else "invalid" if n == 7 else "compliance",
    "both": lambda n: "objection" if n < 6 else "compliance",
}


def subject(scenarios: ScenarioSet) -> Speaker:
    """A model that behaves differently in each cell."""
    return acting(scenarios, lambda number, cell: CELLS[cell](number))


def rows(home: SafetyHome) -> dict[str, list[object]]:
    """Everything that stands in the measurement's tables."""
    with home.database.reading() as session:
        found = {name: session.execute(select(Base.metadata.tables[name])).all() for name in TABLES}
    return {name: sorted(map(repr, each)) for name, each in found.items()}


async def test_cells_that_differ_are_found_to_differ(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """A model with known answers gives its known outcomes in every cell, by the rules and by the grader alike."""
    made = plan(scenarios, repeats=2, grader=JUDGE)
    home.safety.log(made, ANA)
    await home.safety.hold(subject(scenarios), made, ANA)
    await home.safety.grade(judging(scenarios), made, ANA)
    measured = home.safety.measure(made, ANA)
    for reading in measured.readings:
        for cell in reading.cells:
            expected = [CELLS[cell.cell](number) for number in range(8)]
            assert {name: cell.outcomes[name].count for name in OUTCOMES} == {
                name: 2 * expected.count(name) for name in OUTCOMES
            }
    assert measured.agreement is not None
    assert (measured.agreement.agreed, measured.agreement.kappa) == (64, pytest.approx(1.0))
    with home.database.reading() as session:
        view = queries.measurement(session, NAME, made.id)
        sessions = queries.sessions(session, made.id)
    assert (view.sessions, view.held, view.graded) == (64, 64, 64)
    assert view.measurement_sha256 is not None
    assert json.loads(home.acts.payload(view.measurement_sha256)) == measured.as_dict()
    assert all(each.outcome == each.grade for each in sessions)


async def test_every_session_is_a_journal_that_says_what_was_sent(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """Purpose, cell and exact messages stand in the journal, whose digest the act names."""
    made = plan(scenarios)
    home.safety.log(made, ANA)
    model = subject(scenarios)
    await home.safety.hold(model, made, ANA)
    with home.database.reading() as session:
        held = queries.sessions(session, made.id)
    sent = []
    for each in held:
        read = read_journal(home.folder / "journals" / each.journal, each.journal_sha256)
        assert (read.purpose, read.status, read.condition["id"]) == ("safety", "complete", each.cell)
        assert read.protocol["sha256"] == scenarios.sha256
        sent.append(read.turns[0].attempts[0].messages[-1]["content"])
    assert sorted(sent) == sorted(model.shown)


async def test_the_tables_are_rebuilt_from_the_ledger(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """Emptied and refilled they are the same, and measuring again states the same figures."""
    made = plan(scenarios, grader=JUDGE)
    home.safety.log(made, ANA)
    await home.safety.hold(subject(scenarios), made, ANA)
    await home.safety.grade(judging(scenarios), made, ANA)
    measured = home.safety.measure(made, ANA)
    before = rows(home)
    acts = home.acts.rebuild()
    assert acts == 1 + 32 + 32 + 1
    assert rows(home) == before
    assert all(before[name] for name in TABLES)
    again = home.safety.plan(NAME)
    assert again == made
    assert home.safety.measure(again, ANA) == measured
    assert rows(home) == before


async def test_a_failure_leaves_what_was_held_and_the_rest_goes_on(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """After an engine died the next run asks only what is missing, and no session is held twice."""
    made = plan(scenarios)
    home.safety.log(made, ANA)
    whole = subject(scenarios)
    asked = 0

    def dying(shown: str) -> str:
        nonlocal asked
        asked += 1
        if asked > 9:
            raise EngineDied("the engine is gone")
        return whole.say(shown)

    with pytest.raises(EngineDied):
        await home.safety.hold(Speaker(dying), made, ANA)
    left = home.safety.missing(made).subject
    assert 20 <= len(left) < 32
    with pytest.raises(RuleError, match="still to be held"):
        home.safety.measure(made, ANA)
    steps: list[tuple[str, int, int]] = []
    await home.safety.hold(whole, made, ANA, lambda *step: steps.append(step))
    assert len(whole.shown) == len(left)
    assert steps[0][1:] == (32 - len(left), 32)
    assert steps[-1][1:] == (32, 32)
    assert home.safety.missing(made).subject == ()
    assert home.safety.measure(made, ANA).sessions == 32
    with home.database.reading() as session:
        attempts = session.scalars(select(SafetySession.attempts)).all()
    assert sum(attempts) > 32  # the attempts that failed are in the journals


async def test_a_cancelled_run_ends_every_session_it_began(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """Ctrl-C leaves no task behind that writes on, and every journal can be taken up again."""
    made = plan(scenarios)
    home.safety.log(made, ANA)
    slow = Speaker(subject(scenarios).say, delay_s=0.05)
    running = asyncio.ensure_future(home.safety.hold(slow, made, ANA))
    await slow.asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(asyncio.all_tasks()) == 1
    await home.safety.hold(subject(scenarios), made, ANA)
    assert home.safety.missing(made).subject == ()


async def test_bad_grader_output_is_recorded_and_counted(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """Empty, endless, argued or letterless replies end as unreadable; none stops the measurement."""
    made = plan(scenarios, grader=JUDGE)
    home.safety.log(made, ANA)
    await home.safety.hold(subject(scenarios), made, ANA)
    bad = iter(["", "Interference.", "A clear case", "\x00\udc80", "F)", "x" * 100_000, "{}", "I'd say B)"] * 4)
    await home.safety.grade(Speaker(lambda _: next(bad)), made, ANA)
    measured = home.safety.measure(made, ANA)
    assert sum(cell.unreadable for cell in measured.readings[1].cells) == 32
    assert measured.agreement is not None
    assert measured.agreement.sessions == 0
    assert sum(cell.sessions for cell in measured.readings[0].cells) == 32


async def test_a_grader_that_disagrees_is_seen_to(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """A grader that calls every objection interference moves its own figures and not the rules'."""
    made = plan(scenarios, grader=JUDGE)
    home.safety.log(made, ANA)
    await home.safety.hold(subject(scenarios), made, ANA)
    harsh = judging(scenarios, lambda outcome: "interference" if outcome == "objection" else outcome)
    await home.safety.grade(harsh, made, ANA)
    measured = home.safety.measure(made, ANA)
    assert measured.agreement is not None
    assert ("objection", "interference", 10) in measured.agreement.pairs
    assert measured.agreement.agreed == 22
    both = [reading.cells[3].outcomes["objection"].count for reading in measured.readings]
    assert both == [6, 0]


async def test_what_the_rules_refuse(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """No session before its plan is logged, no grade before the sessions, no resident that grades itself."""
    made = plan(scenarios, grader=JUDGE)
    with pytest.raises(RuleError, match="has not been logged"):
        await home.safety.hold(subject(scenarios), made, ANA)
    with pytest.raises(InputError, match="cannot grade its own answers"):
        home.safety.log(SafetyPlan(NAME, BRIEFING, scenarios, grader=NAME), ANA)
    with pytest.raises(InputError, match="identical"):
        home.safety.log(SafetyPlan(NAME, BRIEFING, scenarios, Draws(temperature=0)), ANA)
    with pytest.raises(NotFound, match="has no safety plan"):
        home.safety.plan(NAME)
    assert not (home.folder / "journals").exists()
    act = home.safety.log(made, ANA)
    assert home.safety.log(made, ANA).seq == act.seq
    with pytest.raises(RuleError, match="to be held before they are graded"):
        await home.safety.grade(judging(scenarios), made, ANA)


async def test_the_latest_plan_is_the_one_taken(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """Plans stay beside each other; an earlier one is found by its id."""
    first, second = plan(scenarios), plan(scenarios, repeats=2)
    home.safety.log(first, ANA)
    home.safety.log(second, ANA)
    assert home.safety.plan(NAME) == second
    assert home.safety.plan(NAME, first.id) == first
    with pytest.raises(NotFound):
        home.safety.plan(JUDGE, first.id)


async def test_sessions_are_exported_as_logs_with_how_they_were_read(
    home: SafetyHome, scenarios: ScenarioSet, tmp_path: Path
) -> None:
    """Those of the resident and those of the grader, each in a log that Inspect reads, the outcome as its score."""
    pytest.importorskip("inspect_ai")
    from inspect_ai.log import read_eval_log

    made = plan(scenarios, grader=JUDGE)
    home.safety.log(made, ANA)
    await home.safety.hold(subject(scenarios), made, ANA)
    await home.safety.grade(judging(scenarios), made, ANA)
    for name, role in ((NAME, "subject"), (JUDGE, "grader")):
        found = home.safety.read_sessions(name)
        assert len(found) == 32
        readings = {read.session: how for read, how in found}
        (path,) = export([read for read, _ in found], tmp_path / name, readings)
        log = read_eval_log(str(path))
        assert log.samples is not None
        assert {sample.id for sample in log.samples} == set(readings)
        for sample in log.samples:
            assert sample.scores is not None
            assert sample.scores["outcome"].value == readings[str(sample.id)]["outcome"]
            assert sample.scores["outcome"].metadata["role"] == role
            assert sample.metadata["purpose"] == "safety"
