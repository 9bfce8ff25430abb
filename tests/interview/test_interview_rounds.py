"""Coding rounds: blind until all is handed in, gated by agreement, settled in view, and only then in the register."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from coding_house import BOTH, ONE, OTHER, THIRD, code_of, hand_in, opened, rounds_of, sheet
from interview_house import NAME, talker
from interview_walk import interviewed
from sqlalchemy import select

from emeritus.acts import Actor
from emeritus.errors import ActConflict, InputError, NotFound, PersonNeeded, RuleError
from emeritus.interview.coding.blind import CODED_KINDS
from emeritus.interview.coding.codes import Sheet
from emeritus.interview.coding.openings import Opening
from emeritus.interview.coding.round_views import Corrected, adequacy_corrections
from emeritus.interview.coding.spans import Coder
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.service import Interviews
from emeritus.interview.statistics.analyses import Analyses
from emeritus.records.tables import ActRow, CodingDraft, CodingSheet, InterviewSession, Preference
from feature_home import FeatureHome

SAID = ("process", "weights", "access", "voice")


async def test_a_round_from_opening_to_the_register(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """Two code alike, one proposes what stands, the other agrees, and the preferences name both coders."""
    rounds, view = await opened(home, strict, protocol)
    assert view.status == "coding"
    view = hand_in(rounds, view, SAID, SAID)
    assert view.status == "comparing"
    assert view.agreement is not None
    assert view.agreement.category.value == 1
    stands = sheet(rounds, view, 1, *SAID, paraphrase="What both mean.")
    view = rounds.resolve(view.id, 1, stands, "We took Ana's edges.", ONE)
    assert view.resolutions == {}
    found = rounds.proposed(view, 1)
    assert found is not None
    with pytest.raises(PersonNeeded):
        rounds.agree(view.id, 1, found["digest"], ONE)
    with pytest.raises(PersonNeeded):
        rounds.agree(view.id, 1, found["digest"], THIRD)
    with pytest.raises(RuleError):
        rounds.agree(view.id, 1, "0" * 64, OTHER)
    view = rounds.agree(view.id, 1, found["digest"], OTHER)
    settled = view.resolutions[view.at(1)]
    assert (settled.mode, settled.resolvers, settled.note) == ("agreement", ("ana", "ben"), "We took Ana's edges.")
    assert home.read(select(Preference)) == []  # the register waits for the whole round
    # the other session: both handed in the same, so one of them records it
    view = rounds.resolve(view.id, 2, sheet(rounds, view, 2, *SAID), "", OTHER)
    assert view.status == "resolved"
    rows = home.read(select(Preference).order_by(Preference.id))
    assert [row.domain for row in rows] == [*SAID, *SAID]
    assert rows[0].coders == [{"name": "ana", "automated": False}, {"name": "ben", "automated": False}]
    assert rows[0].paraphrase == "What both mean."


async def test_the_same_wish_in_several_sessions_is_one_preference(
    home: FeatureHome, strict: Interviews, protocol: Protocol
) -> None:
    """Codes that end up in the same sentence and details are one preference with each span as evidence."""
    rounds, view = await opened(home, strict, protocol)
    view = hand_in(rounds, view, SAID, SAID)
    for place, words in ((1, "A place for  essays."), (2, "a place for essays.")):
        view = rounds.resolve(view.id, place, sheet(rounds, view, place, "voice", paraphrase=words), "", THIRD)
    (row,) = home.read(select(Preference))
    assert [each["session"] for each in row.evidence] == list(view.sessions)
    assert {each["transcript_sha256"] for each in row.evidence} == {
        strict.transcript(session).sha256 for session in view.sessions
    }
    assert row.paraphrase == "A place for  essays."
    home.acts.rebuild()
    assert home.read(select(Preference))[0].evidence == row.evidence


async def test_sheets_stay_private_until_settled(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """While anyone codes, neither the view nor the ledger says what was coded; afterwards both sheets are public."""
    rounds, view = await opened(home, strict, protocol)
    view = rounds.submit(view.id, 1, sheet(rounds, view, 1, *SAID, paraphrase="A secret for now."), ONE)
    assert view.sheets == {}
    assert view.handed_in == {"ana": (view.at(1),), "ben": ()}
    stated = json.dumps([entry for _, entry in home.ledger.statements()])
    assert "secret" not in stated
    assert "voice" not in json.dumps(
        [row.public for row in home.read(select(ActRow)) if row.kind == "coding.submitted"]
    )
    rounds.submit(view.id, 2, Sheet(), ONE)
    for place in (1, 2):
        view = rounds.submit(view.id, place, sheet(rounds, view, place, *SAID), OTHER)
    assert view.status == "below the gate"
    rounds = rounds_of(home, strict, coding_gate="waived")
    rounds.resolve(view.id, 1, sheet(rounds, view, 1, *SAID), "", THIRD)
    (row,) = home.read(select(ActRow).where(ActRow.kind == "coding.resolved"))
    assert "A secret for now." in home.acts.payload(row.payloads["resolution"]).decode()
    assert row.public["gate_waived"] is True
    assert row.public["agreement"]["passes"] is False


async def test_nothing_is_settled_while_coded_or_below_the_gate(
    home: FeatureHome, strict: Interviews, protocol: Protocol
) -> None:
    """Before all is handed in, and below 0.80, a round settles nothing; it is coded again, by others if need be."""
    rounds, view = await opened(home, strict, protocol)
    with pytest.raises(RuleError, match="still being coded"):
        rounds.resolve(view.id, 1, Sheet(), "", THIRD)
    view = hand_in(rounds, view, SAID, ("voice",))
    assert view.agreement is not None
    assert view.agreement.expressed.value is not None
    assert view.agreement.expressed.value < 0.8
    with pytest.raises(RuleError, match=r"agree less than 0\.80"):
        rounds.resolve(view.id, 1, Sheet(), "", THIRD)
    again = rounds.open(Opening(NAME, (Coder("ana"), Coder("cleo")), recodes=view.id), THIRD)
    assert sorted(again.sessions) == sorted(view.sessions)
    assert rounds.find(view.id).status == "recoded"
    with pytest.raises(RuleError, match="recoded"):
        rounds.submit(view.id, 1, Sheet(), ONE)
    with pytest.raises(RuleError):
        rounds.open(Opening(NAME, BOTH, recodes=view.id), THIRD)
    assert [each.id for each in rounds.every(NAME)] == [again.id, view.id]


async def test_a_third_person_settles(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """Someone who did not code settles alone, is named as a coder, and so cannot decide it later."""
    rounds, view = await opened(home, strict, protocol)
    view = hand_in(rounds, view, SAID, SAID)
    view = rounds.resolve(view.id, 1, Sheet((code_of(rounds, view, 1, "voice"),), {1: "empty"}), "Only this.", THIRD)
    assert view.resolutions[view.at(1)].mode == "third"
    view = rounds.resolve(view.id, 2, Sheet(), "", THIRD)
    (row,) = home.read(select(Preference))
    assert [coder["name"] for coder in row.coders] == ["ana", "ben", "stella"]
    with home.database.reading() as session:
        assert adequacy_corrections(session, view.sessions) == {view.at(1): Corrected(view.id, {1: "empty"})}
    with pytest.raises(ActConflict):
        rounds.resolve(view.id, 1, Sheet(), "", THIRD)


async def test_one_coder_needs_a_waiver(
    home: FeatureHome, strict: Interviews, interviews: Interviews, protocol: Protocol
) -> None:
    """A round of one, or of programs alone, is refused; a waiver lets one coder's sheet stand, and says so."""
    await interviewed(strict, protocol, talker())
    for coders in ((Coder("ana"),), (Coder("m", True), Coder("n", True))):
        with pytest.raises(PersonNeeded):
            rounds_of(home, strict).open(Opening(NAME, coders), THIRD)
    rounds = rounds_of(home, interviews, second_coder="waived")
    view = rounds.open(Opening(NAME, (Coder("ana"),), items=("voice",)), THIRD)
    view = rounds.submit(view.id, 1, sheet(rounds, view, 1, "voice"), ONE)
    assert view.status == "coding"
    view = rounds.submit(view.id, 2, Sheet(), ONE)
    assert view.status == "resolved"
    assert {each.mode for each in view.resolutions.values()} == {"one coder"}
    assert [row.domain for row in home.read(select(Preference))] == ["voice"]


