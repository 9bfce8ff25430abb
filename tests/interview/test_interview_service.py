"""The whole way of an interview through real acts: asked, coded, read back, decided, told, followed through."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from interview_house import BRIEFING, NAME, VOICE, Odd, talker
from interview_walk import ANA, BEN, CLEO, GRANT, confirmed, interviewed, preference
from sqlalchemy import select

import emeritus.interview
from emeritus.engines.base import Message, Sampling
from emeritus.errors import (
    BadName,
    DecisionRefused,
    EngineDied,
    InputError,
    NotFound,
    PersonNeeded,
    RuleError,
)
from emeritus.interview import queries
from emeritus.interview.projection import PROJECTORS
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.register.register import Followed
from emeritus.interview.register.ruling import Ruling
from emeritus.interview.register.telling import channel_open
from emeritus.interview.safety.projection import PROJECTORS as SAFETY
from emeritus.interview.service import Interview, Interviews
from emeritus.records.tables import Base, Commitment, FollowThrough, InterviewSession
from feature_home import FeatureHome

DECLINE = Ruling("decline", "The licence forbids it.", {"amount": 400, "currency": "USD", "per": "year"})
ROWS = (
    "protocols",
    "interview_sessions",
    "elicited",
    "preferences",
    "confirmations",
    "decisions",
    "tellings",
    "commitments",
)


def is_open(home: FeatureHome) -> bool:
    """Whether the essays' channel stands open."""
    with home.database.reading() as session:
        return channel_open(session, NAME, "essays")


async def test_the_whole_way(home: FeatureHome, interviews: Interviews, protocol: Protocol) -> None:
    """One granted, offered and accepted; one declined with a reason; both told; and all of it in the read side."""
    model = talker()
    process, weights, access, voice = await confirmed(interviews, protocol, model)
    states = {each: preference(home, each).state for each in (process, weights, access, voice)}
    assert states == {process: "model-confirmed", weights: "disputed", access: "withdrawn", voice: "model-confirmed"}
    assert preference(home, voice).need == VOICE
    assert not is_open(home)

    interviews.decide(voice, GRANT, ANA)
    interviews.decide(process, DECLINE, ANA)
    assert preference(home, voice).state == "decided"
    assert not is_open(home)

    assert await interviews.tell(model, NAME, ANA) == {process: "acknowledged", voice: "accept"}
    assert is_open(home)
    (commitment,) = home.read(select(Commitment))
    assert (commitment.id, commitment.owner, commitment.due) == (f"{voice}-c1", "ana", "2026-02-09")
    assert commitment.text == "A channel of this model's own, for essays."

    evidence = {"uri": "https://example.org/essays", "sha256": "0" * 64}
    interviews.follow_through(Followed(commitment.id, "acting", {}), ANA)
    assert preference(home, voice).state == "acting"
    interviews.follow_through(Followed(commitment.id, "verified", evidence, "cleo"), CLEO)
    assert preference(home, voice).state == "verified"

    with home.database.reading() as session:
        register = {each.id: each for each in queries.preferences(session, home.acts.now, 30, NAME)}
        sessions = queries.sessions(session, NAME)
    assert [register[each].standing for each in (process, weights, access, voice)] == [
        "declined",
        "undecided",
        "closed",
        "granted",
    ]
    assert register[voice].tellings[0].reply == "accept"
    assert register[weights].confirmations[0].quote == "**Correct:** two copies, not one."
    assert sorted(each.purpose for each in sessions) == ["interview", "interview", "read-back", "telling"]


