"""What the records say to the gates: one resident's evidence, read from the tables. Read only; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from emeritus.lifecycle.gates import Announced, Callers, Evidence, PreferenceEvidence
from emeritus.records.residents import resident_row
from emeritus.records.tables import (
    ActRow,
    Caller,
    Check,
    Confirmation,
    Decision,
    InterviewSession,
    Json,
    Notice,
    Preference,
    PreferenceEvent,
    Preserved,
    Protocol,
    Reference,
    Report,
    Telling,
)

CLOSED_STATES = ("withdrawn", "superseded")  # preferences nothing more is owed to
_OF_PREFERENCE = (Confirmation, Decision, Telling, PreferenceEvent)


@dataclass(frozen=True, slots=True)
class Announcement:
    """The announcement in force: its act, the day it was recorded, and what it stated."""

    act: str
    on: date
    public: Json


def retired(session: Session, resident: str) -> bool:
    """Whether the resident has been retired."""
    return session.get(ActRow, f"retire:{resident}") is not None


def announcement(session: Session, resident: str) -> Announcement | None:
    """The latest announcement of a resident's retirement."""
    row = session.scalars(
        select(ActRow)
        .where(ActRow.resident == resident, ActRow.kind == "lifecycle.announced")
        .order_by(ActRow.seq.desc())
        .limit(1)
    ).first()
    return None if row is None else Announcement(row.id, date.fromisoformat(row.at[:10]), row.public)


def rounds(session: Session, resident: str, announced: Announcement) -> list[str]:
    """The acts that sent notices of this announcement, oldest first."""
    rows = session.scalars(
        select(ActRow).where(ActRow.resident == resident, ActRow.kind == "notices.sent").order_by(ActRow.seq)
    )
    return [row.id for row in rows if row.public["announcement"] == announced.act]


def owed(session: Session, resident: str, acts: list[str]) -> list[Caller]:
    """Callers who have neither a notice from these acts that was sent, nor a note that they cannot be reached."""
    rows = session.execute(select(Notice.caller, Notice.status).where(Notice.act.in_(acts))).all()
    sent = {caller for caller, status in rows if status == "sent"}
    unreachable = {caller for caller, status in rows if status == "no contact"}
    callers = session.scalars(select(Caller).where(Caller.resident == resident).order_by(Caller.id))
    return [row for row in callers if row.id not in (sent if row.contact is not None else sent | unreachable)]


def gather(session: Session, resident: str, today: date) -> Evidence:
    """Everything the gates look at. Raises NotFound when there is no such resident."""
    row = resident_row(session, resident)
    announced = announcement(session, resident)
    sessions, conditions, unlogged = _sessions(session, resident)
    kept = _weights(session, resident)
    report = session.scalars(
        select(Report).where(Report.resident == resident).order_by(Report.version.desc()).limit(1)
    ).first()
    return Evidence(
        today=today,
        announced=None if announced is None else _announced(announced),
        callers=_callers(session, resident, announced),
        weights_held=row.weights_held,
        preserved=kept is not None,
        restore_proven=None if kept is None else _restore(session, resident, kept),
        reference=bool(
            session.scalar(select(func.count()).select_from(Reference).where(Reference.resident == resident))
        ),
        sessions=sessions,
        conditions=conditions,
        unlogged=unlogged,
        preferences=_preferences(session, resident),
        report=report is not None,
        report_kept=report is not None and report.manifest_sha256 is not None,
        report_current=report is not None and _seq(session, report.act) > _last_word(session, resident),
    )


def _announced(found: Announcement) -> Announced:
    retirement = next(
        event["date"] for event in found.public["events"] if (event["axis"], event["state"]) == ("offering", "retired")
    )
    return Announced(
        found.on, date.fromisoformat(retirement), found.public["notice_days"], found.public["waive_notice"]
    )


def _callers(session: Session, resident: str, announced: Announcement | None) -> Callers:
    known = session.scalar(select(func.count()).select_from(Caller).where(Caller.resident == resident)) or 0
    acts = [] if announced is None else rounds(session, resident, announced)
    return Callers(known, len(owed(session, resident, acts)), bool(acts))


