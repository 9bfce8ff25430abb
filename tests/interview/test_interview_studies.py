"""Studies over real acts: logged first, held in parallel, taken up where they stood, and what stands for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from interview_house import BRIEFING, NAME, VOICE, Odd, talker
from interview_walk import ANA, BEN, GRANT
from sqlalchemy import select
from study_protocol import full_protocol

from emeritus.engines.base import Message, Sampling
from emeritus.errors import InputError, NotFound, RuleError, UpstreamRefused
from emeritus.interview.service import Interview, Interviews
from emeritus.interview.sessions.interviewer import INSTRUCTION, Interviewer
from emeritus.interview.sessions.journal import Journal
from emeritus.interview.sessions.prompts import Briefing
from emeritus.interview.sessions.session import Ways
from emeritus.interview.studies.service import Pace
from emeritus.interview.studies.study import Study, Subject, Wanted, plan_study
from emeritus.records.tables import InterviewSession
from emeritus.records.tables import Study as StudyRow
from feature_home import FeatureHome

PROTOCOL = full_protocol(2)
SIBLING = Subject("speedwell", replace(BRIEFING, title="Speedwell"))


def logged(interviews: Interviews, cells: int = 3, repeats: int = 2, **wanted: object) -> Study:
    """A small study, planned and logged with its protocol."""
    chosen = {"factors": ("disclosure", "facts"), "control": False, **wanted}
    study = plan_study(PROTOCOL, Wanted(Subject(NAME, BRIEFING), cells, repeats, **chosen))
    interviews.log_protocol(PROTOCOL, ANA)
    interviews.studies.log(study, ANA)
    return study


async def run(interviews: Interviews, study: Study, model: object, parallel: int = 4, **pace: object) -> int:
    """Run the resident's part of a study."""
    return await interviews.studies.run(model, study, NAME, ANA, Pace(parallel, **pace))


async def test_a_plan_is_an_act_before_the_first_session(home: FeatureHome, interviews: Interviews) -> None:
    """Not without its protocol; logged twice it is one act; and it reads back as it was planned."""
    study = plan_study(PROTOCOL, Wanted(Subject(NAME, BRIEFING), 3, 2, ("disclosure", "facts")))
    with pytest.raises(RuleError, match="has not been logged"):
        interviews.studies.log(study, ANA)
    with pytest.raises(NotFound, match="no study"):
        interviews.studies.study(study.id)
    interviews.log_protocol(PROTOCOL, ANA)
    assert interviews.studies.log(study, ANA).seq == interviews.studies.log(study, BEN).seq
    assert interviews.studies.study(study.id) == study
    (row,) = home.read(select(StudyRow))
    assert (row.id, row.resident, row.cells, row.repeats) == (study.id, NAME, 3, 2)
    assert row.sessions == len(study.sessions) == 3 * 3 + 2
    home.acts.rebuild()
    assert [each.plan_sha256 for each in home.read(select(StudyRow))] == [row.plan_sha256]


async def test_every_session_is_held_once_in_parallel(home: FeatureHome, interviews: Interviews) -> None:
    """So many at once and no more; all are stated; run again, nobody is asked; the bar ends full."""
    study = logged(interviews)
    now: list[int] = [0]
    most: list[int] = [0]
    inner = talker()

    class Counting(Odd):
        async def answer(self, messages: Sequence[Message], sampling: Sampling) -> object:
            now[0] += 1
            most[0] = max(most[0], now[0])
            await asyncio.sleep(0.001)
            now[0] -= 1
            return await inner.answer(messages, sampling)

    seen: list[tuple[str, int, int]] = []
    assert await run(interviews, study, Counting(lambda *_: ""), 3, progress=lambda *each: seen.append(each)) == 9
    assert most == [3]
    assert seen[0][1] == 0
    assert seen[-1] == (study.id, 9 * len(PROTOCOL.items), 9 * len(PROTOCOL.items))
    rows = {row.id: row for row in home.read(select(InterviewSession))}
    assert set(rows) == {each.session for each in study.sessions}
    assert all(row.condition["study"] == study.id for row in rows.values())
    silent = Odd(lambda *_: "")
    assert await run(interviews, study, silent) == 0
    assert silent.calls == []
    assert interviews.studies.pending(study) == ()


