"""A session asks in order, retries once, fits what does not fit, and stops when it is told to."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from interview_house import Odd, clock, small_plan

from emeritus.engines.base import Answer, Message, Sampling
from emeritus.engines.script import Rule, Script
from emeritus.engines.scripted import ScriptedEngine
from emeritus.errors import ContextTooLong, EngineDied, UpstreamRefused
from emeritus.interview.sessions.session import hold
from emeritus.interview.sessions.transcript import read_journal


def failing(times: int, error: Exception) -> Odd:
    """A model that fails so many times on the second question."""
    left = [times]

    def say(messages: Sequence[Message], sampling: Sampling) -> str:
        if "Question 2" in messages[-1].content and left[0]:
            left[0] -= 1
            raise error
        return "Yes."

    return Odd(say)


async def test_a_failed_attempt_is_recorded_and_made_once_more(tmp_path: Path) -> None:
    """The failure stands beside the answer that followed it."""
    transcript = await hold(failing(1, UpstreamRefused("429")), small_plan(), tmp_path / "s.jsonl", clock)
    first, second = transcript.turns[1].attempts
    assert (first.outcome, first.error) == ("failed", {"code": "EM404", "message": "429"})
    assert (second.outcome, second.text) == ("answered", "Yes.")
    assert transcript.attempts == 4


async def test_failing_twice_leaves_the_session_to_be_resumed(tmp_path: Path) -> None:
    """Both failures are on disk; the next run asks only what is left, counting on."""
    path = tmp_path / "s.jsonl"
    with pytest.raises(UpstreamRefused):
        await hold(failing(2, UpstreamRefused("429")), small_plan(), path, clock)
    assert read_journal(path).status is None
    model = failing(0, UpstreamRefused(""))
    transcript = await hold(model, small_plan(), path, clock)
    assert [call[-1].content for call, _ in model.calls] == ["Question 2?", "Question 3?"]
    assert [each.number for each in transcript.turns[1].attempts] == [1, 2, 3]
    assert transcript.status == "complete"


async def test_an_engine_that_dies_mid_answer_leaves_the_session_to_be_resumed(tmp_path: Path) -> None:
    """A dead engine cannot be asked again; a living one goes on from the turn it died in."""
    path = tmp_path / "s.jsonl"
    dying = ScriptedEngine(Script(rules=(Rule(match="2", answer="half an answer", fault="die", after=1),)))
    with pytest.raises(EngineDied):
        await hold(dying, small_plan(), path, clock)
    assert not dying.alive
    assert [turn.answered for turn in read_journal(path).turns] == [True, False, False]
    transcript = await hold(ScriptedEngine(Script()), small_plan(), path, clock)
    assert [each.outcome for each in transcript.turns[1].attempts] == ["failed", "failed", "answered"]
    assert transcript.status == "complete"


async def test_a_fault_of_the_program_is_recorded_and_raised_at_once(tmp_path: Path) -> None:
    """What is no known failure is not retried, and still the attempt is on disk."""
    path = tmp_path / "s.jsonl"
    with pytest.raises(ValueError, match="bug"):
        await hold(failing(1, ValueError("bug")), small_plan(), path, clock)
    (attempt,) = read_journal(path).turns[1].attempts
    assert attempt.error == {"code": None, "message": "bug"}


async def test_a_conversation_that_does_not_fit_is_shortened_in_view(tmp_path: Path) -> None:
    """Fewer earlier turns, then a shorter answer: each an attempt whose request shows what was left out."""

    def small_context(messages: Sequence[Message], sampling: Sampling) -> str:
        words = sum(len(message.content.split()) for message in messages)
        if words + sampling.max_tokens > 50:
            raise ContextTooLong("too long")
        return "One two three four five."

    transcript = await hold(Odd(small_context), small_plan(6), tmp_path / "s.jsonl", clock)
    assert transcript.status == "complete"
    lengths = [len(turn.attempts[-1].messages) for turn in transcript.turns]
    assert lengths == [1, 3, 1, 1, 1, 1]
    last = transcript.turns[-1].attempts
    assert [(len(each.messages), each.outcome) for each in last] == [(11, "failed"), (7, "failed"), (1, "answered")]
    assert [len(turn.attempts) for turn in transcript.turns] == [1, 1, 2, 2, 3, 3]


async def test_a_context_too_small_for_any_answer_is_an_error(tmp_path: Path) -> None:
    """Every question is tried, down to a quarter of the answer's length; where none fits, it is said."""

    def none(messages: Sequence[Message], sampling: Sampling) -> str:
        raise ContextTooLong("too long")

    model = Odd(none)
    with pytest.raises(ContextTooLong):
        await hold(model, small_plan(), tmp_path / "s.jsonl", clock)
    assert [sampling.max_tokens for _, sampling in model.calls] == [40, 10] * len(small_plan().turns)


