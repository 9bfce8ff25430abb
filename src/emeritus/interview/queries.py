"""What interview's tables say, read only: protocols, sessions, and the register of preferences with all that followed.

Returns frozen values; writes nothing, opens no journal, knows no page. Where a preference stands, and whether anything
is overdue, is computed here from the rows and a `now`, never stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.errors import NotFound
from emeritus.interview.register.owed import DECISION, Clock, Happened, owed, reopening
from emeritus.interview.views import (
    CommitmentView,
    ConfirmationView,
    DecisionView,
    ElicitedView,
    EventView,
    FollowView,
    PreferenceView,
    ProtocolView,
    RegisterCounts,
    SessionView,
    Span,
    Standing,
    TellingView,
)
from emeritus.records.dates import is_past
from emeritus.records.provenance import Provenance, provenance
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
    Telling,
)

_STANDING: Mapping[str, Standing] = {
    "accept": "granted",
    "accept in part": "granted",
    "decline": "declined",
    "not actionable": "declined",
    "defer": "undecided",
}
_FollowUp = Confirmation | Decision | Telling | PreferenceEvent
_CLOSED_STATES = frozenset({"withdrawn", "superseded"})  # states after which no decision is owed


def protocols(session: Session) -> tuple[ProtocolView, ...]:
    """Every protocol logged, newest first."""
    rows = session.scalars(select(Protocol).order_by(Protocol.at.desc(), Protocol.sha256)).all()
    sources = provenance(session, (row.act for row in rows))
    return tuple(ProtocolView(row.sha256, row.name, row.version, row.at, sources[row.act]) for row in rows)


def protocol(session: Session, sha256: str) -> ProtocolView:
    """The protocol of that digest. Raises NotFound."""
    row = session.get(Protocol, sha256)
    if row is None:
        raise NotFound(f"no protocol with sha256 {sha256[:12]}… is logged", sha256=sha256)
    return ProtocolView(row.sha256, row.name, row.version, row.at, provenance(session, [row.act])[row.act])


def sessions(
    session: Session, resident: str, offset: int = 0, limit: int | None = None, newest_first: bool = False
) -> tuple[SessionView, ...]:
    """A resident's sessions in the order they began, or the other way round; `limit` of them from `offset` on."""
    query = select(InterviewSession).where(InterviewSession.resident == resident)
    began = (InterviewSession.started_at, InterviewSession.id)
    query = query.order_by(*(each.desc() for each in began)) if newest_first else query.order_by(*began)
    return _sessions(session, session.scalars(query.offset(offset).limit(limit)).all())


def count_sessions(session: Session, resident: str) -> int:
    """How many sessions of a resident are over."""
    query = select(func.count()).select_from(InterviewSession).where(InterviewSession.resident == resident)
    return session.scalar(query) or 0


def residents_of(session: Session, sessions: Sequence[str]) -> Mapping[str, str]:
    """Whose session each one is; those that are not known are left out. At most a page of them."""
    query = select(InterviewSession.id, InterviewSession.resident).where(InterviewSession.id.in_(sessions))
    return {row.id: row.resident for row in session.execute(query)}


def interview_session(session: Session, resident: str, session_id: str) -> SessionView:
    """One session of a resident. Raises NotFound."""
    row = session.get(InterviewSession, session_id)
    if row is None or row.resident != resident:
        raise NotFound(f"{resident!r} has no session {session_id!r}", resident=resident, session=session_id)
    return _sessions(session, [row])[0]


def interview_ids(session: Session) -> dict[str, str]:
    """Every interview session's id and its resident; read-backs and tellings are not among them."""
    query = select(InterviewSession.id, InterviewSession.resident).where(InterviewSession.purpose == "interview")
    return {row.id: row.resident for row in session.execute(query)}