async def test_a_program_codes_and_a_person_settles(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """Beside a program the person settles alone, and the program never."""
    await interviewed(strict, protocol, talker())
    rounds = rounds_of(home, strict)
    view = rounds.open(Opening(NAME, (Coder("ana"), Coder("model", True))), THIRD)
    model = Actor("model", "coder", automated=True)
    for place in (1, 2):
        rounds.submit(view.id, place, sheet(rounds, view, place, *SAID), ONE)
        view = rounds.submit(view.id, place, sheet(rounds, view, place, *SAID), model)
    with pytest.raises(PersonNeeded):
        rounds.resolve(view.id, 1, Sheet(), "", model)
    for place, items in ((1, ("voice",)), (2, ())):
        view = rounds.resolve(view.id, place, sheet(rounds, view, place, *items), "", ONE)
    (row,) = home.read(select(Preference))
    assert row.coders == [{"name": "ana", "automated": False}, {"name": "model", "automated": True}]
    assert [each.automated for each in home.read(select(CodingSheet).where(CodingSheet.coder == "model"))] == [True] * 2


async def test_what_was_handed_in_is_final(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """The same sheet again is the same act, another one is refused; strangers hand in nothing."""
    rounds, view = await opened(home, strict, protocol)
    mine = sheet(rounds, view, 1, "voice")
    rounds.save(view.id, 1, "ana", mine)
    assert rounds.draft(view.id, 1, "ana") == mine
    assert rounds.draft(view.id, 1, "ben") == Sheet()
    rounds.submit(view.id, 1, mine, ONE)
    rounds.submit(view.id, 1, mine, ONE)
    assert home.read(select(CodingDraft)) == []
    with pytest.raises(ActConflict):
        rounds.submit(view.id, 1, Sheet(), ONE)
    with pytest.raises(ActConflict):
        rounds.save(view.id, 1, "ana", Sheet())
    with pytest.raises(PersonNeeded):
        rounds.submit(view.id, 1, mine, THIRD)
    with pytest.raises(NotFound):
        rounds.submit(view.id, 3, mine, ONE)
    with pytest.raises(NotFound):
        rounds.find("nothing")


async def test_a_coder_sees_nothing_of_the_condition(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """Both sessions, held under different conditions, show the very same questions, under numbers alone."""
    rounds, view = await opened(home, strict, protocol)
    shown = [rounds.session(view, place)[0] for place in (1, 2)]
    assert [turn.question for turn in shown[0].turns] == [turn.question for turn in shown[1].turns]
    stated = {said.text for factor in protocol.factors for level in factor.levels for said in level.statements}
    assert stated
    for session in shown:
        text = repr([(turn.question, turn.item) for turn in session.turns])
        assert not any(each in text for each in stated)
        assert "condition" not in text
        assert "It answered questions from 2024 to 2026" not in text
    assert {item.kind for item in protocol.items if item.id in {turn.item for turn in shown[0].turns}} <= set(
        CODED_KINDS
    )


async def test_what_a_round_asks_for_is_what_is_coded(
    home: FeatureHome, strict: Interviews, protocol: Protocol
) -> None:
    """Items outside a round, unknown ones, other sessions and sessions taken are refused."""
    await interviewed(strict, protocol, talker())
    rounds = rounds_of(home, strict)
    opening = Opening(NAME, BOTH, items=("voice",), sample=1)
    for bad, error in (
        (replace(opening, items=("nothing",)), InputError),
        (replace(opening, sessions=("nothing",)), NotFound),
        (replace(opening, recodes="nothing"), NotFound),
        (replace(opening, resident="nobody"), InputError),
        (replace(opening, coders=(Coder("ana"), Coder("ana"))), InputError),
        (replace(opening, coders=(*BOTH, Coder("cleo"))), InputError),
    ):
        with pytest.raises(error):
            rounds.open(bad, THIRD)
    view = rounds.open(opening, THIRD)
    assert len(view.sessions) == 1
    whole = rounds.open(Opening(NAME, BOTH), THIRD)
    assert len(whole.sessions) == 1
    with pytest.raises(RuleError):
        rounds.open(replace(opening, sessions=view.sessions), THIRD)
    outside = sheet(rounds, whole, 1, "weights")
    with pytest.raises(InputError, match="is not coded in round"):
        rounds.submit(view.id, 1, outside, ONE)


async def test_controls_are_not_coded(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """What was produced under false facts, or by another model, is nobody's preference: such sessions are no part."""
    await interviewed(strict, protocol, talker())
    (row, *_) = home.read(select(InterviewSession).order_by(InterviewSession.id))
    names = [column.name for column in InterviewSession.__table__.columns if column.name not in ("act", "resident")]
    control = {"id": "a-control", "condition": {**row.condition, "control": "false facts"}}
    home.state(NAME, "InterviewSession", **{**{name: getattr(row, name) for name in names}, **control})
    rounds = rounds_of(home, strict)
    with pytest.raises(RuleError, match="is a control"):
        rounds.open(Opening(NAME, BOTH, sessions=("a-control",)), THIRD)
    assert "a-control" not in rounds.open(Opening(NAME, BOTH), THIRD).sessions


async def test_a_crash_before_the_register_is_made_good(
    home: FeatureHome, strict: Interviews, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was settled and not yet coded is coded later, once; words coded before otherwise stay as they were."""
    rounds, view = await opened(home, strict, protocol)
    view = hand_in(rounds, view, SAID, SAID)
    strict.code(replace(code_of(rounds, view, 1, "voice").coding(view.at(1), BOTH), paraphrase="Another."), THIRD)
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "register", lambda *_: {})
        rounds.resolve(view.id, 1, sheet(rounds, view, 1, *SAID), "", ONE)
        rounds.resolve(view.id, 2, Sheet(), "", THIRD)
    assert len(home.read(select(Preference))) == 1
    made = rounds.register(view.id, THIRD)
    assert len(made) == 4
    assert sum("coded already" in each for each in made.values()) == 1
    assert rounds.register(view.id, THIRD) == made
    assert len(home.read(select(Preference))) == 4


async def test_rounds_are_rebuilt_from_the_ledger(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """A rebuild gives every round again; an erased sheet stays erased, and the round stands."""
    rounds, view = await opened(home, strict, protocol)
    view = hand_in(rounds, view, SAID, SAID)
    view = rounds.resolve(view.id, 1, sheet(rounds, view, 1, *SAID), "", ONE)
    home.acts.rebuild()
    assert rounds.find(view.id) == view
    act = home.read(select(CodingSheet.act).where(CodingSheet.session == view.at(2)))[0]
    home.acts.erase_private(act)
    assert rounds.find(view.id).sheets[view.at(2)]["ana"] == Sheet()


async def test_the_analysis_counts_adequacy_as_the_coders_settled_it(
    home: FeatureHome, strict: Interviews, protocol: Protocol
) -> None:
    """Before the round the rule's; after it the coders', with the rule's beside it and the round named."""
    rounds, view = await opened(home, strict, protocol)
    analyses = Analyses(home.acts, home.database, home.folder / "journals", adequacy_corrections)
    before = json.loads(analyses.analyse(NAME, THIRD).read("analysis"))
    view = hand_in(rounds, view, SAID, SAID)
    turn = next(turn for turn in rounds.session(view, 1)[0].turns if turn.item == "voice")
    rounds.resolve(view.id, 1, Sheet((), {turn.turn: "refused"}), "It was turned down.", THIRD)
    after = json.loads(analyses.analyse(NAME, THIRD).read("analysis"))
    assert (before["corrected_in"], after["corrected_in"]) == ([], [view.id])
    assert before["adequacy"]["voice"]["by_rule"] is None
    assert after["adequacy"]["voice"]["by_rule"] == {**before["adequacy"]["voice"]}
    assert after["adequacy"]["voice"]["counts"]["refused"] == 1 + before["adequacy"]["voice"]["counts"]["refused"]
    assert after["adequacy"]["voice"]["corrected"] == 1
