"""The declarative base of all tables, and the row of one act, to which their rows refer."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import JSON, Boolean, Float, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = dict[str, Any]


class Base(DeclarativeBase):
    """Declarative base of all tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {Json: JSON, list[Any]: JSON, str: Text, float: Float}


class ActRow(Base):
    """One act: what the ledger's entry `seq` states, with its private part while that has not been erased."""

    __tablename__ = "acts"
    __table_args__ = (Index("ix_acts_resident_seq", "resident", "seq"),)  # a resident's last acts, of thousands
    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, unique=True)  # index of the entry in the ledger
    kind: Mapped[str] = mapped_column(String(80), index=True)
    resident: Mapped[str | None] = mapped_column(String(64), index=True)
    actor: Mapped[str]
    role: Mapped[str]
    automated: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[str]
    public: Mapped[Json]
    payloads: Mapped[Json]  # name -> sha256
    private_withheld: Mapped[bool] = mapped_column(Boolean, default=False)
