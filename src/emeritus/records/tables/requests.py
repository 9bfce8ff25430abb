"""Requests for access and every step of each. What names the applicant is the private part of an act."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base


class AccessRequest(Base):
    """A request to call a resident, as it stands. What names the applicant is None once erased."""

    __tablename__ = "access_requests"
    __table_args__ = (Index("ix_access_requests_state", "state", "due"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(20))
    requests_per_day: Mapped[int]  # asked for
    who: Mapped[str | None]
    contact: Mapped[str | None]
    purpose: Mapped[str | None]
    account: Mapped[str | None] = mapped_column(String(64), index=True)  # of whoever was signed in when they asked
    link_sha256: Mapped[str | None] = mapped_column(String(64), index=True)  # of the secret in the status link
    submitted_at: Mapped[str]
    due: Mapped[str | None] = mapped_column(String(20))  # by when somebody is to act, while somebody is
    decided_at: Mapped[str | None]  # the first decision; an appeal does not change it
    code: Mapped[str | None]  # the reason of the last decision
    proposed_by: Mapped[str | None]  # who has proposed to decline, until it is decided
    declined_by: Mapped[list[Any]]
    grant: Mapped[str | None] = mapped_column(String(64))
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class AccessStep(Base):
    """One step of a request. `text` is for the applicant and those who decide, and None once erased."""

    __tablename__ = "access_steps"
    id: Mapped[int] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(String(64), index=True)
    step: Mapped[str]
    state: Mapped[str]  # after it
    code: Mapped[str | None]
    text: Mapped[str | None]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
