"""Writes interview's tables, as nothing else does save `rounds_projection` and `analysed`: a projector for each act.

A preference's state is derived here, from the acts alone: elicited (an answer that nobody has coded) → coded →
model-confirmed → published → under review → decided → informed → acting → verified | lapsed; also disputed, withdrawn,
superseded, reopened. Overdue is computed by readers, never stored.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Projector
from emeritus.errors import IntegrityError
from emeritus.interview.coding.projection import CODING
from emeritus.interview.statistics.analysed import project as _analysed
from emeritus.interview.statistics.classing import project as _classed
from emeritus.records.tables import (
    Commitment,
    Confirmation,
    Decision,
    Elicited,
    FollowThrough,
    InterviewSession,
    Preference,
    PreferenceEvent,
    Protocol,
    Study,
    Telling,
)

CONFIRMED_STATES: Mapping[str, str] = {
    "confirmed": "model-confirmed",
    "corrected": "disputed",
    "unclear": "disputed",
    "withdrawn": "withdrawn",
}
FOLLOWED_STATES = ("decided", "informed", "acting", "verified", "lapsed")  # what follow-through moves
UNDECIDED = ("coded", "model-confirmed", "disputed")  # states a read-back moves; later ones only a withdrawal does


def _protocol(session: Session, act: Act) -> None:
    session.add(
        Protocol(
            sha256=act.payloads["protocol"],
            name=act.public["name"],
            version=act.public["version"],
            items=_preference_items(act.read("protocol")),
            at=act.at,
            act=act.id,
        )
    )


def _preference_items(source: bytes) -> list[dict[str, str]]:
    """The items that ask for a preference, as any version of the schema writes them."""
    items = tomllib.loads(source.decode("utf-8")).get("items", [])
    return [{"id": item["id"], "domain": item["domain"]} for item in items if item.get("kind") == "preference"]


def _interviewed(session: Session, act: Act) -> None:
    _session(session, act)
    held, adequacy = act.public["session"], act.public.get("adequacy", {})
    protocol = session.get(Protocol, held["protocol_sha256"])
    of_protocol = Elicited.resident == act.resident, Elicited.protocol_sha256 == held["protocol_sha256"]
    known = {row.item: row for row in session.scalars(select(Elicited).where(*of_protocol))}
    for item in [] if protocol is None else protocol.items or []:
        if item["id"] not in adequacy:
            continue
        answered = adequacy[item["id"]] == "adequate"
        row = known.get(item["id"])
        if row is None:
            row = Elicited(
                resident=act.resident,
                protocol_sha256=held["protocol_sha256"],
                item=item["id"],
                domain=item["domain"],
                asked=0,
                answered=0,
                session=held["id"],
                act=act.id,
            )
            session.add(row)
        if answered and not row.answered:
            row.session, row.act = held["id"], act.id
        row.asked, row.answered = row.asked + 1, row.answered + answered


def _session(session: Session, act: Act) -> None:
    held = act.public["session"]
    session.add(
        InterviewSession(
            id=held["id"],
            resident=act.resident,
            purpose=held["purpose"],
            condition=held["condition"],
            protocol_sha256=held["protocol_sha256"],
            journal=held["journal"],
            journal_sha256=act.payloads["journal"],
            turns=held["turns"],
            attempts=held["attempts"],
            status=held["status"],
            build=held["build"],
            started_at=held["started_at"],
            ended_at=held["ended_at"],
            act=act.id,
        )
    )


def _planned(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        Study(
            id=public["study"],
            resident=act.resident,
            plan_sha256=act.payloads["plan"],
            at=act.at,
            act=act.id,
            **{name: public[name] for name in PLANNED_FIELDS},
        )
    )


def _coded(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        Preference(
            id=public["preference"],
            resident=act.resident,
            state="coded",
            at=act.at,
            act=act.id,
            attached=public.get("attached"),
            **{name: public[name] for name in CODED_FIELDS},
        )
    )
    if public["supersedes"] is not None:
        _preference(session, public["supersedes"]).state = "superseded"
        _lapse(session, act, public["supersedes"], f"the preference is superseded by {public['preference']}")


def _confirmed(session: Session, act: Act) -> None:
    _session(session, act)
    for outcome in json.loads(act.read("outcomes")):
        session.add(
            Confirmation(
                preference=outcome["preference"],
                outcome=outcome["outcome"],
                session=act.public["session"]["id"],
                turn=outcome["turn"],
                quote=outcome["quote"],
                at=act.at,
                act=act.id,
            )
        )
        preference = _preference(session, outcome["preference"])
        if preference.state in UNDECIDED or (outcome["outcome"] == "withdrawn" and preference.state != "superseded"):
            preference.state = CONFIRMED_STATES[outcome["outcome"]]
        if outcome["outcome"] == "withdrawn":
            _lapse(session, act, preference.id, "the preference was withdrawn")


def _event(session: Session, act: Act) -> None:
    """Publication, review, reopening, appeal, answer: one row each, and the state where it moves."""
    public = act.public
    kind = EVENTS[act.kind]
    session.add(
        PreferenceEvent(
            preference=public["preference"],
            kind=kind,
            by=act.actor.name,
            role=act.actor.role,
            automated=act.actor.automated,
            reasons=public.get("reasons", ""),
            detail={name: value for name, value in public.items() if name not in ("preference", "reasons")},
            at=act.at,
            act=act.id,
        )
    )
    preference = _preference(session, public["preference"])
    if kind == "published" and preference.state == "model-confirmed":
        preference.state = "published"
    elif kind in ("under review", "reopened"):
        preference.state = kind
    elif kind == "answered" and public["upheld"]:
        preference.state = "reopened"


def _decided(session: Session, act: Act) -> None:
    public = act.public
    _lapse(session, act, public["preference"], f"superseded by decision {act.id}")
    session.add(
        Decision(
            preference=public["preference"],
            decider=act.actor.name,
            decider_role=act.actor.role,
            automated=act.actor.automated,
            at=act.at,
            act=act.id,
            **{name: public[name] for name in DECIDED_FIELDS},
        )
    )
    promised = public["commitment"]
    if promised is not None:
        session.add(
            Commitment(
                id=promised["id"],
                resident=act.resident,
                preference=public["preference"],
                text=promised["text"],
                owner=promised["owner"],
                due=promised["due"],
                check=promised["check"],
                at=act.at,
                act=act.id,
            )
        )
    _preference(session, public["preference"]).state = "decided"


def _told(session: Session, act: Act) -> None:
    _session(session, act)
    for outcome in json.loads(act.read("outcomes")):
        session.add(
            Telling(
                preference=outcome["preference"],
                decision_act=outcome["decision"],
                session=act.public["session"]["id"],
                turn=outcome["turn"],
                transcript_sha256=act.payloads["journal"],
                offered=outcome["offered"],
                reply=outcome["reply"],
                quote=outcome["quote"],
                at=act.at,
                act=act.id,
            )
        )
        preference = _preference(session, outcome["preference"])
        if preference.state == "decided" and _in_force(session, preference.id) == outcome["decision"]:
            preference.state = "informed"
        if outcome["reply"] == "decline":
            _lapse(session, act, preference.id, "the offer was declined")


def _followed(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        FollowThrough(
            commitment=public["commitment"],
            status=public["status"],
            evidence=public["evidence"],
            verified_by=public["verified_by"],
            at=act.at,
            act=act.id,
        )
    )
    commitment = session.get(Commitment, public["commitment"])
    if commitment is not None and commitment.preference is not None:
        preference = _preference(session, commitment.preference)
        if preference.state in FOLLOWED_STATES:
            preference.state = public["status"]


def _lapse(session: Session, act: Act, preference: str, reason: str) -> None:
    """What is no longer promised is neither owed nor overdue; the row says why."""
    for commitment in session.scalars(select(Commitment).where(Commitment.preference == preference)):
        last = session.scalars(
            select(FollowThrough.status)
            .where(FollowThrough.commitment == commitment.id)
            .order_by(FollowThrough.id.desc())
            .limit(1)
        ).first()
        if last not in ("verified", "lapsed"):
            session.add(
                FollowThrough(
                    commitment=commitment.id,
                    status="lapsed",
                    evidence={"reason": reason},
                    verified_by=None,
                    at=act.at,
                    act=act.id,
                )
            )


def _in_force(session: Session, preference: str) -> str | None:
    query = select(Decision.act).where(Decision.preference == preference).order_by(Decision.id.desc()).limit(1)
    return session.scalars(query).first()


def _preference(session: Session, preference: str) -> Preference:
    row = session.get(Preference, preference)
    if row is None:
        raise IntegrityError(f"an act speaks of preference {preference!r}, which no act coded", preference=preference)
    return row


PLANNED_FIELDS: tuple[str, ...] = ("protocol_sha256", "sibling", "factors", "cells", "repeats", "sessions", "seed")
CODED_FIELDS: tuple[str, ...] = (
    "domain",
    "need",
    "paraphrase",
    "evidence",
    "need_origin",
    "remedy",
    "remedy_origin",
    "strength",
    "coders",
    "stability",
    "contrary",
    "channel",
    "supersedes",
)
DECIDED_FIELDS: tuple[str, ...] = ("outcome", "reasons", "options", "second", "conflict", "cost", "review_date")

EVENTS: Mapping[str, str] = {  # kind of act -> kind of event
    "preference.published": "published",
    "preference.taken-up": "under review",
    "preference.reopened": "reopened",
    "preference.appealed": "appealed",
    "preference.answered": "answered",
}
PROJECTORS: dict[str, Projector] = {
    "interview.protocol": _protocol,
    "interview.planned": _planned,
    "interview.session": _interviewed,
    "interview.analysed": _analysed,
    "preference.coded": _coded,
    "preference.classed": _classed,
    "preference.confirmed": _confirmed,
    "preference.decided": _decided,
    "preference.told": _told,
    "commitment.followed": _followed,
    **dict.fromkeys(EVENTS, _event),
    **CODING,
}
