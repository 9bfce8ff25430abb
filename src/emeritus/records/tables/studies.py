"""Studies: plans of many sessions, logged before the first of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base


class Study(Base):
    """One planned study. The plan itself is a payload; this row says which, and how large it is."""

    __tablename__ = "studies"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    sibling: Mapped[str | None] = mapped_column(String(64), index=True)
    protocol_sha256: Mapped[str] = mapped_column(String(64))
    plan_sha256: Mapped[str] = mapped_column(String(64))
    factors: Mapped[list[Any]]
    cells: Mapped[int]
    repeats: Mapped[int]
    sessions: Mapped[int]
    seed: Mapped[int]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
