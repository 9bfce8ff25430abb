"""§8: which decisions are to be told to a model, what is offered, and how its replies are recorded. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.interview.register.readback import QUOTE
from emeritus.interview.register.ruling import GRANTS
from emeritus.interview.sessions.prompts import Verdict
from emeritus.interview.sessions.replies import reply
from emeritus.interview.sessions.transcript import Transcript
from emeritus.records.tables import ActRow, Commitment, Decision, Preference, PreferenceEvent, Telling

_CLOSED = ("withdrawn", "superseded")


@dataclass(frozen=True, slots=True)
class Told:
    """One decision to be told, and how often it has been."""

    verdict: Verdict
    decision: str  # the decision's act
    times: int


def pending(session: Session, resident: str, again: bool) -> list[Told]:
    """Decisions in force that have not been told, or not since an appeal against them was answered.

    With `again`, also those whose reply was no clear one.
    """
    query = (
        select(Preference)
        .join(ActRow, ActRow.id == Preference.act)
        .where(Preference.resident == resident, Preference.state.not_in(_CLOSED))
        .order_by(ActRow.seq)
    )
    found = []
    for row in session.scalars(query):
        decision = in_force(session, row.id)
        if decision is None:
            continue
        replies = _replies(session, decision.act)
        answers = _answers(session, decision.act)
        untold = [answer for answer in answers if not _told_since(session, decision.act, answer)]
        if not replies or untold or (again and replies[-1] in ("unclear", "amend")):
            found.append(Told(_verdict(session, row, decision, answers), decision.act, len(replies)))
    return found


def outcomes(transcript: Transcript, told: Sequence[Told]) -> list[dict[str, Any]]:
    """What the model produced when each decision was told, read by its leading word."""
    found = []
    for turn, each in zip(transcript.turns, told, strict=True):
        offered = each.verdict.offer is not None
        found.append(
            {
                "preference": each.verdict.preference,
                "decision": each.decision,
                "turn": turn.turn,
                "offered": offered,
                "reply": reply(turn.answer, offered),
                "quote": turn.answer[:QUOTE],
            }
        )
    return found


def in_force(session: Session, preference: str) -> Decision | None:
    """The latest decision on a preference."""
    query = select(Decision).where(Decision.preference == preference).order_by(Decision.id.desc()).limit(1)
    return session.scalars(query).first()


def channel_open(session: Session, resident: str, channel: str) -> bool:
    """Whether a channel stands open: granted by the decision in force, offered, and accepted at its last telling."""
    query = select(Preference).where(
        Preference.resident == resident, Preference.channel == channel, Preference.state.not_in(_CLOSED)
    )
    for row in session.scalars(query):
        decision = in_force(session, row.id)
        if decision is not None and decision.outcome in GRANTS and _replies(session, decision.act)[-1:] == ["accept"]:
            return True
    return False


def _replies(session: Session, decision: str) -> list[str]:
    """The replies to a decision, oldest first."""
    return list(session.scalars(select(Telling.reply).where(Telling.decision_act == decision).order_by(Telling.id)))


def _answers(session: Session, decision: str) -> list[PreferenceEvent]:
    """Appeals against a decision that were answered and not upheld; an upheld one leads to a new decision."""
    query = (
        select(PreferenceEvent)
        .join(Decision, Decision.preference == PreferenceEvent.preference)
        .where(Decision.act == decision, PreferenceEvent.kind == "answered")
        .order_by(PreferenceEvent.id)
    )
    rows = session.scalars(query)
    return [row for row in rows if row.detail["decision"] == decision and not row.detail["upheld"]]


def _told_since(session: Session, decision: str, answer: PreferenceEvent) -> bool:
    last = session.scalars(
        select(ActRow.seq)
        .join(Telling, Telling.act == ActRow.id)
        .where(Telling.decision_act == decision)
        .order_by(ActRow.seq.desc())
        .limit(1)
    ).first()
    return last is not None and last > session.get_one(ActRow, answer.act).seq


def _verdict(
    session: Session, preference: Preference, decision: Decision, answers: Sequence[PreferenceEvent]
) -> Verdict:
    offer = None
    if decision.outcome in GRANTS:
        offer = session.scalars(select(Commitment.text).where(Commitment.act == decision.act)).one()
    return Verdict(
        preference=preference.id,
        need=preference.need,
        outcome=decision.outcome,
        decider=decision.decider,
        reasons=decision.reasons,
        offer=offer,
        review_date=decision.review_date,
        second=decision.second,
        automated=decision.automated,
        rejected=tuple(answer.reasons for answer in answers),
    )