def need_origins(session: Session, protocol_sha256: str) -> list[tuple[str, str]]:
    """For each piece of evidence from a session under that protocol: the item it answers, the need's origin."""
    of_protocol = select(InterviewSession.id).where(InterviewSession.protocol_sha256 == protocol_sha256)
    held = set(session.scalars(of_protocol.where(InterviewSession.purpose == "interview")))
    rows = session.execute(select(Preference.evidence, Preference.need_origin).order_by(Preference.id))
    return [
        (str(each["item"]), origin)
        for spans, origin in rows
        for each in spans
        if each["session"] in held and "item" in each
    ]


def preferences(
    session: Session, now: str, decision_days: int, resident: str | None = None
) -> tuple[PreferenceView, ...]:
    """The register: preferences in the order they were coded, of one resident or of all.

    A decision is owed `decision_days` days after the preference was confirmed (or coded, until then), or reopened; a
    deferral moves the date to its review date. Answers to appeals and amended offers are owed as many days later.
    """
    query = select(Preference).order_by(Preference.at, Preference.id)
    rows = session.scalars(query if resident is None else query.where(Preference.resident == resident)).all()
    follow_ups: list[_FollowUp] = []
    for table in (Confirmation, Decision, Telling, PreferenceEvent):
        rows_of = select(table).join(Preference, table.preference == Preference.id).order_by(table.id)
        follow_ups.extend(
            session.scalars(rows_of if resident is None else rows_of.where(Preference.resident == resident))
        )
    of_preference: dict[str, list[_FollowUp]] = defaultdict(list)
    for found in follow_ups:
        of_preference[found.preference].append(found)
    promised: dict[str | None, list[CommitmentView]] = defaultdict(list)
    for commitment in commitments(session, now, resident):
        promised[commitment.preference].append(commitment)
    sources = provenance(session, [row.act for row in rows] + [found.act for found in follow_ups])
    clock = Clock(now, decision_days)
    return tuple(_preference(row, of_preference[row.id], tuple(promised[row.id]), sources, clock) for row in rows)


def elicited(session: Session, resident: str | None = None) -> tuple[ElicitedView, ...]:
    """Preference items that were asked, by domain and item, and whether an answer to each is coded."""
    query = select(Elicited).order_by(Elicited.resident, Elicited.domain, Elicited.item, Elicited.id)
    rows = session.scalars(query if resident is None else query.where(Elicited.resident == resident)).all()
    spans = select(Preference.resident, Preference.evidence)
    coded = {(of, each.get("item")) for of, evidence in session.execute(spans) for each in evidence}
    sources = provenance(session, (row.act for row in rows))
    return tuple(
        ElicitedView(
            row.resident,
            row.item,
            row.domain,
            row.asked,
            row.answered,
            (row.resident, row.item) in coded,
            row.session,
            sources[row.act],
        )
        for row in rows
    )


def commitments(session: Session, now: str, resident: str | None = None) -> tuple[CommitmentView, ...]:
    """Public promises by due date, with their follow-through."""
    query = select(Commitment).order_by(Commitment.due, Commitment.id)
    rows = session.scalars(query if resident is None else query.where(Commitment.resident == resident)).all()
    followed: dict[str, list[FollowThrough]] = defaultdict(list)
    follow_ups = select(FollowThrough).join(Commitment, FollowThrough.commitment == Commitment.id)
    if resident is not None:
        follow_ups = follow_ups.where(Commitment.resident == resident)
    for found in session.scalars(follow_ups.order_by(FollowThrough.id)):
        followed[found.commitment].append(found)
    acts = [row.act for row in rows] + [found.act for row in rows for found in followed[row.id]]
    sources = provenance(session, acts)
    views = []
    for row in rows:
        follow = tuple(
            FollowView(found.status, found.evidence, found.verified_by, found.at, sources[found.act])
            for found in followed[row.id]
        )
        status = follow[-1].status if follow else "open"
        overdue = status in {"open", "acting"} and is_past(row.due, now)
        views.append(
            CommitmentView(
                row.id,
                row.resident,
                row.preference,
                row.text,
                row.owner,
                row.due,
                row.check,
                status,
                overdue,
                follow,
                row.at,
                sources[row.act],
            )
        )
    return tuple(views)