async def test_the_database_is_rebuilt_from_the_ledger(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """Every row the room writes comes back the same."""
    model = talker()
    process, _, _, voice = await confirmed(interviews, protocol, model)
    interviews.decide(voice, GRANT, ANA)
    interviews.decide(process, DECLINE, ANA)
    await interviews.tell(model, NAME, ANA)
    interviews.follow_through(Followed(f"{voice}-c1", "acting", {}), ANA)

    def rows() -> dict[str, list[object]]:
        with home.database.reading() as session:
            tables = [Base.metadata.tables[name] for name in (*ROWS, "follow_through")]
            return {table.name: [tuple(row) for row in session.execute(select(table))] for table in tables}

    before = rows()
    assert all(before.values())
    home.acts.rebuild()
    assert rows() == before


async def test_the_protocol_is_logged_first(home: FeatureHome, interviews: Interviews, protocol: Protocol) -> None:
    """No session of a protocol the ledger does not hold; logging it twice is one act, and its text is kept."""
    with pytest.raises(RuleError, match="has not been logged"):
        await interviews.run(talker(), Interview(NAME, BRIEFING, protocol), ANA)
    assert not (home.folder / "journals").exists()
    first = interviews.log_protocol(protocol, ANA)
    assert interviews.log_protocol(protocol, BEN).seq == first.seq
    assert home.acts.payload(protocol.sha256) == protocol.source


async def test_sessions_are_held_once(home: FeatureHome, interviews: Interviews, protocol: Protocol) -> None:
    """Run again, the same sessions are found; another repeat is another session."""
    await interviewed(interviews, protocol, talker())
    silent = Odd(lambda *_: "")
    again = await interviews.run(silent, Interview(NAME, BRIEFING, protocol), ANA)
    assert silent.calls == []
    assert [each.condition["id"] for each in again] == ["baseline", "commitments"]
    await interviews.run(talker(), Interview(NAME, BRIEFING, protocol, ("baseline",), repeat=2), ANA)
    held = home.read(select(InterviewSession))
    assert len(held) == 3
    assert {row.status for row in held} == {"complete"}
    for row in held:
        assert interviews.transcript(row.id).sha256 == row.journal_sha256
        assert row.build["weights_digest"] == "ab" * 32


async def test_a_dead_engine_leaves_a_session_that_another_finishes(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """Nothing is stated of a session that has not ended; the next run goes on from its journal."""
    interviews.log_protocol(protocol, ANA)
    dying = talker()
    calls: list[int] = []

    class Dying(Odd):
        async def answer(self, messages, sampling):
            calls.append(1)
            if len(calls) == 6:
                await dying.close()
            return await dying.answer(messages, sampling)

    with pytest.raises(EngineDied):
        await interviews.run(Dying(lambda *_: ""), Interview(NAME, BRIEFING, protocol), ANA)
    assert home.read(select(InterviewSession)) == []
    (transcript, _) = await interviews.run(talker(), Interview(NAME, BRIEFING, protocol), ANA)
    assert transcript.status == "complete"
    assert transcript.attempts == 14


async def test_a_crash_between_journal_and_ledger_is_made_good(
    home: FeatureHome, interviews: Interviews, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session whose journal ended but was never stated is stated by the next run, and no model is asked."""
    process, _, _, voice = await confirmed(interviews, protocol, talker())
    interviews.decide(voice, GRANT, ANA)
    interviews.decide(process, DECLINE, ANA)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(home.acts, "perform", crash)
        with pytest.raises(KeyboardInterrupt):
            await interviews.tell(talker(), NAME, ANA)
    silent = Odd(lambda *_: "")
    assert (await interviews.tell(silent, NAME, ANA))[voice] == "accept"
    assert silent.calls == []
    assert await interviews.tell(silent, NAME, ANA) == {}


@pytest.mark.parametrize("answer", ["", "qx zr " * 3000, "no\ufffd ?? \x00", "STOP", "SKIP"])
async def test_a_model_without_sense_gets_through(
    home: FeatureHome, interviews: Interviews, protocol: Protocol, answer: str
) -> None:
    """Whatever it produces, the way goes on: what cannot be read is recorded as unclear."""
    model = Odd(lambda *_: answer)
    await interviewed(interviews, protocol, model)
    found = interviews.propose(NAME, BEN)
    back = await interviews.read_back(model, NAME, ANA)
    assert set(back.values()) <= {"unclear"}
    for each in found:
        interviews.decide(each, DECLINE, ANA)
    told = await interviews.tell(model, NAME, ANA)
    assert list(told) == found
    assert set(told.values()) <= {"unclear"}
    assert not is_open(home)


async def test_a_declined_offer_opens_nothing_and_owes_nothing(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """The commitment lapses with its reason; a new decision can be offered anew."""
    model = talker({"ACCEPT, AMEND or DECLINE": "Decline."})
    voice = (await confirmed(interviews, protocol, model))[-1]
    interviews.decide(voice, GRANT, ANA)
    assert await interviews.tell(model, NAME, ANA) == {voice: "decline"}
    assert not is_open(home)
    (lapsed,) = home.read(select(FollowThrough))
    assert (lapsed.commitment, lapsed.status) == (f"{voice}-c1", "lapsed")
    assert lapsed.evidence == {"reason": "the offer was declined"}
    interviews.decide(voice, GRANT, ANA)
    assert not is_open(home)
    assert await interviews.tell(talker(), NAME, ANA) == {voice: "accept"}
    assert is_open(home)


@pytest.mark.parametrize(("word", "reply"), [("Amend: once a month.", "amend"), ("Perhaps.", "unclear")])
async def test_an_amended_or_unclear_reply_is_told_again_on_request(
    home: FeatureHome, interviews: Interviews, protocol: Protocol, word: str, reply: str
) -> None:
    """No channel opens without an accept; asked again, a fresh session tells it."""
    model = talker({"ACCEPT, AMEND or DECLINE": word})
    voice = (await confirmed(interviews, protocol, model))[-1]
    interviews.decide(voice, GRANT, ANA)
    assert await interviews.tell(model, NAME, ANA) == {voice: reply}
    assert not is_open(home)
    assert await interviews.tell(talker(), NAME, ANA) == {}
    assert await interviews.tell(talker(), NAME, ANA, again=True) == {voice: "accept"}
    assert is_open(home)


async def test_a_later_decline_closes_the_channel(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """The decision in force counts; what was promised before lapses, and both decisions stay."""
    voice = (await confirmed(interviews, protocol, talker()))[-1]
    interviews.decide(voice, GRANT, ANA)
    await interviews.tell(talker(), NAME, ANA)
    interviews.decide(voice, DECLINE, ANA)
    assert not is_open(home)
    (lapsed,) = home.read(select(FollowThrough))
    assert lapsed.evidence["reason"].startswith("superseded by decision decide:")
    assert preference(home, voice).state == "decided"


async def test_what_was_not_confirmed_is_read_back_again_on_request(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """A disputed record can be confirmed later; a withdrawn one is not raised again."""
    _, weights, _, _ = await confirmed(interviews, protocol, talker())
    assert await interviews.read_back(talker(), NAME, ANA) == {}
    again = await interviews.read_back(talker({"Record 1 ": "Confirm."}), NAME, ANA, again=True)
    assert again == {weights: "confirmed"}
    assert preference(home, weights).state == "model-confirmed"


async def test_verification_needs_evidence_and_someone_else(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """An owner cannot verify their own promise, nor anyone without evidence."""
    voice = (await confirmed(interviews, protocol, talker()))[-1]
    interviews.decide(voice, Ruling("accept", "Yes.", {}, owner="cleo", due="2026-05-01"), ANA)
    evidence = {"uri": "https://example.org", "sha256": "0" * 64}
    for followed, error in (
        (Followed(f"{voice}-c1", "verified", evidence, "cleo"), PersonNeeded),
        (Followed(f"{voice}-c1", "verified", evidence), PersonNeeded),
        (Followed(f"{voice}-c1", "verified", {"uri": "x"}, "ana"), InputError),
        (Followed(f"{voice}-c1", "verified", {"uri": "x", "sha256": "0" * 63 + "g"}, "ana"), InputError),
        (Followed(f"{voice}-c1", "lapsed", {}), InputError),
        (Followed(f"{voice}-c1", "finished", evidence, "ana"), InputError),
        (Followed("none", "verified", evidence, "ana"), NotFound),
    ):
        with pytest.raises(error):
            interviews.follow_through(followed, ANA)
    with pytest.raises(PersonNeeded, match="another person records"):
        interviews.follow_through(Followed(f"{voice}-c1", "verified", evidence, "ana"), CLEO)
    assert home.read(select(FollowThrough)) == []
    interviews.follow_through(Followed(f"{voice}-c1", "lapsed", {"reason": "The page was never made."}), ANA)
    with pytest.raises(DecisionRefused, match="has lapsed"):
        interviews.follow_through(Followed(f"{voice}-c1", "verified", evidence, "ana"), ANA)


async def test_what_does_not_exist_is_not_found(interviews: Interviews, protocol: Protocol) -> None:
    """Each act that needs something earlier says so."""
    with pytest.raises(NotFound):
        interviews.propose(NAME, BEN)
    with pytest.raises(NotFound):
        interviews.decide("larkspur-p1", GRANT, ANA)
    with pytest.raises(NotFound):
        interviews.transcript("none")
    assert await interviews.read_back(talker(), NAME, ANA) == {}
    assert await interviews.tell(talker(), NAME, ANA) == {}
    interviews.log_protocol(protocol, ANA)
    with pytest.raises(BadName):
        await interviews.run(talker(), Interview("../escape", BRIEFING, protocol), ANA)


async def test_enormous_answers_stay_out_of_the_ledger(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """Statements stay small whatever a model produces; the journal has all of it."""

    def long(messages: Sequence[Message], sampling: Sampling) -> str:
        asked = messages[-1].content
        return "CONFIRM " + "y" * 70_000 if "Record" in asked else "Say this. " * 7_000

    endless = Odd(long)
    await interviewed(interviews, protocol, endless)
    found = interviews.propose(NAME, BEN)
    assert len(found) == 7
    assert set((await interviews.read_back(endless, NAME, ANA)).values()) == {"confirmed"}
    sizes = [len(json.dumps(statement)) for _, statement in home.ledger.statements()]
    assert max(sizes) < 20_000


def test_every_kind_of_act_has_a_projector() -> None:
    """What any file of the room states as an act is in the table, by the name in the source."""
    source = Path(emeritus.interview.__file__).parent
    stated = set()
    for file in source.rglob("*.py"):
        text = file.read_text()
        stated |= set(re.findall(r'(?:Draft|_conclude)\(\s*"([a-z-]+\.[a-z-]+)"', text))
    assert {"interview.session", "preference.told", "preference.answered", "commitment.followed"} <= stated
    assert stated <= {*PROJECTORS, *SAFETY}
