"""Files, batches and letters: who sent them, by when they are answered, and how far that is. No text of any is here.

Nothing of it is an act: it is private, lies in files of the home, and is erased with its rows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base, Json


class KeptFile(Base):
    """A file that a caller sent or a batch brought; its bytes lie in the home."""

    __tablename__ = "correspondence_files"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), index=True)  # a grant or a membership
    filename: Mapped[str]
    purpose: Mapped[str]  # batch | batch_output
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[str]
    expires_at: Mapped[str] = mapped_column(String(20), index=True)


class Batch(Base):
    """Questions that are answered together, or one letter."""

    __tablename__ = "correspondence_batches"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # sorted by when they came
    owner: Mapped[str] = mapped_column(String(64), index=True)
    caller: Mapped[str] = mapped_column(String(320))  # a key's prefix, or the account of someone signed in
    person: Mapped[bool] = mapped_column(Boolean)  # which of the two
    wire: Mapped[str] = mapped_column(String(20))  # whose words: an endpoint of the API, or "letter"
    state: Mapped[str] = mapped_column(String(12), index=True)  # failed | open | completed | expired | cancelled
    created_at: Mapped[str]
    deadline: Mapped[str] = mapped_column(String(20), index=True)
    erase_at: Mapped[str] = mapped_column(String(20), index=True)
    started_at: Mapped[str | None]
    cancelled_at: Mapped[str | None]  # when its caller asked for that
    ended_at: Mapped[str | None]
    input_file: Mapped[str | None]
    metadata_: Mapped[Json | None] = mapped_column("metadata")
    problems: Mapped[list[Any]]  # of a batch that was refused: line, code, message, param
    results: Mapped[str | None] = mapped_column(String(8))  # "written": its results are files of their own
    link_sha256: Mapped[str | None] = mapped_column(String(64), index=True)  # of the secret in a letter's link
    contact: Mapped[str | None]  # where a letter's answer is mailed to
    told_at: Mapped[str | None]


class BatchLine(Base):
    """One question: where it lies among its batch's questions, and what became of it."""

    __tablename__ = "correspondence_lines"
    __table_args__ = (Index("ix_correspondence_lines_waiting", "resident", "state", "number", "batch"),)
    batch: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    custom_id: Mapped[str]
    resident: Mapped[str] = mapped_column(String(64))
    offset: Mapped[int] = mapped_column(BigInteger)  # of its line in the batch's file of questions
    state: Mapped[str] = mapped_column(String(12))  # waiting | asked | answered | failed | expired | cancelled
    asked: Mapped[int]  # how often
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    error: Mapped[Json | None]
    at: Mapped[str | None]  # of its last change
