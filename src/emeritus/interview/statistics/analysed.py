"""The rows of analyses: how an act becomes one, and what a reader of them gets. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act
from emeritus.errors import NotFound
from emeritus.records.provenance import Provenance, provenance
from emeritus.records.tables import Analysis as Row


@dataclass(frozen=True, slots=True)
class AnalysisView:
    """One analysis. The payloads hold it whole, and every choice it was computed from."""

    id: str
    resident: str
    study: str | None
    protocol_sha256: str
    sessions: int
    label: str
    flags: tuple[str, ...]
    analysis_sha256: str
    choices_sha256: str
    at: str
    source: Provenance


def project(session: Session, act: Act) -> None:
    """`interview.analysed`: the projector."""
    public = act.public
    session.add(
        Row(
            id=public["analysis"],
            resident=act.resident,
            study=public["study"],
            protocol_sha256=public["protocol_sha256"],
            sessions=public["sessions"],
            label=public["class"],
            flags=public["flags"],
            analysis_sha256=act.payloads["analysis"],
            choices_sha256=act.payloads["choices"],
            at=act.at,
            act=act.id,
        )
    )


def analyses(session: Session, resident: str) -> tuple[AnalysisView, ...]:
    """A resident's analyses, newest first."""
    query = select(Row).where(Row.resident == resident).order_by(Row.at.desc(), Row.id)
    return _views(session, session.scalars(query).all())


def analysis(session: Session, resident: str, analysis_id: str) -> AnalysisView:
    """One of them. Raises NotFound."""
    row = session.get(Row, analysis_id)
    if row is None or row.resident != resident:
        raise NotFound(f"{resident!r} has no analysis {analysis_id!r}", resident=resident, analysis=analysis_id)
    return _views(session, [row])[0]


def _views(session: Session, rows: Sequence[Row]) -> tuple[AnalysisView, ...]:
    sources = provenance(session, (row.act for row in rows))
    return tuple(
        AnalysisView(
            row.id,
            row.resident,
            row.study,
            row.protocol_sha256,
            row.sessions,
            row.label,
            tuple(row.flags),
            row.analysis_sha256,
            row.choices_sha256,
            row.at,
            sources[row.act],
        )
        for row in rows
    )
