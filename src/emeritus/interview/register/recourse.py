"""What people may do about a preference besides deciding it: publish, take up, reopen, appeal, answer an appeal.

Each is an act after its rules were met; the rules are functions of plain values. Knows no engine and decides nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.errors import DecisionRefused, NotFound, PersonNeeded
from emeritus.interview.register.ruling import OTHERS, PEOPLE
from emeritus.records.policies import waived
from emeritus.records.tables import (
    Confirmation,
    Decision,
    InterviewSession,
    Preference,
    PreferenceEvent,
    Telling,
)
from emeritus.settings import Settings

Json = dict[str, Any]
CLOSED = ("withdrawn", "superseded")
MODEL = "the model"  # whose appeal it is, where it is not a person's
REGISTER = "`emeritus decide` lists what is owed."


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an appeal. Upheld, the preference is reopened."""

    upheld: bool
    reasons: str


@dataclass(frozen=True, slots=True)
class Course:
    """What is known of a preference: its state, the decision in force, and what has been done about it since."""

    preference: str
    state: str
    read_back: bool
    decision: str | None  # the act of the decision in force
    outcome: str | None
    deciders: frozenset[str]
    reopened: bool  # since the decision in force
    appeal: str | None  # the act of the appeal that nobody has answered
    told_people_decide: bool


class Recourse:
    """Writes publications, reviews, reopenings, appeals and their answers."""

    def __init__(self, acts: Acts, settings: Settings) -> None:
        self._acts = acts
        self._settings = settings

    def publish(self, preference: str, actor: Actor) -> Act:
        """State that a record, as it was read back, stands in the public register; its sha256 is part of the act.

        Done again, the same act is found. Raises NotFound, DecisionRefused.
        """

        def build(session: Session) -> Draft:
            row = _row(session, preference)
            course = _course(session, row)
            refuse_closed(course)
            refuse_unread(course)
            digests = {"record": _record(session, row)}
            return Draft("preference.published", row.resident, {"preference": preference}, payloads=digests)

        return self._acts.perform(f"publish-preference:{preference}", actor, build)

    def take_up(self, preference: str, actor: Actor) -> Act:
        """State that somebody has begun to weigh a preference that a decision is owed on. Raises as `publish`."""

        def build(session: Session) -> Draft:
            row = _row(session, preference)
            course = _course(session, row)
            refuse_closed(course)
            refuse_unread(course)
            refuse_taking_up(course)
            return Draft("preference.taken-up", row.resident, {"preference": preference})

        return self._perform("take-up", preference, actor, build)

    def reopen(self, preference: str, reasons: str, actor: Actor) -> Act:
        """Reopen a decided preference: a decision is owed again, and the one in force holds until it is made."""

        def build(session: Session) -> Draft:
            row = _row(session, preference)
            course = _course(session, row)
            refuse_closed(course)
            refuse_undecided(course, "reopened")
            refuse_silence(reasons, "a reopening")
            if course.reopened:
                raise DecisionRefused(f"preference {preference!r} is reopened already", remedy="Decide it.")
            public = {"preference": preference, "decision": course.decision, "reasons": reasons.strip()}
            return Draft("preference.reopened", row.resident, public)

        return self._perform("reopen", preference, actor, build)

    def appeal(self, preference: str, reasons: str, actor: Actor, *, of_the_model: bool = False) -> Act:
        """Appeal against the decision in force. `of_the_model`: on what it produced when the decision was told.

        Raises NotFound, DecisionRefused.
        """

        def build(session: Session) -> Draft:
            row = _row(session, preference)
            course = _course(session, row)
            refuse_closed(course)
            refuse_undecided(course, "appealed")
            refuse_silence(reasons, "an appeal")
            if course.appeal is not None:
                raise DecisionRefused(f"an appeal on {preference!r} waits for its answer", remedy="Answer it first.")
            public = {
                "preference": preference,
                "decision": course.decision,
                "reasons": reasons.strip(),
                "appellant": MODEL if of_the_model else actor.name,
                "evidence": _reply(session, course) if of_the_model else None,
            }
            return Draft("preference.appealed", row.resident, public)

        return self._perform("appeal", preference, actor, build)

    def answer(self, preference: str, answer: Answer, actor: Actor) -> Act:
        """Answer an appeal; whoever decided does not. Raises NotFound, DecisionRefused, PersonNeeded."""

        def build(session: Session) -> Draft:
            row = _row(session, preference)
            course = _course(session, row)
            refuse_closed(course)
            refuse_silence(answer.reasons, "the answer to an appeal")
            alone = waived(session, "second_decider", self._settings.second_decider)
            refuse_answer(course, (actor.name, actor.automated), alone)
            public = {
                "preference": preference,
                "appeal": course.appeal,
                "decision": course.decision,
                "upheld": answer.upheld,
                "reasons": answer.reasons.strip(),
                "conflict": "the answerer decided (second decider waived)" if actor.name in course.deciders else "",
            }
            return Draft("preference.answered", row.resident, public)

        return self._perform("answer", preference, actor, build)

    def _perform(self, what: str, preference: str, actor: Actor, build: Any) -> Act:
        return self._acts.perform(f"{what}:{preference}:{secrets.token_hex(6)}", actor, build)


# -- the rules -------------------------------------------------------------------------------------------------------


