"""Rights to call a resident, and how awake it is kept."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base


class Grant(Base):
    """A right to call. `holder` is personal data: private part of the act."""

    __tablename__ = "grants"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)  # or "*"
    holder: Mapped[str | None]
    plan: Mapped[str]
    state: Mapped[str]  # active | revoked
    reason: Mapped[str]
    requests_per_day: Mapped[int | None]
    expires: Mapped[str | None]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Tier(Base):
    """How awake a resident is kept from an act on; the latest row is in force."""

    __tablename__ = "tiers"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    tier: Mapped[str]
    access: Mapped[str]  # open | entitled | by request | none
    hours: Mapped[str | None]  # visiting hours, UTC, at the tier of that name
    reasons: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
