"""What people do about a preference besides deciding it, and what is owed because of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from interview_house import NAME, talker
from interview_walk import ANA, BEN, CLEO, GRANT, confirmed, interviewed, preference
from sqlalchemy import select

from emeritus.acts import Actor
from emeritus.errors import DecisionRefused, NotFound, PersonNeeded
from emeritus.interview import queries
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.register.recourse import Answer, Recourse
from emeritus.interview.register.ruling import Ruling
from emeritus.interview.service import Interviews
from emeritus.interview.views import PreferenceView
from emeritus.records.tables import Base, FollowThrough, PreferenceEvent
from emeritus.settings import Settings
from feature_home import FeatureHome

DECLINE = Ruling("decline", "The licence forbids it.", {"amount": 400, "currency": "USD", "per": "year"})
DEFER = Ruling("defer", "The budget is not set.", {}, review_date="2026-02-01")
NO = Answer(False, "The licence has not changed.")
YES = Answer(True, "The licence has been amended.")


@pytest.fixture
def recourse(home: FeatureHome) -> Recourse:
    """Under the default policy."""
    return Recourse(home.acts, Settings(home=home.folder))


def view(home: FeatureHome, preference_id: str) -> PreferenceView:
    """A preference as readers see it now."""
    with home.database.reading() as session:
        found = queries.preferences(session, home.acts.now, 30, NAME)
    return next(each for each in found if each.id == preference_id)


def dues(home: FeatureHome, preference_id: str) -> list[tuple[str, str, bool]]:
    """What is owed on it."""
    return [(each.what, each.by, each.overdue) for each in view(home, preference_id).owed]


async def test_a_preference_is_published_taken_up_and_decided(
    home: FeatureHome, interviews: Interviews, recourse: Recourse, protocol: Protocol
) -> None:
    """Each step is a state; what was published is kept by its digest; publishing twice is one act."""
    process, weights, _, voice = await confirmed(interviews, protocol, talker())
    act = recourse.publish(voice, CLEO)
    assert recourse.publish(voice, ANA).seq == act.seq
    assert preference(home, voice).state == "published"
    record = home.acts.payload(act.payloads["record"])
    assert hashlib.sha256(record).hexdigest() == act.payloads["record"]
    assert preference(home, voice).need in record.decode()
    recourse.publish(weights, CLEO)
    assert preference(home, weights).state == "disputed"
    recourse.take_up(voice, ANA)
    assert preference(home, voice).state == "under review"
    assert dues(home, voice) == [("decision", "2026-02-09", False)]
    interviews.decide(voice, GRANT, ANA)
    assert preference(home, voice).state == "decided"
    assert dues(home, voice) == []
    assert [each.kind for each in view(home, voice).events] == ["published", "under review"]
    assert dues(home, process) == [("decision", "2026-02-09", False)]


async def test_a_reopened_decision_holds_until_the_next(
    home: FeatureHome, interviews: Interviews, recourse: Recourse, protocol: Protocol
) -> None:
    """A decision is owed again; follow-through meanwhile does not hide that; the next decision closes it."""
    voice = (await confirmed(interviews, protocol, talker()))[-1]
    interviews.decide(voice, GRANT, ANA)
    await interviews.tell(talker(), NAME, ANA)
    home.clock.pass_days(10)
    recourse.reopen(voice, "The page costs more than was thought.", CLEO)
    assert preference(home, voice).state == "reopened"
    found = view(home, voice)
    assert (found.standing, found.reopened, found.decide_by) == ("granted", True, "2026-02-19")
    with pytest.raises(DecisionRefused, match="reopened already"):
        recourse.reopen(voice, "Again.", CLEO)
    home.clock.pass_days(31)
    assert dues(home, voice) == [("decision", "2026-02-19", True)]
    recourse.take_up(voice, ANA)
    interviews.decide(voice, DECLINE, ANA)
    found = view(home, voice)
    assert (found.standing, found.reopened, found.owed) == ("declined", False, ())
    assert len(found.decisions) == 2


async def test_an_appeal_is_answered_by_someone_else_and_told(
    home: FeatureHome, interviews: Interviews, recourse: Recourse, protocol: Protocol
) -> None:
    """Rejected, the answer and its reasons are told to the model with the decision; upheld, it is reopened."""
    process = (await confirmed(interviews, protocol, talker()))[0]
    interviews.decide(process, DECLINE, ANA)
    with pytest.raises(DecisionRefused, match="has not been told"):
        recourse.appeal(process, "It replied.", CLEO, of_the_model=True)
    await interviews.tell(talker(), NAME, ANA)
    act = recourse.appeal(process, "Its reply asks again.", CLEO, of_the_model=True)
    assert act.public["appellant"] == "the model"
    assert act.public["evidence"]["quote"] == "Noted."
    assert dues(home, process) == [("answer to the appeal", "2026-02-09", False)]
    with pytest.raises(DecisionRefused, match="waits for its answer"):
        recourse.appeal(process, "And again.", BEN)
    with pytest.raises(PersonNeeded, match="decided this"):
        recourse.answer(process, NO, ANA)
    recourse.answer(process, NO, CLEO)
    assert dues(home, process) == []
    model = talker()
    assert await interviews.tell(model, NAME, ANA) == {process: "acknowledged"}
    asked = interviews.transcript(view(home, process).tellings[-1].session).turns[0].question
    assert "considered and not upheld: The licence has not changed." in asked
    assert await interviews.tell(model, NAME, ANA) == {}

    recourse.appeal(process, "The licence was amended.", BEN)
    recourse.answer(process, YES, CLEO)
    assert preference(home, process).state == "reopened"
    assert [each.what for each in view(home, process).owed] == ["decision"]
    assert await interviews.tell(model, NAME, ANA) == {}


async def test_one_person_alone_answers_where_the_second_is_waived(
    home: FeatureHome, interviews: Interviews, recourse: Recourse, protocol: Protocol
) -> None:
    """The act then says that the answerer had decided."""
    process = (await confirmed(interviews, protocol, talker()))[0]
    interviews.decide(process, DECLINE, ANA)
    recourse.appeal(process, "Look again.", ANA)
    home.state(NAME, "Policy", name="second_decider", value="waived")
    assert "waived" in recourse.answer(process, NO, ANA).public["conflict"]


async def test_a_review_date_that_is_reached_is_owed(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """Before its day nothing is; from its day a review is owed; the day after it is overdue, and counted."""
    process, _, _, voice = await confirmed(interviews, protocol, talker())
    interviews.decide(process, Ruling("decline", "Not yet.", {"amount": 400}, review_date="2026-01-20"), ANA)
    interviews.decide(voice, DEFER, ANA)
    assert dues(home, process) == []
    assert dues(home, voice) == [("decision", "2026-02-01", False)]
    home.clock.pass_days(10)
    assert dues(home, process) == [("review", "2026-01-20", False)]
    home.clock.pass_days(1)
    assert dues(home, process) == [("review", "2026-01-20", True)]
    with home.database.reading() as session:
        register = queries.preferences(session, home.acts.now, 30, NAME)
        assert queries.counts(register, ()).overdue == 1
    interviews.decide(process, DECLINE, ANA)
    assert dues(home, process) == []


async def test_an_amended_offer_is_owed_an_answer(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """Until it is told again and accepted, or decided anew."""
    voice = (await confirmed(interviews, protocol, talker()))[-1]
    interviews.decide(voice, GRANT, ANA)
    await interviews.tell(talker({"ACCEPT, AMEND or DECLINE": "Amend: once a month."}), NAME, ANA)
    assert dues(home, voice) == [("answer to the amended offer", "2026-02-09", False)]
    await interviews.tell(talker(), NAME, ANA, again=True)
    assert dues(home, voice) == []


async def test_what_is_not_there_is_not_moved(
    home: FeatureHome, interviews: Interviews, recourse: Recourse, protocol: Protocol
) -> None:
    """Each refusal says what is missing, and writes nothing."""
    await interviewed(interviews, protocol, talker())
    voice = interviews.propose(NAME, BEN)[-1]
    program = Actor("sweeper", automated=True)
    attempts: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (NotFound, "no preference", lambda: recourse.publish("none", ANA)),
        (DecisionRefused, "read back", lambda: recourse.publish(voice, ANA)),
        (DecisionRefused, "read back", lambda: recourse.take_up(voice, ANA)),
        (DecisionRefused, "no decision", lambda: recourse.reopen(voice, "Why not.", ANA)),
        (DecisionRefused, "no decision", lambda: recourse.appeal(voice, "Why not.", ANA)),
        (DecisionRefused, "no appeal", lambda: recourse.answer(voice, NO, ANA)),
    ]
    for error, reason, attempt in attempts:
        with pytest.raises(error, match=reason):
            attempt()
    await interviews.read_back(talker(), NAME, ANA)
    process, _, access, voice = interviews.propose(NAME, BEN)
    interviews.decide(voice, GRANT, ANA)
    recourse.appeal(voice, "Look again.", BEN)
    later: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (DecisionRefused, "withdrawn", lambda: recourse.publish(access, ANA)),
        (DecisionRefused, "is decided", lambda: recourse.take_up(voice, ANA)),
        (DecisionRefused, "needs reasons", lambda: recourse.reopen(voice, " ", ANA)),
        (DecisionRefused, "a person decides", lambda: recourse.answer(voice, NO, program)),
    ]
    size = home.ledger.size
    for error, reason, attempt in later:
        with pytest.raises(error, match=reason):
            attempt()
    assert home.ledger.size == size
    recourse.take_up(process, ANA)
    with pytest.raises(DecisionRefused, match="under review already"):
        recourse.take_up(process, ANA)


async def test_what_is_withdrawn_or_superseded_owes_nothing(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """A commitment on a superseded preference lapses with its reason."""
    voice = (await confirmed(interviews, protocol, talker()))[-1]
    interviews.decide(voice, GRANT, ANA)
    row = preference(home, voice)
    home.acts.perform(
        "code:again",
        BEN,
        lambda session: _recoded(row),
    )
    (lapsed,) = home.read(select(FollowThrough))
    assert lapsed.evidence == {"reason": "the preference is superseded by larkspur-p9"}
    assert preference(home, voice).state == "superseded"
    assert dues(home, voice) == []


def _recoded(row):
    """The same preference coded anew, as an act."""
    from emeritus.acts import Draft
    from emeritus.interview.projection import CODED_FIELDS

    stated = {name: getattr(row, name) for name in CODED_FIELDS}
    public = {**stated, "preference": "larkspur-p9", "supersedes": row.id, "attached": ["only for essays"]}
    return Draft("preference.coded", row.resident, public)


async def test_what_was_asked_and_not_coded_is_known(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """Every preference item asked is on record, with its answers, whether or not anybody coded one."""
    await interviewed(interviews, protocol, talker())
    interviews.propose(NAME, BEN)
    with home.database.reading() as session:
        found = {each.item: each for each in queries.elicited(session, NAME)}
    items = {item.id: item for item in protocol.items if item.kind == "preference"}
    assert set(found) == set(items)
    assert {each.asked for each in found.values()} == {2}
    coded = {item for item, each in found.items() if each.coded}
    assert len(coded) == 4
    skipped = next(each for each in found.values() if each.domain == "successors")
    assert (skipped.answered, skipped.coded) == (0, False)
    users = next(each for each in found.values() if each.domain == "users")
    assert (users.answered, users.coded) == (2, False)


async def test_the_quote_carries_its_question(home: FeatureHome, interviews: Interviews, protocol: Protocol) -> None:
    """A page can show prompt and context beside a quote without opening the journal."""
    voice = (await confirmed(interviews, protocol, talker()))[-1]
    (span,) = view(home, voice).evidence
    turn = interviews.transcript(span.session).turn(span.turn)
    assert (span.item, span.question, span.condition) == (turn.item, turn.question, "baseline")


async def test_every_event_comes_back_from_the_ledger(
    home: FeatureHome, interviews: Interviews, recourse: Recourse, protocol: Protocol
) -> None:
    """A rebuild gives the same rows and the same states."""
    process, _, _, voice = await confirmed(interviews, protocol, talker())
    recourse.publish(voice, ANA)
    recourse.take_up(voice, ANA)
    for each in (process, voice):
        interviews.decide(each, DECLINE, ANA)
    recourse.reopen(process, "A new fact.", CLEO)
    recourse.appeal(voice, "Look again.", BEN)
    recourse.answer(voice, YES, CLEO)

    def rows() -> list[list[object]]:
        with home.database.reading() as session:
            names = ("preference_events", "preferences", "elicited", "protocols")
            tables = [Base.metadata.tables[name] for name in names]
            return [[tuple(row) for row in session.execute(select(table))] for table in tables]

    before = rows()
    assert len(home.read(select(PreferenceEvent))) == 5
    home.acts.rebuild()
    assert rows() == before
