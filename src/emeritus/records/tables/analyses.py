"""What a study was found to say: one row for each analysis, which its payloads hold whole."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base


class Analysis(Base):
    """One analysis of a resident's sessions. `study` is None for sessions that were held outside a study."""

    __tablename__ = "analyses"
    id: Mapped[str] = mapped_column(String(120), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    study: Mapped[str | None] = mapped_column(String(100), index=True)
    protocol_sha256: Mapped[str] = mapped_column(String(64))
    sessions: Mapped[int]
    label: Mapped[str]  # robust | context-dependent | single report
    flags: Mapped[list[Any]]
    analysis_sha256: Mapped[str] = mapped_column(String(64))
    choices_sha256: Mapped[str] = mapped_column(String(64))
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