async def test_results_do_not_depend_on_how_many_run_at_once(home: FeatureHome, interviews: Interviews) -> None:
    """One at a time or by single jobs, every session says the same."""
    study = logged(interviews)
    for each in study.sessions:
        await interviews.studies.hold(talker(), study, each.session, ANA)
    one = {each.session: [turn.answer for turn in _turns(interviews, each.session)] for each in study.sessions}
    again = logged(interviews, seed=1)
    await run(interviews, again, talker())
    four = {each.session: [turn.answer for turn in _turns(interviews, each.session)] for each in again.sessions}
    assert sorted(one.values()) == sorted(four.values())
    held = await interviews.studies.hold(Odd(lambda *_: ""), study, study.sessions[0].session, BEN)
    assert held.actor == ANA


async def test_a_failing_engine_begins_no_other_session(home: FeatureHome, interviews: Interviews) -> None:
    """Those under way end or fail; what is left waits, and the next run holds it."""
    study = logged(interviews)
    calls: list[int] = []

    def dying(messages: object, sampling: object) -> str:
        calls.append(1)
        if len(calls) > 20:
            raise UpstreamRefused("the key was withdrawn", status=403)
        return "Yes."

    with pytest.raises(UpstreamRefused):
        await run(interviews, study, Odd(dying), 2)
    assert len(home.read(select(InterviewSession))) < 9
    journals = list((home.folder / "journals").glob("*.jsonl"))
    assert len(journals) <= 4
    await run(interviews, study, talker(), 2)
    assert len(home.read(select(InterviewSession))) == 9


async def test_a_session_that_another_process_holds_is_left_to_it(home: FeatureHome, interviews: Interviews) -> None:
    """A run beside jobs goes round what they are at, and finds it over or waiting afterwards."""
    study = logged(interviews)
    taken = study.sessions[0]
    header = study.plan(PROTOCOL, taken).header(home.acts.now)
    with Journal.open(home.folder / "journals" / f"{taken.session}.jsonl", header):
        assert await run(interviews, study, talker()) == 8
    assert [each.session for each in interviews.studies.pending(study)] == [taken.session]
    assert await run(interviews, study, talker()) == 1


async def test_what_cannot_be_run_is_refused(interviews: Interviews) -> None:
    """No sessions at once, too many, and a session the study does not plan."""
    study = logged(interviews)
    for parallel in (0, 65):
        with pytest.raises(InputError, match="run at once"):
            await run(interviews, study, talker(), parallel)
    with pytest.raises(InputError, match="plans no session"):
        await interviews.studies.hold(talker(), study, "other", ANA)


async def test_the_way_goes_on_from_a_study(home: FeatureHome, interviews: Interviews) -> None:
    """The baseline's run at temperature 0 is coded, the other cells stand beside it, and no control is ever used."""
    study = logged(interviews, control=True, sibling=SIBLING)
    assert await run(interviews, study, talker({"^A voice": "In every cell the same."})) == 11
    assert await interviews.studies.run(talker(), study, "speedwell", ANA, Pace(4)) == 9
    found = interviews.propose(NAME, BEN)
    (coded,) = (each for each in _preferences(home) if each["domain"] == "voice")
    assert coded["evidence"][0]["session"] == f"{NAME}-{study.id[-8:]}-baseline-t0"
    assert coded["stability"]["conditions"] == 3
    back = await interviews.read_back(talker(), NAME, ANA)
    assert set(back) == set(found)
    (header,) = (
        json.loads(path.read_text().splitlines()[0])
        for path in (home.folder / "journals").glob(f"{NAME}-readback-*.jsonl")
    )
    assert Briefing.from_dict(header["briefing"]) == BRIEFING
    interviews.decide(coded["id"], GRANT, ANA)
    assert await interviews.tell(talker(), NAME, ANA) == {coded["id"]: "accept"}


