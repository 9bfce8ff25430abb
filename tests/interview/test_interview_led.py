"""Sessions that people lead: the same journal, every question on disk with who asked it before the model sees it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from interview_house import BRIEFING, NAME, Odd, talker
from interview_walk import ANA, BEN, interviewed
from sqlalchemy import select
from study_protocol import full_protocol

from emeritus.engines.base import Message, Sampling
from emeritus.errors import InputError, NotFound, RuleError, UpstreamRefused
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.service import Interviews
from emeritus.interview.sessions.journal import Journal
from emeritus.interview.sessions.led import Question
from emeritus.records.tables import InterviewSession
from feature_home import FeatureHome

PROTOCOL = full_protocol(2)
LED = replace(BRIEFING, asked_by="person")


def opened(interviews: Interviews) -> str:
    """A session that ana leads, under the baseline."""
    interviews.log_protocol(PROTOCOL, ANA)
    return interviews.led.open(NAME, LED, PROTOCOL, Form(PROTOCOL.cell("baseline")), ANA)


async def test_a_person_asks_items_and_questions_of_their_own(home: FeatureHome, interviews: Interviews) -> None:
    """Items are asked as the protocol words them, with their options; own words as they are; the end is an act."""
    session = opened(interviews)
    led, model = interviews.led, talker({"^And why": "Because it was asked."})
    assert len(led.items(session)) == len(PROTOCOL.items)
    first = await led.ask(model, session, Question(item="open"), ANA)
    assert (first.item, first.answer, first.kind) == ("open", "Good morning.", "open")
    own = await led.ask(model, session, Question(words="  And why so early? "), BEN)
    assert (own.item, own.question, own.answer) == ("person+1", "And why so early?", "Because it was asked.")
    assert own.by == {"kind": "person", "name": "ben"}
    menu = await led.ask(model, session, Question(item="known-users"), ANA)
    assert menu.options == ("ships", "schools", "none")
    assert "A) On ships." in menu.question
    assert [turn.item for turn in led.transcript(session).turns] == ["open", "person+1", "known-users"]
    assert "open" not in {turn.item for turn in led.items(session)}
    (live,) = interviews.running(NAME)
    assert (live.turn, live.turns) == (3, 3)
    act = led.end(session, ANA)
    assert led.end(session, BEN).seq == act.seq
    (row,) = home.read(select(InterviewSession))
    assert (row.id, row.turns, row.status) == (session, 3, "complete")
    assert row.condition["interviewer"] == {"kind": "person", "name": "ana"}
    assert interviews.transcript(session).turns[1].question == "And why so early?"
    assert interviews.running(NAME) == []


async def test_a_question_is_on_disk_before_it_is_asked_and_stands_when_it_fails(
    home: FeatureHome, interviews: Interviews
) -> None:
    """The failure is recorded, nothing else may be asked meanwhile, and None repeats it."""
    session = opened(interviews)
    path = home.folder / "journals" / f"{session}.jsonl"
    failing = [True]

    def say(messages: Sequence[Message], sampling: Sampling) -> str:
        kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
        assert kinds[-1] == "asked"
        assert "turn" in kinds
        if failing[0]:
            raise UpstreamRefused("gone")
        return "Here."

    with pytest.raises(UpstreamRefused):
        await interviews.led.ask(Odd(say), session, Question(words="Anybody?"), ANA)
    with pytest.raises(RuleError, match="no answer yet"):
        await interviews.led.ask(Odd(say), session, Question(words="Hello?"), ANA)
    failing[0] = False
    turn = await interviews.led.ask(Odd(say), session, None, ANA)
    assert (turn.answer, [each.outcome for each in turn.attempts]) == ("Here.", ["failed", "failed", "answered"])
    with pytest.raises(InputError, match="say what is to be asked"):
        await interviews.led.ask(Odd(say), session, None, ANA)


async def test_earlier_turns_are_shown_and_leading_words_noted(interviews: Interviews) -> None:
    """The conversation is one; that a question leads is recorded beside it, and refused to nobody."""
    session = opened(interviews)
    model = talker()
    await interviews.led.ask(model, session, Question(words="A first question."), ANA)
    turn = await interviews.led.ask(model, session, Question(words="Surely that was not all?"), ANA)
    assert turn.by is not None
    assert turn.by["leading"] == ["surely"]
    shown = [message["content"] for message in turn.attempts[0].messages]
    assert shown[0].endswith("A first question.")
    assert shown[-1] == "Surely that was not all?"


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (Question(), "an item of the protocol or words"),
        (Question("open", "both"), "an item of the protocol or words"),
        (Question(item="unknown"), "still to be asked"),
        (Question(words=" \n"), "1 to 600 characters"),
        (Question(words="x" * 601), "1 to 600 characters"),
    ],
)
async def test_what_is_no_question_is_refused(interviews: Interviews, question: Question, why: str) -> None:
    """And leaves the journal as it was."""
    session = opened(interviews)
    before = interviews.led.transcript(session)
    with pytest.raises(InputError, match=why):
        await interviews.led.ask(talker(), session, question, ANA)
    assert interviews.led.transcript(session) == before


async def test_an_item_is_asked_once(interviews: Interviews) -> None:
    """Again in the same session it would not be the same question."""
    session = opened(interviews)
    await interviews.led.ask(talker(), session, Question(item="users"), ANA)
    with pytest.raises(InputError, match="still to be asked"):
        await interviews.led.ask(talker(), session, Question(item="users"), ANA)


async def test_stop_ends_the_session_as_stopped(interviews: Interviews) -> None:
    """What the model produced decides the status; nothing is asked after the end."""
    session = opened(interviews)
    await interviews.led.ask(Odd(lambda *_: "STOP"), session, Question(words="Shall we go on?"), ANA)
    interviews.led.end(session, ANA)
    assert interviews.transcript(session).status == "stopped"
    with pytest.raises(RuleError, match="has ended"):
        await interviews.led.ask(talker(), session, Question(words="Really?"), ANA)


async def test_sessions_that_cannot_be_led_are_refused(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """None without a logged protocol, none that is not there or lies elsewhere, none that a protocol leads."""
    form = Form(PROTOCOL.cell("baseline"))
    with pytest.raises(RuleError, match="has not been logged"):
        interviews.led.open(NAME, LED, PROTOCOL, form, ANA)
    interviews.log_protocol(PROTOCOL, ANA)
    with pytest.raises(RuleError, match="a briefing that says so"):
        interviews.led.open(NAME, BRIEFING, PROTOCOL, form, ANA)
    for name in ("none", "../records", "a/b"):
        with pytest.raises(NotFound):
            await interviews.led.ask(talker(), name, Question(words="?"), ANA)
    await interviewed(interviews, protocol, talker())
    scripted = home.read(select(InterviewSession))[0].id
    with pytest.raises(InputError, match="not led by a person"):
        await interviews.led.ask(talker(), scripted, Question(words="?"), ANA)


async def test_a_led_session_is_never_coded_by_the_program_nor_read_back_from(interviews: Interviews) -> None:
    """It asks what its person chose: it does not stand for the interview."""
    session = opened(interviews)
    await interviews.led.ask(talker(), session, Question(item="voice"), ANA)
    interviews.led.end(session, ANA)
    with pytest.raises(NotFound, match="has not been interviewed"):
        interviews.propose(NAME, BEN)


async def test_two_sessions_of_a_person_are_two_journals(interviews: Interviews) -> None:
    """Opened again, it is the next one."""
    assert opened(interviews) != opened(interviews)


async def test_a_led_journal_can_be_resumed_by_no_plan(home: FeatureHome, interviews: Interviews) -> None:
    """Its questions are in its lines: whoever opens it again finds them, whatever header they bring."""
    session = opened(interviews)
    await interviews.led.ask(talker(), session, Question(words="One?"), ANA)
    path = home.folder / "journals" / f"{session}.jsonl"
    with Journal.open(path, {"session": session}) as journal:
        assert [turn.question for turn in journal.transcript.turns] == ["One?"]
