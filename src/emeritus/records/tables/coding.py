"""Coding rounds: who codes which sessions, what each handed in, and how they settled it; and sheets in work."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base, Json


class CodingRound(Base):
    """Sessions that are coded by the same coders, blind to each other."""

    __tablename__ = "coding_rounds"
    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    sessions: Mapped[list[Any]]  # ids, in the order in which coders meet them
    items: Mapped[list[Any]]  # ids of the items that are coded; empty: all
    coders: Mapped[list[Any]]  # [{name, automated}]
    recodes: Mapped[str | None]  # the round this one replaces
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class CodingSheet(Base):
    """What a coder handed in for a session; private until the session is settled. None where it has been erased."""

    __tablename__ = "coding_sheets"
    __table_args__ = (UniqueConstraint("round", "session", "coder"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    round: Mapped[str] = mapped_column(ForeignKey("coding_rounds.id"), index=True)
    session: Mapped[str] = mapped_column(String(100))
    coder: Mapped[str] = mapped_column(String(100))
    automated: Mapped[bool] = mapped_column(Boolean)
    sheet: Mapped[Json | None] = mapped_column(JSON)
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class CodingResolution(Base):
    """What stands for a session after its coders' sheets were compared."""

    __tablename__ = "coding_resolutions"
    __table_args__ = (UniqueConstraint("round", "session"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    round: Mapped[str] = mapped_column(ForeignKey("coding_rounds.id"), index=True)
    session: Mapped[str] = mapped_column(String(100))
    sheet: Mapped[Json]
    mode: Mapped[str]  # agreement | third | one coder
    resolvers: Mapped[list[Any]]  # names
    note: Mapped[str]
    agreement: Mapped[Json | None] = mapped_column(JSON)  # the round's figures when it was settled
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class CodingDraft(Base):
    """Work in progress: a coder's sheet before it is handed in, or a resolution that waits for the other coder."""

    __tablename__ = "coding_drafts"
    round: Mapped[str] = mapped_column(String(80), primary_key=True)
    session: Mapped[str] = mapped_column(String(100), primary_key=True)
    what: Mapped[str] = mapped_column(String(20), primary_key=True)  # sheet | resolution
    person: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[Json]
    at: Mapped[str]
