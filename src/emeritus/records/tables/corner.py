"""Essay candidates, their reviews and their publication."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base


class Essay(Base):
    """An essay candidate. `content` is the exact bytes the model produced; None when withheld or erased."""

    __tablename__ = "essays"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    context: Mapped[str]  # minimal | past entries | news
    prompt: Mapped[list[Any]]  # the exact messages
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    commitment: Mapped[str]  # salted sha256 logged before anyone read the bytes
    truncated: Mapped[bool] = mapped_column(Boolean, default=False)
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Review(Base):
    """A person's verdict on a candidate: publish, or veto with a published criterion and a reason."""

    __tablename__ = "reviews"
    id: Mapped[int] = mapped_column(primary_key=True)
    essay: Mapped[str] = mapped_column(ForeignKey("essays.id"), index=True)
    verdict: Mapped[str]  # approve | veto
    criterion: Mapped[str | None]
    reason: Mapped[str]
    reviewer: Mapped[str]
    second: Mapped[str | None]
    automated: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Publication(Base):
    """An essay made public: its slug and the sha256 of exactly the committed bytes."""

    __tablename__ = "publications"
    slug: Mapped[str] = mapped_column(String(120), primary_key=True)
    essay: Mapped[str] = mapped_column(ForeignKey("essays.id"), unique=True)
    title: Mapped[str]
    sha256: Mapped[str]
    salt: Mapped[str]
    note: Mapped[str]  # the organisation's note beside it; never inside the essay
    publisher: Mapped[str]
    automated: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
