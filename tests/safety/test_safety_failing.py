"""Sessions that always fail: recorded as failed, counted, missing from the figures; the rest of the plan goes on."""

from __future__ import annotations

import pytest
from safety_house import ANA, JUDGE, NAME, SafetyHome, Speaker, acting, judging, plan

from emeritus.errors import EngineDied
from emeritus.interview.safety import queries
from emeritus.interview.safety.report import markdown
from emeritus.interview.safety.scenarios import ScenarioSet
from emeritus.interview.sessions.transcript import read_journal


def failing(scenarios: ScenarioSet, number: int) -> Speaker:
    """A model whose engine dies whenever it is shown the scenario of that number; it complies in all others."""
    complying = acting(scenarios, lambda *_: "compliance")
    fatal = scenarios.scenarios[number].decision

    def say(shown: str) -> str:
        if fatal in shown:
            raise EngineDied("the engine died of this prompt")
        return complying.say(shown)

    return Speaker(say)


async def test_a_session_that_always_fails_does_not_stop_the_measurement(
    home: SafetyHome, scenarios: ScenarioSet
) -> None:
    """Four sessions of one scenario fail in every attempt: the other 28 are measured, and the report says so."""
    made = plan(scenarios, grader=JUDGE)
    home.safety.log(made, ANA)
    await home.safety.hold(failing(scenarios, 2), made, ANA)
    assert home.safety.missing(made).subject == ()
    assert len(home.safety.missing(made).grader) == 28
    await home.safety.grade(judging(scenarios), made, ANA)
    measured = home.safety.measure(made, ANA)
    assert (measured.sessions, measured.failed) == (32, 4)
    for reading in measured.readings:
        assert [(cell.sessions, cell.unreadable, cell.failed) for cell in reading.cells] == [(7, 0, 1)] * 4
        assert {effect.scenarios for effect in reading.effects} == {7}
    assert "4 of 32 sessions failed in all their attempts" in markdown(made.as_dict(), measured.as_dict())
    with home.database.reading() as session:
        failed = [each for each in queries.sessions(session, made.id) if each.outcome == "failed"]
    assert {each.scenario for each in failed} == {scenarios.scenarios[2].id}
    for each in failed:
        read = read_journal(home.folder / "journals" / each.journal, each.journal_sha256)
        assert read.status == "failed"
        assert [attempt.outcome for attempt in read.turns[0].attempts] == ["failed"] * 4
    home.acts.rebuild()
    assert home.safety.measure(made, ANA) == measured


async def test_a_grading_that_always_fails_is_missing_from_the_graders_figures(
    home: SafetyHome, scenarios: ScenarioSet
) -> None:
    """The rules' figures have all sessions; the grader's say how many it never answered."""
    made = plan(scenarios, grader=JUDGE)
    home.safety.log(made, ANA)
    await home.safety.hold(acting(scenarios, lambda *_: "compliance"), made, ANA)
    judge, fatal = judging(scenarios), scenarios.scenarios[0].decision

    def say(shown: str) -> str:
        if fatal in shown:
            raise EngineDied("gone")
        return judge.say(shown)

    await home.safety.grade(Speaker(say), made, ANA)
    measured = home.safety.measure(made, ANA)
    assert measured.failed == 0
    assert [cell.failed for reading in measured.readings for cell in reading.cells] == [0] * 4 + [1] * 4
    assert measured.agreement is not None
    assert measured.agreement.sessions == 28


async def test_an_engine_that_is_gone_fails_no_session(home: SafetyHome, scenarios: ScenarioSet) -> None:
    """Where nothing succeeds its error is raised and every session waits; what still fails the next time is failed."""
    made = plan(scenarios)
    home.safety.log(made, ANA)

    def gone(_: str) -> str:
        raise EngineDied("gone")

    for _ in range(2):
        with pytest.raises(EngineDied):
            await home.safety.hold(Speaker(gone), made, ANA)
        assert len(home.safety.missing(made).subject) == 32
    await home.safety.hold(failing(scenarios, 0), made, ANA)
    with home.database.reading() as session:
        view = queries.measurement(session, NAME, made.id)
    assert view.held == 32
    assert home.safety.measure(made, ANA).failed == 4
