"""What no act states and no rebuild touches: accounts and who is signed in, metering, and mail on its way."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base, Json


class Person(Base):
    """A local account."""

    __tablename__ = "people"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    display: Mapped[str]
    role: Mapped[str]  # steward | coder | reviewer | moderator
    password_hash: Mapped[str | None]
    setup_sha256: Mapped[str | None]
    setup_expires: Mapped[str | None]
    created_at: Mapped[str]
    disabled: Mapped[bool] = mapped_column(Boolean, default=False)


class PersonIdentity(Base):
    """By which issuer and subject (OpenID Connect) an account is known; never by an address."""

    __tablename__ = "identities"
    issuer: Mapped[str] = mapped_column(String(500), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("people.name"), index=True)
    linked_at: Mapped[str]


class SignIn(Base):
    """Someone who is signed in: the SHA-256 of the cookie's token, and when it ends."""

    __tablename__ = "sign_ins"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("people.name"), index=True)
    created_at: Mapped[str]
    expires_at: Mapped[str]


class Usage(Base):
    """Metering, one row per key, resident and day: counts only, never content."""

    __tablename__ = "usage"
    __table_args__ = (UniqueConstraint("key_prefix", "resident", "day"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    key_prefix: Mapped[str] = mapped_column(String(16))
    resident: Mapped[str] = mapped_column(String(64), index=True)
    day: Mapped[str] = mapped_column(String(10))
    requests: Mapped[int] = mapped_column(default=0)
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[str]


class Message(Base):
    """The mail outbox: a message is written here before it is tried, and kept until a server takes it."""

    __tablename__ = "outbox"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    recipient: Mapped[str]
    subject: Mapped[str]
    body: Mapped[str]
    headers: Mapped[Json]
    created_at: Mapped[str]
    sent_at: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None]


class HeldWords(Base):
    """Words left for a model that nobody has moderated yet."""

    __tablename__ = "held_words"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    text: Mapped[str]
    left_at: Mapped[str]


class ScrubMark(Base):
    """When an object of the vault was last read and found sound: the oldest is read next. Lost, all are read anew."""

    __tablename__ = "scrub_marks"
    key: Mapped[str] = mapped_column(String(800), primary_key=True)
    at: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)


NOT_REBUILT = frozenset(
    {
        *("held_words", "people", "identities", "sign_ins", "coding_drafts", "usage", "outbox", "scrub_marks", "wakes"),
        *("api_keys", "plan_members", "budgets", "access_version"),
        *("correspondence_files", "correspondence_batches", "correspondence_lines"),
    }
)