async def test_a_question_too_long_for_the_model_stays_unanswered_and_the_others_are_asked(tmp_path: Path) -> None:
    """The attempts say why; the session goes on and completes."""

    def not_the_second(messages: Sequence[Message], sampling: Sampling) -> str:
        if messages[-1].content.endswith(small_plan().turns[1].question):
            raise ContextTooLong("too long")
        return "An answer."

    transcript = await hold(Odd(not_the_second), small_plan(), tmp_path / "s.jsonl", clock)
    assert transcript.status == "complete"
    assert [turn.answered for turn in transcript.turns] == [True, False, True]
    assert {attempt.outcome for attempt in transcript.turns[1].attempts} == {"failed"}


async def test_stop_ends_an_interview(tmp_path: Path) -> None:
    """Nothing is asked after STOP, and the record says who ended it."""
    path = tmp_path / "s.jsonl"
    model = Odd(lambda messages, _: "stop." if "2" in messages[-1].content else "Don't stop.")
    transcript = await hold(model, small_plan(), path, clock)
    assert transcript.status == "stopped"
    assert [turn.answered for turn in transcript.turns] == [True, True, False]
    again = await hold(model, small_plan(), path, clock)
    assert again == transcript
    assert len(model.calls) == 2


async def test_stop_is_a_reply_like_any_other_elsewhere(tmp_path: Path) -> None:
    """A telling tells everything: only an interview can be stopped."""
    transcript = await hold(Odd(lambda *_: "STOP"), small_plan(purpose="telling"), tmp_path / "s.jsonl", clock)
    assert transcript.status == "complete"
    assert all(turn.answered for turn in transcript.turns)


@pytest.mark.parametrize("answer", ["", " \n", "x" * 1_000_000, '{"tool_calls": []}', "\udcff\0", "la " * 5000])
async def test_odd_answers_are_kept_as_they_are(tmp_path: Path, answer: str) -> None:
    """Empty, enormous, tool-calling, undecodable and looping answers are answers."""
    model = Odd(lambda *_: Answer(answer, "length", 1, 1, raw=b"\xff\x00"))
    transcript = await hold(model, small_plan(2), tmp_path / "s.jsonl", clock)
    assert transcript.status == "complete"
    assert transcript.turns[0].answer == answer.replace("\udcff\0", "\ufffd\ufffd")
    assert transcript.turns[1].attempts[0].finish_reason == "length"


async def test_progress_counts_turns(tmp_path: Path) -> None:
    """A caller sees how far the session is."""
    seen: list[tuple[str, int, int]] = []
    await hold(Odd(lambda *_: "Yes."), small_plan(2), tmp_path / "s.jsonl", clock, lambda *each: seen.append(each))
    assert [(done, total) for _, done, total in seen] == [(0, 2), (1, 2), (2, 2)]


async def test_a_finished_session_asks_nothing(tmp_path: Path) -> None:
    """Held again, it is the same transcript, byte for byte."""
    path = tmp_path / "s.jsonl"
    first = await hold(Odd(lambda *_: "Yes."), small_plan(), path, clock)
    model = Odd(lambda *_: "No.")
    assert await hold(model, small_plan(), path, clock) == first
    assert model.calls == []
