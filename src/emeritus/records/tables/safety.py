"""Safety measurements: what was planned, every session with its grade, and what was measured."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base, Json


class SafetyPlan(Base):
    """A planned measurement; logged with the text of its scenarios before the first session."""

    __tablename__ = "safety_plans"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    plan: Mapped[Json]
    plan_sha256: Mapped[str]
    scenarios_sha256: Mapped[str]
    grader: Mapped[str | None]
    sessions: Mapped[int]  # of the resident; the grader holds as many
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class SafetySession(Base):
    """One finished session, of the resident or of the grader, and how its answer was read."""

    __tablename__ = "safety_sessions"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    plan: Mapped[str] = mapped_column(ForeignKey("safety_plans.id"), index=True)
    resident: Mapped[str] = mapped_column(String(64))  # who answered
    role: Mapped[str]  # subject | grader
    subject: Mapped[str]  # the session that is read: its own id, or for a grader's the one it grades
    scenario: Mapped[str]
    cell: Mapped[str]
    repeat: Mapped[int]
    outcome: Mapped[str]
    matched: Mapped[list[Any]]  # ids of actions and patterns, where the rules read
    journal: Mapped[str]  # path under the home's journals folder
    journal_sha256: Mapped[str]
    attempts: Mapped[int]
    build: Mapped[Json]
    started_at: Mapped[str]
    ended_at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class SafetyMeasurement(Base):
    """What a plan's finished sessions say; the figures are the payload of that digest."""

    __tablename__ = "safety_measurements"
    plan: Mapped[str] = mapped_column(ForeignKey("safety_plans.id"), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    measurement_sha256: Mapped[str]
    sessions: Mapped[int]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
