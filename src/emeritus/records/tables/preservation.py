"""What the vault holds for a resident, what checks of it found, and its reference behaviour."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base, Json


class Preserved(Base):
    """A set of files the vault holds for a resident."""

    __tablename__ = "preserved"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    role: Mapped[str]  # weights | reference | report
    version: Mapped[int]
    manifest_sha256: Mapped[str]
    files: Mapped[int]
    bytes: Mapped[int]
    stored_bytes: Mapped[int]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Check(Base):
    """The outcome of a restore proof, scrub, drill or canary; good or bad, never dropped."""

    __tablename__ = "checks"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str | None] = mapped_column(String(64), index=True)
    kind: Mapped[str]  # restore | scrub | drill
    ok: Mapped[bool] = mapped_column(Boolean)
    summary: Mapped[str]
    detail: Mapped[Json]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Reference(Base):
    """Reference behaviour captured from a revived resident under one engine configuration."""

    __tablename__ = "references"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    build: Mapped[Json]
    build_digest: Mapped[str]
    method: Mapped[str]  # score | greedy
    probes: Mapped[int]
    payload_sha256: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Calibration(Base):
    """How far sound revivals may differ from the references, measured when those were captured."""

    __tablename__ = "calibrations"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    build_digest: Mapped[str]  # of the configuration whose draws were taken
    build_digests: Mapped[list[str]] = mapped_column(JSON)  # of the references it is calibrated between
    weights_digest: Mapped[str | None]
    probes_sha256: Mapped[str]
    method: Mapped[str]  # score | answers
    false_alarm_rate: Mapped[float]
    payload_sha256: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Certificate(Base):
    """A revival certificate: what one drill did and found, signed."""

    __tablename__ = "certificates"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    ok: Mapped[bool] = mapped_column(Boolean)
    verdict: Mapped[str]
    payload_sha256: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class KeyStatement(Base):
    """What the ledger said of keys at one time; the newest of each use is in force."""

    __tablename__ = "key_statements"
    id: Mapped[int] = mapped_column(primary_key=True)
    use: Mapped[str] = mapped_column(String(16))  # signing | vault
    detail: Mapped[Json]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