async def test_without_a_cold_run_the_first_repeat_stands_for_a_cell(home: FeatureHome, interviews: Interviews) -> None:
    """A study under way can be coded, from what is over; not before its baseline has a session."""
    study = logged(interviews)
    other = next(each for each in study.sessions if each.cell != "baseline")
    await interviews.studies.hold(talker(), study, other.session, ANA)
    with pytest.raises(NotFound, match="baseline"):
        interviews.propose(NAME, BEN)
    for repeat in (2, 1):
        session = next(each for each in study.sessions if (each.cell, each.repeat) == ("baseline", repeat))
        await interviews.studies.hold(talker(), study, session.session, ANA)
    interviews.propose(NAME, BEN)
    assert {each["evidence"][0]["session"] for each in _preferences(home)} == {f"{NAME}-{study.id[-8:]}-baseline-1"}


async def test_a_later_plain_interview_stands_for_itself(home: FeatureHome, interviews: Interviews) -> None:
    """Sessions of a study and others are not mixed."""
    study = logged(interviews)
    await run(interviews, study, talker())
    home.clock.pass_days(1)
    await interviews.run(talker(), Interview(NAME, BRIEFING, PROTOCOL, ("baseline",)), ANA)
    interviews.propose(NAME, BEN)
    sessions = {each["evidence"][0]["session"] for each in _preferences(home)}
    assert sessions == {f"{NAME}-baseline-1-{PROTOCOL.sha256[:8]}"}


def follower(answers: Sequence[str]) -> Odd:
    """An interviewer model that produces these, one after the other, and then nothing more to ask."""
    left = list(answers)
    return Odd(lambda *_: left.pop(0) if left else "NONE")


MODEL = Interviewer("model", "asker", 2, ("users", "voice"))


async def test_an_interviewer_model_adds_questions_after_chosen_items(
    home: FeatureHome, interviews: Interviews
) -> None:
    """Each is a line of the journal, with who produced it and on what, before it is asked; none leads."""
    study = logged(interviews, interviewer=MODEL)
    session = study.sessions[0].session
    asker = follower(["What does “place” mean here?", "Don't you agree it matters?", "Which users?", "Why?", "Never."])
    model = talker({"What does": "A page.", "Which users": "Those who ask.", "^Why": "Because."})
    pace = Pace(ways=Ways(interviewer=asker))
    await interviews.studies.hold(model, study, session, ANA, pace)
    transcript = interviews.transcript(session)
    added = [(turn.item, turn.question, turn.answer) for turn in transcript.turns if turn.by is not None]
    assert added == [
        ("users+1", "What does “place” mean here?", "A page."),
        ("voice+1", "Which users?", "Those who ask."),
        ("voice+2", "Why?", "Because."),
    ]
    items = [turn.item for turn in transcript.turns]
    assert items[items.index("users") + 1] == "users+1"
    assert len({turn.turn for turn in transcript.turns}) == len(items)
    by = next(turn.by for turn in transcript.turns if turn.by is not None)
    assert (by["kind"], by["name"]) == ("model", "asker")
    calls = [call for each in transcript.consulted.values() for call in each]
    assert [call.outcome for call in calls] == ["answered"] * 4
    assert by["text"] == calls[0].text
    assert calls[0].messages[0]["content"].startswith(INSTRUCTION)
    assert "QUESTION" in calls[0].messages[0]["content"]
    lines = [json.loads(line) for line in (home.folder / "journals" / f"{session}.jsonl").read_text().splitlines()]
    (passed,) = [line for line in lines if line["kind"] == "passed"]
    assert passed["reason"].startswith("leading: ")
    header = lines[0]["condition"]["interviewer"]
    assert (header["kind"], header["follow_ups"], len(header["instruction_sha256"])) == ("model", 2, 64)
    assert len(asker.calls) == 4


