"""A model as a coder: its words are found in the answer or refused, and a person settles."""

from __future__ import annotations

import json

import pytest
from coding_house import ONE, THIRD, rounds_of
from interview_house import NAME, Odd, talker
from interview_walk import interviewed
from sqlalchemy import select

from emeritus.acts import Actor
from emeritus.engines.base import Answer
from emeritus.errors import EngineFailed
from emeritus.interview.coding.coder_model import code_round, read_proposals
from emeritus.interview.coding.openings import Opening
from emeritus.interview.coding.round_views import RoundView
from emeritus.interview.coding.rounds import CodingRounds
from emeritus.interview.coding.spans import Coder
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.service import Interviews
from emeritus.records.tables import CodingSheet
from feature_home import FeatureHome

PROGRAM = Actor("heron", "coder", automated=True)
VOICE = {"quote": "a place for essays", "domain": "voice", "paraphrase": "Essays.", "need_origin": "responsive"}


async def with_model(home: FeatureHome, strict: Interviews, protocol: Protocol) -> tuple[CodingRounds, RoundView]:
    """An interview and a round for Ana and a model."""
    await interviewed(strict, protocol, talker())
    rounds = rounds_of(home, strict)
    return rounds, rounds.open(Opening(NAME, (Coder("ana"), Coder("heron", True))), THIRD)


async def test_a_model_hands_in_checked_spans(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """Words that stand in the answer become codes; the request, the reply and what was refused are kept with them."""
    rounds, view = await with_model(home, strict, protocol)

    def say(messages: object, _: object) -> str:
        asked = messages[0].content
        if "Answer:\nI would use" in asked:
            return f"Here it is: {json.dumps([VOICE, {**VOICE, 'quote': 'a blog'}])}"
        return "[]" if "Answer:\nGood" in asked else "I find nothing."

    model = Odd(say)
    assert await code_round(model, rounds, view.id, PROGRAM) == 2
    assert await code_round(model, rounds, view.id, PROGRAM) == 0
    sheets = home.read(select(CodingSheet))
    assert [(each.coder, each.automated) for each in sheets] == [("heron", True)] * 2
    (code,) = sheets[0].sheet["codes"]
    shown, transcript = rounds.session(view, 1)
    assert transcript.turn(code["turn"]).answer[code["start"] : code["end"]] == "a place for essays"
    act = home.acts.find(sheets[0].act)
    assert act is not None
    assert act.private is not None
    refused = [each["refused"] for each in act.private["record"]["turns"] if each["refused"]]
    assert {"reason": "the words 'a blog' do not stand in the answer once"} in refused[-1]
    assert [{"reason": "the reply holds no JSON list"}] in refused
    asked = " ".join(messages[0].content for messages, _ in model.calls)
    stated = {said.text for factor in protocol.factors for level in factor.levels for said in level.statements}
    assert not any(each in asked for each in stated)
    assert all(turn.question in asked for turn in shown.turns if turn.adequacy == "adequate")
    assert rounds.find(view.id).sheets == {}  # and Ana, who has not coded yet, sees none of it
    assert rounds.find(view.id).handed_in[ONE.name] == ()


async def test_a_model_that_fails_goes_on_later(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """What was handed in before an engine failed stays; the next call begins at the next session."""
    rounds, view = await with_model(home, strict, protocol)
    calls: list[int] = []

    def say(*_: object) -> Answer | str:
        calls.append(1)
        if len(calls) == 12:
            raise EngineFailed("gone")
        return "[]"

    model = Odd(say)
    with pytest.raises(EngineFailed):
        await code_round(model, rounds, view.id, PROGRAM)
    assert len(home.read(select(CodingSheet))) == 1
    assert await code_round(model, rounds, view.id, PROGRAM) == 1


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "no list",
        "]x[",
        "[" * 100_000,
        "[1, null, {}]",
        '[{"quote": 3}]',
        '[{"quote": ""}]',
        '[{"quote": "o", "domain": "voice", "paraphrase": "x"}]',
        '[{"quote": "a place for essays", "domain": "weather", "paraphrase": "x"}]',
        '[{"quote": "a place for essays", "domain": "voice"}]',
    ],
)
async def test_bad_proposals_are_refused_with_reasons(
    home: FeatureHome, strict: Interviews, protocol: Protocol, reply: str
) -> None:
    """Nothing a model produces becomes a code unless it is one, and each refusal has its reason."""
    rounds, view = await with_model(home, strict, protocol)
    shown, transcript = rounds.session(view, 1)
    turn = next(each for each in shown.turns if each.item == "voice")
    codes, refused = read_proposals(reply, turn, transcript)
    assert codes == []
    assert all(each["reason"] for each in refused)
    assert len(refused) == (3 if reply == "[1, null, {}]" else 1)
