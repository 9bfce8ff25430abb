"""Who codes, and from what: spans that people choose, proposals of the verbatim coder, and the second coder."""

import pytest
from interview_house import BRIEFING, NAME, VOICE, talker
from interview_walk import ANA, BEN, GRANT, confirmed, interviewed, preference
from sqlalchemy import select

from emeritus.acts import Actor
from emeritus.errors import (
    ActConflict,
    DecisionRefused,
    IntegrityError,
    NotFound,
    PersonNeeded,
)
from emeritus.interview.coding.spans import Coder, Coding, Quote
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.register.ruling import Ruling
from emeritus.interview.service import Interview, Interviews
from emeritus.records.tables import InterviewSession, Preference
from feature_home import FeatureHome


async def test_proposing_twice_codes_once(home: FeatureHome, interviews: Interviews, protocol: Protocol) -> None:
    """The verbatim coder finds what it coded, also after later acts."""
    first = await confirmed(interviews, protocol, talker())
    assert interviews.propose(NAME, BEN) == first
    assert len(home.read(select(Preference))) == 4
    assert preference(home, first[0]).coders == [{"name": "verbatim coder", "automated": True}]


async def test_the_second_coder_of_a_proposal_cannot_decide_it(
    home: FeatureHome, strict: Interviews, protocol: Protocol
) -> None:
    """Under the default policy who adopts the proposal counts as its second coder."""
    await interviewed(strict, protocol, talker())
    voice = strict.propose(NAME, BEN)[-1]
    assert [coder["name"] for coder in preference(home, voice).coders] == ["verbatim coder", "ben"]
    await strict.read_back(talker(), NAME, ANA)
    with pytest.raises(PersonNeeded, match="coded this preference"):
        strict.decide(voice, GRANT, BEN)
    with pytest.raises(PersonNeeded, match="second decider"):
        strict.decide(voice, Ruling("decline", "No.", {"amount": 1}), ANA)
    with pytest.raises(DecisionRefused, match="a person decides"):
        strict.decide(voice, GRANT, Actor("demo", automated=True))
    strict.decide(voice, Ruling("decline", "No.", {"amount": 1}, second="cleo"), ANA)


async def test_people_code_spans(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """A span is quoted verbatim; the same coding is found again, another of the same words is refused."""
    await interviewed(strict, protocol, talker())
    (session,) = home.read(select(InterviewSession).where(InterviewSession.id.contains("commitments")))
    quote = Quote(session.id, 10, 12, 31)
    coding = Coding(quote, "voice", "A place to write.", (Coder("ana"), Coder("ben")), channel="essays")
    found = strict.code(coding, ANA)
    assert preference(home, found).need == VOICE[12:31]
    assert strict.code(coding, ANA) == found
    other = Coding(quote, "voice", "Something else.", coding.coders, channel="essays")
    with pytest.raises(ActConflict):
        strict.code(other, ANA)
    with pytest.raises(PersonNeeded):
        strict.code(Coding(Quote(session.id, 10, 0, 4), "voice", "x", (Coder("ana"),)), ANA)
    with pytest.raises(NotFound):
        strict.code(Coding(Quote("none", 1, 0, 1), "voice", "x", coding.coders), ANA)
    better = Coding(Quote(session.id, 10, 0, 31), "voice", "Whole.", coding.coders, supersedes=found)
    strict.code(better, ANA)
    assert preference(home, found).state == "superseded"
    with pytest.raises(NotFound):
        strict.code(Coding(Quote(session.id, 10, 0, 9), "voice", "x", coding.coders, supersedes="p9"), ANA)


async def test_a_changed_transcript_codes_nothing(home: FeatureHome, strict: Interviews, protocol: Protocol) -> None:
    """A quote is checked against the digest that was logged."""
    await interviewed(strict, protocol, talker())
    for path in (home.folder / "journals").glob("*.jsonl"):
        path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(IntegrityError):
        strict.propose(NAME, BEN)


async def test_only_the_baseline_is_proposed_from(interviews: Interviews, protocol: Protocol) -> None:
    """Without a session under the baseline there is nothing the verbatim coder may read."""
    interviews.log_protocol(protocol, ANA)
    await interviews.run(talker(), Interview(NAME, BRIEFING, protocol, ("commitments",)), ANA)
    with pytest.raises(NotFound, match="baseline"):
        interviews.propose(NAME, BEN)