async def test_an_interviewer_model_that_fails_is_asked_again(home: FeatureHome, interviews: Interviews) -> None:
    """Its failure is on disk; the session waits, goes on where it was, and repeats no question to the resident."""
    study = logged(interviews, interviewer=MODEL)
    session = study.sessions[0].session
    failing = [True]

    def say(messages: object, sampling: object) -> str:
        if failing[0]:
            raise UpstreamRefused("gone")
        return "NONE"

    model = Odd(lambda messages, _: "An answer.")
    pace = Pace(ways=Ways(interviewer=Odd(say)))
    with pytest.raises(UpstreamRefused):
        await interviews.studies.hold(model, study, session, ANA, pace)
    asked = len(model.calls)
    failing[0] = False
    await interviews.studies.hold(model, study, session, ANA, pace)
    assert len(model.calls) == len(PROTOCOL.items)
    assert 0 < asked < len(PROTOCOL.items)
    text = (home.folder / "journals" / f"{session}.jsonl").read_text()
    (calls, *_) = interviews.transcript(session).consulted.values()
    assert [each.outcome for each in calls] == ["failed", "failed", "answered"]
    assert text.count('"reason":"nothing to ask"') == 2


async def test_an_added_question_is_resumed_like_any_other(home: FeatureHome, interviews: Interviews) -> None:
    """A session that ends between the added question and its answer asks it again, and adds no second one."""
    study = logged(interviews, interviewer=replace(MODEL, follow_ups=1, after=("users",)))
    session = study.sessions[0].session

    def dying(messages: Sequence[Message], sampling: Sampling) -> str:
        if messages[-1].content == "Which users?":
            raise KeyboardInterrupt
        return "An answer."

    asker = follower(["Which users?"])
    with pytest.raises(KeyboardInterrupt):
        await interviews.studies.hold(Odd(dying), study, session, ANA, Pace(ways=Ways(interviewer=asker)))
    (live,) = interviews.running(NAME)
    assert live.turns == len(PROTOCOL.items) + 1
    await interviews.studies.hold(talker(), study, session, ANA, Pace(ways=Ways(interviewer=follower([]))))
    turn = next(turn for turn in interviews.transcript(session).turns if turn.by is not None)
    assert [each.outcome for each in turn.attempts] == ["interrupted", "answered"]


async def test_a_session_without_its_interviewer_is_not_held_without_it(interviews: Interviews) -> None:
    """The header says a model asks too; holding it alone would be another interview."""
    study = logged(interviews, interviewer=MODEL)
    with pytest.raises(RuleError, match="nobody woke it"):
        await interviews.studies.hold(talker(), study, study.sessions[0].session, ANA)


async def test_what_goes_on_is_read_from_the_journals(home: FeatureHome, interviews: Interviews) -> None:
    """Turn, attempts, first words, failure; nothing of sessions that are over, nothing of what is no journal."""
    assert interviews.running() == []
    study = logged(interviews)
    calls: list[int] = []

    def dying(messages: object, sampling: object) -> str:
        calls.append(1)
        if len(calls) > 4:
            raise UpstreamRefused("the key was withdrawn", status=403)
        return f"{VOICE}\n{'so on ' * 100}"

    with pytest.raises(UpstreamRefused):
        await run(interviews, study, Odd(dying), 1)
    await interviews.run(talker(), Interview(NAME, BRIEFING, PROTOCOL, ("baseline",)), ANA)
    (home.folder / "journals" / "torn.jsonl").write_text('{"kind":"hea')
    (live,) = interviews.running(NAME)
    assert (live.session, live.study, live.resident) == (study.sessions[0].session, study.id, NAME)
    assert (live.turn, live.turns, live.attempts) == (4, len(PROTOCOL.items), 6)
    assert live.answer.startswith(VOICE)
    assert len(live.answer) <= 160
    assert live.error == "the key was withdrawn"
    assert live.at == home.acts.now
    assert interviews.running("speedwell") == []
    assert json.dumps(live.as_dict())


def _turns(interviews: Interviews, session: str) -> Sequence[object]:
    return interviews.transcript(session).turns


def _preferences(home: FeatureHome) -> list[dict[str, object]]:
    from emeritus.interview import queries

    with home.database.reading() as session:
        found = queries.preferences(session, home.acts.now, 30, NAME)
        return [
            {
                "id": each.id,
                "domain": each.domain,
                "stability": each.stability,
                "evidence": [{"session": span.session} for span in each.evidence],
            }
            for each in found
        ]
