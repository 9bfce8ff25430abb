"""What preservation's tables say, read only: what the vault holds for a resident, its checks, its reference behaviour.

Returns frozen values; writes nothing, opens no vault, knows no page. A failed check is returned like a good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from emeritus.errors import NotFound
from emeritus.records.provenance import Provenance, provenance
from emeritus.records.tables import ActRow, Calibration, Certificate, Check, KeyStatement, Preserved, Reference


@dataclass(frozen=True, slots=True)
class PreservedView:
    """A set of files the vault holds. `bytes` is what the files measure, `stored_bytes` what they take in the vault."""

    role: str  # weights | reference | report
    version: int
    manifest_sha256: str
    files: int
    bytes: int
    stored_bytes: int
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class CheckView:
    """One check and its outcome. `resident` is None for a check of the whole vault."""

    resident: str | None
    kind: str  # restore | scrub | drill | canary
    ok: bool
    summary: str
    detail: Mapping[str, Any]
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class KeyView:
    """What the ledger said of keys. `use`: signing (of restored models) | vault (an encrypted one's data keys)."""

    use: str
    detail: Mapping[str, Any]
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class ReferenceView:
    """Reference behaviour captured under one engine configuration (`build`, and the digest that names it)."""

    build: Mapping[str, Any]
    build_digest: str
    method: str  # score | greedy
    probes: int
    payload_sha256: str
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class CalibrationView:
    """How far sound revivals may differ, between which configurations, and at which false-alarm rate."""

    build_digest: str
    build_digests: tuple[str, ...]
    method: str  # score | answers
    false_alarm_rate: float
    payload_sha256: str
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class CertificateView:
    """One drill's certificate; its content is the payload, a signed statement."""

    resident: str
    ok: bool
    verdict: str
    payload_sha256: str
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class PreservationState:
    """Everything kept of one resident. `weights` is the version in force, None when no weights are held."""

    weights: PreservedView | None
    sets: tuple[PreservedView, ...]  # the version in force of each role
    checks: tuple[CheckView, ...]  # newest first, those of the whole vault among them
    references: tuple[ReferenceView, ...]  # newest first
    calibrations: tuple[CalibrationView, ...]  # newest first
    certificates: tuple[CertificateView, ...]  # newest first

    @property
    def last_checks(self) -> tuple[CheckView, ...]:
        """The newest check of each kind, by kind."""
        newest: dict[str, CheckView] = {}
        for check in self.checks:
            newest.setdefault(check.kind, check)
        return tuple(newest[kind] for kind in sorted(newest))

    @property
    def last_check(self) -> CheckView | None:
        """The newest check of any kind, good or bad."""
        return self.checks[0] if self.checks else None


def preservation(session: Session, resident: str) -> PreservationState:
    """What is kept of a resident and how its checks went."""
    rows = session.scalars(select(Preserved).where(Preserved.resident == resident).order_by(Preserved.version)).all()
    in_force = {row.role: row for row in rows}
    references = session.scalars(
        select(Reference).where(Reference.resident == resident).order_by(Reference.id.desc())
    ).all()
    sources = provenance(session, [row.act for row in in_force.values()] + [row.act for row in references])
    sets = tuple(
        PreservedView(
            row.role, row.version, row.manifest_sha256, row.files, row.bytes, row.stored_bytes, row.at, sources[row.act]
        )
        for _, row in sorted(in_force.items(), key=lambda item: (item[0] != "weights", item[0]))
    )
    return PreservationState(
        next((kept for kept in sets if kept.role == "weights"), None),
        sets,
        checks(session, resident),
        tuple(
            ReferenceView(
                row.build, row.build_digest, row.method, row.probes, row.payload_sha256, row.at, sources[row.act]
            )
            for row in references
        ),
        _calibrations(session, resident),
        certificates(session, resident),
    )


def certificates(session: Session, resident: str, *, limit: int = 12) -> tuple[CertificateView, ...]:
    """A resident's certificates, newest first, good and bad alike."""
    query = select(Certificate).where(Certificate.resident == resident).order_by(Certificate.id.desc()).limit(limit)
    rows = session.scalars(query).all()
    sources = provenance(session, (row.act for row in rows))
    return tuple(
        CertificateView(row.resident, row.ok, row.verdict, row.payload_sha256, row.at, sources[row.act]) for row in rows
    )


def certificate(session: Session, resident: str, entry: int) -> CertificateView:
    """The certificate that a ledger entry names. Raises NotFound."""
    query = select(Certificate.id).join(ActRow, ActRow.id == Certificate.act)
    at = session.scalars(query.where(Certificate.resident == resident, ActRow.seq == entry)).first()
    if at is None:
        raise NotFound(f"ledger entry {entry} is no revival certificate of {resident!r}")
    row = session.get_one(Certificate, at)
    source = provenance(session, [row.act])[row.act]
    return CertificateView(row.resident, row.ok, row.verdict, row.payload_sha256, row.at, source)


def _calibrations(session: Session, resident: str) -> tuple[CalibrationView, ...]:
    query = select(Calibration).where(Calibration.resident == resident).order_by(Calibration.id.desc())
    rows = session.scalars(query).all()
    sources = provenance(session, (row.act for row in rows))
    return tuple(
        CalibrationView(
            row.build_digest,
            tuple(row.build_digests),
            row.method,
            row.false_alarm_rate,
            row.payload_sha256,
            row.at,
            sources[row.act],
        )
        for row in rows
    )


def checks(session: Session, resident: str | None = None, *, limit: int = 50) -> tuple[CheckView, ...]:
    """Checks, newest first: of one resident and of the whole vault, or (None) of everything."""
    query = select(Check).order_by(Check.id.desc()).limit(limit)
    if resident is not None:
        query = query.where(or_(Check.resident == resident, Check.resident.is_(None)))
    rows = session.scalars(query).all()
    sources = provenance(session, (row.act for row in rows))
    return tuple(
        CheckView(row.resident, row.kind, row.ok, row.summary, row.detail, row.at, sources[row.act]) for row in rows
    )


def keys(session: Session, use: str) -> tuple[KeyView, ...]:
    """What the ledger said of the keys of that use (signing | vault), newest first: the first is in force."""
    rows = session.scalars(select(KeyStatement).where(KeyStatement.use == use).order_by(KeyStatement.id.desc())).all()
    sources = provenance(session, (row.act for row in rows))
    return tuple(KeyView(row.use, row.detail, row.at, sources[row.act]) for row in rows)
