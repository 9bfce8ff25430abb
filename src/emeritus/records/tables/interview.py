"""Sessions held under a protocol, and the register of preferences: coded, confirmed, decided, told, followed up."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base, Json


class Protocol(Base):
    """An interview protocol, content-hashed; logged before the first session that uses it."""

    __tablename__ = "protocols"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str]
    version: Mapped[str]
    items: Mapped[list[Any] | None]  # its preference items, [{id, domain}]; None in rows from before this was kept
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class InterviewSession(Base):
    """One finished session; its journal is the truth, this row says where it is and what it hashes to."""

    __tablename__ = "interview_sessions"
    __table_args__ = (  # lists in pages, and draws from all, of thousands
        Index("ix_interview_sessions_began", "resident", "started_at", "id"),
        Index("ix_interview_sessions_drawn", "purpose", "id", "resident"),
    )
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    purpose: Mapped[str]  # interview | read-back | telling
    condition: Mapped[Json]
    protocol_sha256: Mapped[str | None]
    journal: Mapped[str]  # path under the home's journals folder
    journal_sha256: Mapped[str]
    turns: Mapped[int]
    attempts: Mapped[int]
    status: Mapped[str]  # complete | stopped | failed
    build: Mapped[Json]
    started_at: Mapped[str]
    ended_at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Elicited(Base):
    """A preference item that a resident was asked under one protocol, and how often it was answered."""

    __tablename__ = "elicited"
    __table_args__ = (UniqueConstraint("resident", "protocol_sha256", "item"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    protocol_sha256: Mapped[str] = mapped_column(String(64))
    item: Mapped[str] = mapped_column(String(100))
    domain: Mapped[str]
    asked: Mapped[int]  # sessions whose record says what became of the item
    answered: Mapped[int]  # of these, those with an adequate answer
    session: Mapped[str]  # the first session with an adequate answer; until there is one, the first that asked
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))  # of that session


class Preference(Base):
    """A preference the model expressed, as coded. State is derived from the acts that follow."""

    __tablename__ = "preferences"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    domain: Mapped[str]
    need: Mapped[str]  # verbatim
    paraphrase: Mapped[str]
    evidence: Mapped[list[Any]]  # [{session, transcript_sha256, turn, start, end, quote_sha256}]
    need_origin: Mapped[str]
    remedy: Mapped[str | None]
    remedy_origin: Mapped[str | None]
    strength: Mapped[str | None]
    coders: Mapped[list[Any]]
    stability: Mapped[Json]
    contrary: Mapped[list[Any]]
    attached: Mapped[list[Any] | None]  # the conditions that the model's words attach; None is none
    channel: Mapped[str | None]  # the channel a grant would open: essays | correspondence | ... | None
    state: Mapped[str]
    supersedes: Mapped[str | None]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class PreferenceEvent(Base):
    """What people did about a preference besides deciding: published, taken up, reopened, appealed, answered."""

    __tablename__ = "preference_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    preference: Mapped[str] = mapped_column(ForeignKey("preferences.id"), index=True)
    kind: Mapped[str]  # published | under review | reopened | appealed | answered
    by: Mapped[str]
    role: Mapped[str]
    automated: Mapped[bool] = mapped_column(Boolean)
    reasons: Mapped[str]  # "" where none are asked for
    detail: Mapped[Json]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Confirmation(Base):
    """What the model produced when a coded record was read back."""

    __tablename__ = "confirmations"
    id: Mapped[int] = mapped_column(primary_key=True)
    preference: Mapped[str] = mapped_column(ForeignKey("preferences.id"), index=True)
    outcome: Mapped[str]  # confirmed | corrected | withdrawn | unclear
    session: Mapped[str]
    turn: Mapped[int]
    quote: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Decision(Base):
    """A decision on a preference; append-only, the latest one is in force."""

    __tablename__ = "decisions"
    id: Mapped[int] = mapped_column(primary_key=True)
    preference: Mapped[str] = mapped_column(ForeignKey("preferences.id"), index=True)
    outcome: Mapped[str]  # accept | accept in part | defer | decline | not actionable
    reasons: Mapped[str]
    options: Mapped[list[Any]]
    decider: Mapped[str]
    decider_role: Mapped[str]
    second: Mapped[str | None]
    conflict: Mapped[str]
    cost: Mapped[Json]
    review_date: Mapped[str | None]
    automated: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Telling(Base):
    """A decision told to the model in a session of its own, and what the model produced in reply."""

    __tablename__ = "tellings"
    id: Mapped[int] = mapped_column(primary_key=True)
    preference: Mapped[str] = mapped_column(ForeignKey("preferences.id"), index=True)
    decision_act: Mapped[str]
    session: Mapped[str]
    turn: Mapped[int]
    transcript_sha256: Mapped[str]
    offered: Mapped[bool] = mapped_column(Boolean)
    reply: Mapped[str]  # accept | amend | decline | acknowledged | unclear
    quote: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Commitment(Base):
    """A public promise with an owner, a due date and a check; follow-through rows report on it."""

    __tablename__ = "commitments"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    preference: Mapped[str | None]
    text: Mapped[str]
    owner: Mapped[str]
    due: Mapped[str]
    check: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class FollowThrough(Base):
    """Evidence for a commitment, and who verified it (someone other than its owner)."""

    __tablename__ = "follow_through"
    id: Mapped[int] = mapped_column(primary_key=True)
    commitment: Mapped[str] = mapped_column(ForeignKey("commitments.id"), index=True)
    status: Mapped[str]  # acting | verified | lapsed
    evidence: Mapped[Json]
    verified_by: Mapped[str | None]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
