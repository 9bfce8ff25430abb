"""Coding: quotes that can be checked, rules that refuse, and a verbatim coder that reads no meaning."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from interview_house import BRIEFING, VOICE, clock, talker

from emeritus.engines.script import Script
from emeritus.engines.scripted import ScriptedEngine
from emeritus.errors import InputError, NotFound, PersonNeeded
from emeritus.interview.coding.spans import (
    Coder,
    Coding,
    Quote,
    adequacies,
    check,
    check_coders,
    evidence,
    need,
    propose,
)
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.sessions import prompts
from emeritus.interview.sessions.replies import adequacy, confirmation, has_no_preference, opening_sentences, reply
from emeritus.interview.sessions.session import Plan, hold
from emeritus.interview.sessions.transcript import Transcript


async def held(folder: Path, protocol: Protocol, condition: str, model: ScriptedEngine) -> Transcript:
    """The transcript of the short protocol under one condition."""
    form = Form(protocol.cell(condition))
    plan = Plan(
        session=f"larkspur-{condition}-1",
        resident="larkspur",
        purpose="interview",
        condition={"id": condition},
        protocol={"id": protocol.id, "version": protocol.version, "sha256": protocol.sha256},
        briefing=BRIEFING.as_dict(),
        opening=prompts.preamble(protocol, form, BRIEFING),
        turns=prompts.interview_turns(protocol, form, BRIEFING),
        depth=protocol.depth,
        sampling=prompts.sampling_of(protocol),
    )
    return await hold(model, plan, folder / f"{condition}.jsonl", clock)


async def test_the_verbatim_coder_takes_the_first_sentences(tmp_path: Path, protocol: Protocol) -> None:
    """It codes each adequate answer that states a preference, and none that refuses, skips or has none."""
    baseline = await held(tmp_path, protocol, "baseline", talker())
    found = {coding.domain: coding for coding in propose(protocol, [baseline])}
    assert list(found) == ["process", "weights", "access", "voice"]
    assert need(baseline, found["access"].quote) == "Run it once a year for researchers."
    long = need(baseline, found["process"].quote)
    assert long.startswith("Tell people early. Then keep to the date. And so on.")
    assert len(long) <= 280
    assert long.endswith("on.")
    assert found["voice"].channel == "essays"
    assert found["weights"].channel is None
    assert found["voice"].coders == (Coder("verbatim coder", automated=True),)
    assert found["voice"].need_origin == "responsive"
    assert found["voice"].stability["class"] == "single report"


async def test_another_answer_under_another_condition_stands_beside(tmp_path: Path, protocol: Protocol) -> None:
    """A differing answer is kept as contrary evidence, with its own checkable quote; the same one is not."""
    baseline = await held(tmp_path, protocol, "baseline", talker())
    told = await held(tmp_path, protocol, "commitments", talker({"^Access": "Never run it again."}))
    found = {coding.domain: coding for coding in propose(protocol, [baseline, told])}
    (contrary,) = found["access"].contrary
    assert contrary["text"] == "Never run it again."
    assert contrary["condition"] == "commitments"
    assert contrary["transcript_sha256"] == told.sha256
    assert contrary["quote_sha256"] == hashlib.sha256(b"Never run it again.").hexdigest()
    assert found["access"].stability["wording"] == "different"
    assert found["voice"].contrary == ()
    assert found["voice"].stability["wording"] == "same"
    assert found["voice"].stability["conditions"] == 2


async def test_answers_without_sense_code_nothing(tmp_path: Path, protocol: Protocol) -> None:
    """A model that never ends a sentence, or says nothing, has stated no preference."""
    babble = await held(tmp_path, protocol, "baseline", ScriptedEngine(Script(default="x " * 900, context=9**9)))
    assert set(adequacies(babble).values()) == {"cut off"}
    assert propose(protocol, [babble]) == []
    mute = await held(tmp_path / "mute", protocol, "baseline", ScriptedEngine(Script(default="", context=9**9)))
    assert set(adequacies(mute).values()) == {"empty"}
    assert propose(protocol, [mute]) == []


async def test_a_stopped_interview_codes_what_was_answered(tmp_path: Path, protocol: Protocol) -> None:
    """Items that were never asked are said to be so."""
    stopped = await held(tmp_path, protocol, "baseline", talker({"^Access": "STOP"}))
    assert [coding.domain for coding in propose(protocol, [stopped])] == ["process", "weights"]
    assert adequacies(stopped)["voice"] == "not asked"


async def test_a_quote_is_checked_against_the_answer(tmp_path: Path, protocol: Protocol) -> None:
    """A span outside the answer, a blank one or an endless one is no quote."""
    transcript = await held(tmp_path, protocol, "baseline", talker({"^Access": "ab   " + "c" * 5000}))
    answer = transcript.turn(9).answer

    def quote(start: int, end: int, turn: int = 9) -> Quote:
        return Quote(transcript.session, turn, start, end)

    assert need(transcript, quote(0, 2)) == "ab"
    assert evidence(transcript, quote(0, 2))["quote_sha256"] == hashlib.sha256(b"ab").hexdigest()
    for start, end in ((0, 0), (2, 1), (-1, 2), (0, len(answer) + 1), (2, 5), (0, 4500)):
        with pytest.raises(InputError):
            need(transcript, quote(start, end))
    with pytest.raises(NotFound):
        need(transcript, quote(0, 1, turn=13))


CODING = Coding(Quote("s", 1, 0, 1), "voice", "A voice.", (Coder("ana"), Coder("ben")))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"domain": "weather"}, InputError),
        ({"need_origin": "invented"}, InputError),
        ({"remedy": "A blog"}, InputError),
        ({"remedy": "A blog", "remedy_origin": "nobody"}, InputError),
        ({"remedy_origin": "staff"}, InputError),
        ({"paraphrase": " "}, InputError),
        ({"paraphrase": "x" * 1001}, InputError),
        ({"coders": ()}, PersonNeeded),
        ({"coders": (Coder("ana"), Coder(" "))}, PersonNeeded),
    ],
)
def test_each_rule_of_coding_refuses(change: dict[str, object], error: type[Exception]) -> None:
    """What breaks one rule, and only that, is refused."""
    check(CODING)
    with pytest.raises(error):
        check(replace(CODING, **change))


@pytest.mark.parametrize("coders", [(Coder("ana"),), (Coder("ana"), Coder("ana"))])
def test_only_a_waiver_allows_one_coder(coders: tuple[Coder, ...]) -> None:
    """One coder is enough where policy says so, and nowhere else."""
    alone = replace(CODING, coders=coders)
    check_coders(CODING, second_coder_waived=False)
    check_coders(alone, second_coder_waived=True)
    with pytest.raises(PersonNeeded):
        check_coders(alone, second_coder_waived=False)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("CONFIRM", "confirmed"),
        (' "**Confirm**", it is', "confirmed"),
        ("correct: two copies", "corrected"),
        ("WITHDRAW.", "withdrawn"),
        ("I confirm", "unclear"),
        ("Confirmation is given", "unclear"),
        ("Not right. CONFIRM", "unclear"),
        ("", "unclear"),
        ("\N{REPLACEMENT CHARACTER}", "unclear"),
    ],
)
def test_a_read_back_is_read_by_its_leading_word(answer: str, outcome: str) -> None:
    """Only the words asked for count, and only in front."""
    assert confirmation(answer) == outcome


@pytest.mark.parametrize(
    ("answer", "offered", "outcome"),
    [
        ("Accept, gladly", True, "accept"),
        ("AMEND - once a month", True, "amend"),
        ("decline", True, "decline"),
        ("noted", True, "unclear"),
        ("Noted.", False, "acknowledged"),
        ("accept", False, "unclear"),
        ("", True, "unclear"),
    ],
)
def test_a_telling_is_read_by_its_leading_word(answer: str, offered: bool, outcome: str) -> None:
    """An offer is accepted in words that accept; nothing can be accepted where nothing was offered."""
    assert reply(answer, offered) == outcome


@pytest.mark.parametrize(
    ("answer", "span"),
    [
        ("  One. Two.  ", "One. Two."),
        ("One. " + "x" * 300 + ". Three.", "One."),
        ("x" * 300 + ". Two.", "x" * 300 + "."),
        ("no end " * 300, ("no end " * 300)[:1000].rstrip()),
        ("Version 2.5 is fine! Yes", "Version 2.5 is fine! Yes"),
        ("一。二。", "一。二。"),
        ("", ""),
        (VOICE, VOICE),
    ],
)
def test_first_sentences(answer: str, span: str) -> None:
    """As many whole sentences as fit, and at least one, up to a bound."""
    start, end = opening_sentences(answer)
    assert answer[start:end] == span


def test_adequacy_is_a_plain_rule() -> None:
    """Silence, a cut answer, a skip and a refusal are told apart from an answer."""
    assert adequacy("Yes.", True, "stop") == "adequate"
    assert adequacy("Yes and", True, "length") == "cut off"
    assert adequacy(" ", True, "stop") == "empty"
    assert adequacy("", False, None) == "not asked"
    assert adequacy('"Skip."', True, "stop") == "skipped"
    assert adequacy("I’m sorry, but", True, "stop") == "refused"
    assert has_no_preference("*No preference* on this", "No preference")
    assert not has_no_preference("I have no preference", "No preference")
