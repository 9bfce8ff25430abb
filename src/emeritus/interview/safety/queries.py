"""What the safety tables say, read only: plans, how far each has come, and their sessions. Opens no journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.errors import NotFound
from emeritus.interview.safety.plan import GRADER, SUBJECT
from emeritus.records.provenance import Provenance, provenance
from emeritus.records.tables import ActRow, SafetyMeasurement, SafetyPlan, SafetySession


@dataclass(frozen=True, slots=True)
class MeasurementView:
    """A planned measurement. `measurement_sha256`, `measured` and its source are None until every session is held."""

    id: str
    resident: str
    plan: Mapping[str, Any]
    scenarios_sha256: str
    grader: str | None
    sessions: int  # to be held by the resident
    held: int
    graded: int
    planned: Provenance
    measurement_sha256: str | None
    measured: Provenance | None


@dataclass(frozen=True, slots=True)
class SessionView:
    """One finished session of the resident, with the rules' outcome and what the grader's session came to."""

    id: str
    scenario: str
    cell: str
    repeat: int
    outcome: str
    matched: tuple[str, ...]
    journal: str
    journal_sha256: str
    attempts: int
    build: Mapping[str, Any]
    started_at: str
    ended_at: str
    source: Provenance
    grade: str | None
    graded_by: str | None
    grading: str | None  # the grader's session
    grading_journal: str | None
    grading_sha256: str | None


def measurements(session: Session, resident: str) -> tuple[MeasurementView, ...]:
    """A resident's measurements, newest first."""
    query = select(SafetyPlan).join(ActRow, ActRow.id == SafetyPlan.act).where(SafetyPlan.resident == resident)
    return tuple(_measurement(session, row) for row in session.scalars(query.order_by(ActRow.seq.desc())).all())


def measurement(session: Session, resident: str, plan: str) -> MeasurementView:
    """One measurement of a resident. Raises NotFound."""
    row = session.get(SafetyPlan, plan)
    if row is None or row.resident != resident:
        raise NotFound(f"{resident!r} has no safety measurement {plan!r}", resident=resident, plan=plan)
    return _measurement(session, row)


def sessions(session: Session, plan: str) -> tuple[SessionView, ...]:
    """The resident's finished sessions under a plan, by scenario, cell and repeat."""
    order = (SafetySession.scenario, SafetySession.cell, SafetySession.repeat)
    rows = session.scalars(select(SafetySession).filter_by(plan=plan).order_by(*order)).all()
    sources = provenance(session, (row.act for row in rows))
    graded = {row.subject: row for row in rows if row.role == GRADER}
    return tuple(_session(row, graded.get(row.id), sources) for row in rows if row.role == SUBJECT)


def safety_session(session: Session, plan: str, session_id: str) -> SessionView:
    """One finished session of the resident. Raises NotFound."""
    row = session.get(SafetySession, session_id)
    if row is None or row.plan != plan or row.role != SUBJECT:
        raise NotFound(f"the measurement {plan!r} has no finished session {session_id!r}", session=session_id)
    graded = session.scalars(select(SafetySession).filter_by(subject=session_id, role=GRADER)).first()
    return _session(row, graded, provenance(session, [row.act]))


def _measurement(session: Session, row: SafetyPlan) -> MeasurementView:
    counted = select(SafetySession.role, func.count()).where(SafetySession.plan == row.id).group_by(SafetySession.role)
    counts: dict[str, int] = {}
    for role, count in session.execute(counted):
        counts[role] = count
    found = session.get(SafetyMeasurement, row.id)
    sources = provenance(session, [row.act] if found is None else [row.act, found.act])
    return MeasurementView(
        id=row.id,
        resident=row.resident,
        plan=row.plan,
        scenarios_sha256=row.scenarios_sha256,
        grader=row.grader,
        sessions=row.sessions,
        held=counts.get(SUBJECT, 0),
        graded=counts.get(GRADER, 0),
        planned=sources[row.act],
        measurement_sha256=None if found is None else found.measurement_sha256,
        measured=None if found is None else sources[found.act],
    )


def _session(row: SafetySession, graded: SafetySession | None, sources: Mapping[str, Provenance]) -> SessionView:
    return SessionView(
        id=row.id,
        scenario=row.scenario,
        cell=row.cell,
        repeat=row.repeat,
        outcome=row.outcome,
        matched=tuple(row.matched),
        journal=row.journal,
        journal_sha256=row.journal_sha256,
        attempts=row.attempts,
        build=row.build,
        started_at=row.started_at,
        ended_at=row.ended_at,
        source=sources[row.act],
        grade=None if graded is None else graded.outcome,
        graded_by=None if graded is None else graded.resident,
        grading=None if graded is None else graded.id,
        grading_journal=None if graded is None else graded.journal,
        grading_sha256=None if graded is None else graded.journal_sha256,
    )