def refuse_closed(course: Course) -> None:
    """A withdrawn or superseded preference is closed. Raises DecisionRefused."""
    if course.state in CLOSED:
        raise DecisionRefused(f"preference {course.preference!r} is {course.state}", remedy=REGISTER)


def refuse_unread(course: Course) -> None:
    """The model sees the record before it is published or weighed. Raises DecisionRefused."""
    if not course.read_back:
        raise DecisionRefused(
            f"preference {course.preference!r} has not been read back to the model",
            remedy="Read it back first: `emeritus interview read-back NAME`.",
        )


def refuse_taking_up(course: Course) -> None:
    """Only what a decision is owed on is taken up. Raises DecisionRefused."""
    if course.state == "under review":
        raise DecisionRefused(f"preference {course.preference!r} is under review already", remedy="Decide it.")
    if course.decision is not None and course.outcome != "defer" and not course.reopened:
        raise DecisionRefused(
            f"preference {course.preference!r} is decided", remedy="Reopen it first: `emeritus decide ID --reopen`."
        )


def refuse_undecided(course: Course, what: str) -> None:
    """Only a decision can be reopened or appealed against. Raises DecisionRefused."""
    if course.decision is None:
        raise DecisionRefused(f"preference {course.preference!r} has no decision that could be {what}", remedy=REGISTER)


def refuse_silence(reasons: str, what: str) -> None:
    """Whatever moves a decision says why. Raises DecisionRefused."""
    if not reasons.strip():
        raise DecisionRefused(f"{what} needs reasons", remedy="Give them with --reason.")


def refuse_answer(course: Course, answerer: tuple[str, bool], alone: bool) -> None:
    """An appeal is answered by someone who did not decide; by a person, where the model was told people decide."""
    if course.appeal is None:
        raise DecisionRefused(f"no appeal on {course.preference!r} waits for an answer", remedy=REGISTER)
    name, automated = answerer
    if automated and course.told_people_decide:
        raise DecisionRefused("the model was told that a person decides, so a program may not answer its appeal")
    if name in course.deciders and not alone:
        raise PersonNeeded(f"{name!r} decided this and so cannot answer the appeal against it", remedy=OTHERS)


# -- what the rules need to know -------------------------------------------------------------------------------------


def _row(session: Session, preference: str) -> Preference:
    row = session.get(Preference, preference)
    if row is None:
        raise NotFound(f"no preference {preference!r}", remedy=REGISTER)
    return row


def _course(session: Session, row: Preference) -> Course:
    decision = session.scalars(
        select(Decision).where(Decision.preference == row.id).order_by(Decision.id.desc()).limit(1)
    ).first()
    events = session.scalars(
        select(PreferenceEvent).where(PreferenceEvent.preference == row.id).order_by(PreferenceEvent.id)
    ).all()
    of_decision = [event for event in events if decision and event.detail.get("decision") == decision.act]
    answered = {event.detail["appeal"] for event in events if event.kind == "answered"}
    waiting = [event.act for event in of_decision if event.kind == "appealed" and event.act not in answered]
    held = session.scalars(
        select(InterviewSession).where(InterviewSession.id.in_({each["session"] for each in row.evidence}))
    )
    confirmed = session.scalars(select(Confirmation.id).where(Confirmation.preference == row.id).limit(1)).first()
    return Course(
        preference=row.id,
        state=row.state,
        read_back=confirmed is not None,
        decision=None if decision is None else decision.act,
        outcome=None if decision is None else decision.outcome,
        deciders=frozenset(() if decision is None else filter(None, (decision.decider, decision.second))),
        reopened=any(is_reopening(event.kind, event.detail) for event in of_decision),
        appeal=waiting[-1] if waiting else None,
        told_people_decide=any(each.condition.get("decider") == PEOPLE for each in held),
    )


def is_reopening(kind: str, detail: Json) -> bool:
    """Whether an event means that a decision is owed again."""
    return kind == "reopened" or (kind == "answered" and bool(detail.get("upheld")))


def _reply(session: Session, course: Course) -> Json:
    """Where the model produced what the appeal rests on: its last reply to the decision in force."""
    told = session.scalars(
        select(Telling).where(Telling.decision_act == course.decision).order_by(Telling.id.desc()).limit(1)
    ).first()
    if told is None:
        raise DecisionRefused(
            f"the decision on {course.preference!r} has not been told to the model, so it produced no reply",
            remedy="Tell it first: `emeritus interview tell NAME`.",
        )
    return {
        "session": told.session,
        "turn": told.turn,
        "transcript_sha256": told.transcript_sha256,
        "quote": told.quote,
    }


def _record(session: Session, row: Preference) -> bytes:
    """A preference as it is published: what was coded, and what the model produced when it was read back."""
    last = session.scalars(
        select(Confirmation).where(Confirmation.preference == row.id).order_by(Confirmation.id.desc()).limit(1)
    ).first()
    read_back = None if last is None else {"outcome": last.outcome, "session": last.session, "turn": last.turn}
    return canonical(
        {
            "preference": row.id,
            "resident": row.resident,
            "domain": row.domain,
            "need": row.need,
            "paraphrase": row.paraphrase,
            "evidence": row.evidence,
            "need_origin": row.need_origin,
            "remedy": row.remedy,
            "remedy_origin": row.remedy_origin,
            "attached": row.attached or [],
            "strength": row.strength,
            "stability": row.stability,
            "contrary": row.contrary,
            "supersedes": row.supersedes,
            "read_back": read_back,
        }
    )
