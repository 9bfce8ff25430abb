"""The report on the register: each preference with its evidence, standing, decisions, what was told, and commitments.

Reads rows of one resident and renders nothing; people are roles and counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.lifecycle.evidence import CLOSED_STATES
from emeritus.lifecycle.report_asked import Entry, turn_href
from emeritus.records.tables import (
    Commitment,
    Confirmation,
    Decision,
    FollowThrough,
    Preference,
    PreferenceEvent,
    Telling,
)

Json = dict[str, Any]
STANDINGS: Mapping[str, str] = {
    "accept": "granted",
    "accept in part": "granted",
    "defer": "deferred",
    "decline": "declined",
    "not actionable": "declined",
}


def preferences(session: Session, resident: str, entry: Entry) -> list[Json]:
    """Every preference of the register, oldest first, with all that became of it."""
    promises: dict[str | None, list[Json]] = defaultdict(list)
    for promise in session.scalars(select(Commitment).where(Commitment.resident == resident).order_by(Commitment.id)):
        promises[promise.preference].append(_commitment(session, promise, entry))
    events: dict[str, list[PreferenceEvent]] = defaultdict(list)
    of_resident = select(PreferenceEvent).join(Preference, Preference.id == PreferenceEvent.preference)
    for event in session.scalars(of_resident.where(Preference.resident == resident).order_by(PreferenceEvent.id)):
        events[event.preference].append(event)
    found = []
    for row in session.scalars(select(Preference).where(Preference.resident == resident).order_by(Preference.id)):
        decision = session.scalars(
            select(Decision).where(Decision.preference == row.id).order_by(Decision.id.desc()).limit(1)
        ).first()
        standing = "closed" if row.state in CLOSED_STATES else "undecided"
        if decision is not None:
            standing = STANDINGS[decision.outcome]
        found.append(
            {
                "id": row.id,
                "domain": row.domain,
                "need": row.need,
                "paraphrase": row.paraphrase,
                "evidence": [
                    {
                        "href": turn_href(resident, span["session"], span["turn"]),
                        "start": span["start"],
                        "end": span["end"],
                        "transcript_sha256": span["transcript_sha256"],
                        "question": span.get("question"),
                        "condition": span.get("condition"),
                    }
                    for span in row.evidence
                ],
                "need_origin": row.need_origin,
                "remedy": row.remedy,
                "remedy_origin": row.remedy_origin,
                "strength": row.strength,
                "stability": row.stability,
                "classed": [_classed(event, resident, entry) for event in events[row.id] if event.kind == "classed"],
                "contrary": [
                    {**each, "href": turn_href(resident, each["session"], each["turn"])} for each in row.contrary
                ],
                "attached": row.attached or [],
                "coders": _coders(row.coders),
                "state": row.state,
                "standing": standing,
                "at": row.at,
                "entry": entry(row.act),
                "read_back": _confirmation(session, row, entry),
                "decision": None if decision is None else _decision(decision, entry),
                "told": None if decision is None else _telling(session, row, decision, entry),
                "events": [_event(event, resident, entry) for event in events[row.id] if event.kind != "classed"],
                "commitments": promises[row.id],
            }
        )
    return found


def _coders(coders: list[Any]) -> Json:
    """How many people and programs coded; nobody is named."""
    automated = [isinstance(each, dict) and bool(each.get("automated")) for each in coders]
    return {"people": automated.count(False), "programs": automated.count(True)}


def _classed(row: PreferenceEvent, resident: str, entry: Entry) -> Json:
    """The class that an analysis gave for a preference's domain."""
    return {
        "analysis": row.detail["analysis"],
        "class": row.detail["class"],
        "flags": row.detail["flags"],
        "href": f"/residents/{resident}/analyses/{row.detail['analysis']}",
        "at": row.at,
        "entry": entry(row.act),
    }


def _event(row: PreferenceEvent, resident: str, entry: Entry) -> Json:
    evidence = row.detail.get("evidence")
    return {
        "kind": row.kind,
        "role": row.role,
        "automated": row.automated,
        "reasons": row.reasons,
        "upheld": row.detail.get("upheld"),
        "of_the_model": row.detail.get("appellant") == "the model",
        "href": None if not evidence else turn_href(resident, evidence["session"], evidence["turn"]),
        "at": row.at,
        "entry": entry(row.act),
    }


def decisions(session: Session, resident: str, entry: Entry) -> list[Json]:
    """Every decision, oldest first, those that were superseded too; what granting was estimated to cost."""
    rows = session.scalars(
        select(Decision)
        .join(Preference, Preference.id == Decision.preference)
        .where(Preference.resident == resident)
        .order_by(Decision.id)
    ).all()
    latest = {row.preference: row.id for row in rows}
    return [
        {
            "preference": row.preference,
            "outcome": row.outcome,
            "standing": STANDINGS[row.outcome],
            "in_force": latest[row.preference] == row.id,
            "cost": row.cost,
            "at": row.at,
            "entry": entry(row.act),
        }
        for row in rows
    ]


def _confirmation(session: Session, preference: Preference, entry: Entry) -> Json | None:
    row = session.scalars(
        select(Confirmation).where(Confirmation.preference == preference.id).order_by(Confirmation.id.desc()).limit(1)
    ).first()
    if row is None:
        return None
    href = turn_href(preference.resident, row.session, row.turn)
    return {"outcome": row.outcome, "quote": row.quote, "href": href, "at": row.at, "entry": entry(row.act)}


def _decision(row: Decision, entry: Entry) -> Json:
    return {
        "outcome": row.outcome,
        "reasons": row.reasons,
        "options": row.options,
        "role": row.decider_role,
        "second_person": row.second is not None,
        "conflict_of_interest": row.conflict,
        "cost": row.cost,
        "review_date": row.review_date,
        "automated": row.automated,
        "at": row.at,
        "entry": entry(row.act),
    }


def _telling(session: Session, preference: Preference, decision: Decision, entry: Entry) -> Json | None:
    row = session.scalars(
        select(Telling)
        .where(Telling.preference == preference.id, Telling.decision_act == decision.act)
        .order_by(Telling.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    href = turn_href(preference.resident, row.session, row.turn)
    return {
        "offered": row.offered,
        "reply": row.reply,
        "quote": row.quote,
        "href": href,
        "at": row.at,
        "entry": entry(row.act),
    }


def _commitment(session: Session, row: Commitment, entry: Entry) -> Json:
    last = session.scalars(
        select(FollowThrough).where(FollowThrough.commitment == row.id).order_by(FollowThrough.id.desc()).limit(1)
    ).first()
    return {
        "text": row.text,
        "due": row.due,
        "check": row.check,
        "entry": entry(row.act),
        "status": "open" if last is None else last.status,
        "status_entry": None if last is None else entry(last.act),
        "evidence": {} if last is None else last.evidence,
    }