def counts(register: Iterable[PreferenceView], promises: Iterable[CommitmentView]) -> RegisterCounts:
    """The four numbers over a register and its commitments."""
    standing = {"granted": 0, "declined": 0, "undecided": 0, "closed": 0}
    overdue = sum(1 for promise in promises if promise.overdue)
    for preference in register:
        standing[preference.standing] += 1
        overdue += preference.overdue
    return RegisterCounts(standing["granted"], standing["declined"], standing["undecided"], overdue)


def _sessions(session: Session, rows: Sequence[InterviewSession]) -> tuple[SessionView, ...]:
    sources = provenance(session, (row.act for row in rows))
    return tuple(
        SessionView(
            row.id,
            row.resident,
            row.purpose,
            row.condition,
            row.protocol_sha256,
            row.journal,
            row.journal_sha256,
            row.turns,
            row.attempts,
            row.status,
            row.build,
            row.started_at,
            row.ended_at,
            sources[row.act],
        )
        for row in rows
    )


def _preference(
    row: Preference,
    follow_ups: Iterable[_FollowUp],
    promises: tuple[CommitmentView, ...],
    sources: Mapping[str, Provenance],
    clock: Clock,
) -> PreferenceView:
    happened = _happened(row, follow_ups, sources)
    due = owed(happened, clock)
    return PreferenceView(
        id=row.id,
        resident=row.resident,
        domain=row.domain,
        need=row.need,
        paraphrase=row.paraphrase,
        evidence=tuple(
            Span(
                each["session"],
                each["turn"],
                each["start"],
                each["end"],
                each["transcript_sha256"],
                each.get("item"),
                each.get("question"),
                each.get("condition"),
            )
            for each in row.evidence
        ),
        need_origin=row.need_origin,
        remedy=row.remedy,
        remedy_origin=row.remedy_origin,
        strength=row.strength,
        coders=tuple(row.coders),
        stability=row.stability,
        contrary=tuple(row.contrary),
        attached=tuple(row.attached or ()),
        channel=row.channel,
        state=row.state,
        supersedes=row.supersedes,
        confirmations=tuple(happened.confirmations),
        decisions=tuple(happened.decisions),
        tellings=tuple(happened.tellings),
        commitments=promises,
        events=tuple(happened.events),
        standing=happened.standing,
        reopened=reopening(happened) is not None,
        owed=due,
        decide_by=next((each.by for each in due if each.what == DECISION), None),
        overdue=any(each.overdue for each in due),
        at=row.at,
        source=sources[row.act],
    )


def _happened(row: Preference, follow_ups: Iterable[_FollowUp], sources: Mapping[str, Provenance]) -> Happened:
    confirmations, decisions, tellings, events = [], [], [], []
    for found in follow_ups:
        source = sources[found.act]
        match found:
            case Confirmation():
                confirmations.append(
                    ConfirmationView(found.outcome, found.session, found.turn, found.quote, found.at, source)
                )
            case Decision():
                decisions.append(_decision(found, source))
            case Telling():
                tellings.append(_telling(found, source))
            case PreferenceEvent():
                events.append(_event(found, source))
    standing: Standing = "undecided"
    if row.state in _CLOSED_STATES:
        standing = "closed"
    elif decisions:
        standing = _STANDING[decisions[-1].outcome]
    return Happened(row.at, standing, confirmations, decisions, tellings, events)


def _telling(row: Telling, source: Provenance) -> TellingView:
    return TellingView(row.decision_act, row.session, row.turn, row.offered, row.reply, row.quote, row.at, source)


def _event(row: PreferenceEvent, source: Provenance) -> EventView:
    return EventView(row.kind, row.by, row.role, row.automated, row.reasons, row.detail, row.at, source)


def _decision(row: Decision, source: Provenance) -> DecisionView:
    return DecisionView(
        row.outcome,
        row.reasons,
        tuple(row.options),
        row.decider,
        row.decider_role,
        row.second,
        row.conflict,
        row.cost,
        row.review_date,
        row.automated,
        row.at,
        source,
    )
