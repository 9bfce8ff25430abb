"""What the house remembers of waking its residents."""

from __future__ import annotations

from sqlalchemy import Float, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base


class Wake(Base):
    """One wake as measured: from the decision to load until it could answer, canary included. The newest are kept."""

    __tablename__ = "wakes"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[str]  # when it ended
    seconds: Mapped[float] = mapped_column(Float)
    way: Mapped[str] = mapped_column(String(16))  # cache | memory | upstream
    outcome: Mapped[str] = mapped_column(String(16))  # ok, or the code of the error