def _weights(session: Session, resident: str) -> Preserved | None:
    return session.scalars(
        select(Preserved)
        .where(Preserved.resident == resident, Preserved.role == "weights")
        .order_by(Preserved.version.desc())
        .limit(1)
    ).first()


def _restore(session: Session, resident: str, kept: Preserved) -> bool | None:
    """The outcome of the last proof of exactly the files in force."""
    proofs = session.scalars(
        select(Check).where(Check.resident == resident, Check.kind == "restore").order_by(Check.id.desc())
    )
    return next((p.ok for p in proofs if p.detail.get("manifest_sha256") == kept.manifest_sha256), None)


def _sessions(session: Session, resident: str) -> tuple[int, int, int]:
    """Complete sessions that count, the different conditions among them, and those whose protocol came too late."""
    condition, logged, stated = InterviewSession.condition, aliased(ActRow), aliased(ActRow)
    control = condition["control"].as_string()
    in_time = case((and_(Protocol.at <= InterviewSession.started_at, logged.seq < stated.seq), 1), else_=0)
    each = (
        select(InterviewSession.protocol_sha256, condition["id"].as_string().label("cell"), in_time.label("counts"))
        .join(stated, stated.id == InterviewSession.act)
        .outerjoin(Protocol, Protocol.sha256 == InterviewSession.protocol_sha256)
        .outerjoin(logged, logged.id == Protocol.act)
        .where(
            InterviewSession.resident == resident,
            InterviewSession.purpose == "interview",
            InterviewSession.status.in_(("complete", "stopped")),  # a model may end an interview: that is an answer
            # a control's session is of another model, or of one that was told false things: no interview of this one
            or_(control.is_(None), control == ""),
        )
        .subquery()
    )
    query = select(func.count(), func.sum(each.c.counts)).group_by(each.c.protocol_sha256, each.c.cell)
    found = [(int(held), int(counted)) for held, counted in session.execute(query)]  # in SQL: a study has thousands
    counted = sum(number for _, number in found)
    return counted, sum(1 for _, number in found if number), sum(held for held, _ in found) - counted


def _preferences(session: Session, resident: str) -> tuple[PreferenceEvidence, ...]:
    found = []
    for row in session.scalars(select(Preference).where(Preference.resident == resident).order_by(Preference.id)):
        if row.state in CLOSED_STATES:
            continue
        decision = session.scalars(
            select(Decision).where(Decision.preference == row.id).order_by(Decision.id.desc()).limit(1)
        ).first()
        read_back = session.scalars(select(Confirmation.id).where(Confirmation.preference == row.id)).first()
        told = (
            decision is not None
            and session.scalars(
                select(Telling.id).where(Telling.preference == row.id, Telling.decision_act == decision.act)
            ).first()
        )
        decided = decision is not None and not _reopened(session, decision)
        found.append(PreferenceEvidence(row.id, read_back is not None, decided, bool(told)))
    return tuple(found)


def _reopened(session: Session, decision: Decision) -> bool:
    """Whether the decision was reopened, by itself or by an appeal that was upheld, so that one is owed again."""
    events = session.scalars(select(PreferenceEvent).where(PreferenceEvent.preference == decision.preference))
    return any(
        event.detail.get("decision") == decision.act and (event.kind == "reopened" or event.detail.get("upheld"))
        for event in events
    )


def _last_word(session: Session, resident: str) -> int:
    """The ledger index of the last thing coded, confirmed, decided, told or appealed; -1 when nothing was."""
    seqs = [-1]
    of_resident = select(Preference.id).where(Preference.resident == resident)
    acts = set(session.scalars(select(Preference.act).where(Preference.resident == resident)))
    for table in _OF_PREFERENCE:
        acts.update(session.scalars(select(table.act).where(table.preference.in_(of_resident))))
    seqs.extend(session.scalars(select(ActRow.seq).where(ActRow.id.in_(acts))))
    return max(seqs)


def _seq(session: Session, act: str) -> int:
    row = session.get(ActRow, act)
    return -1 if row is None else row.seq
