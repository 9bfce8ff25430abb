"""Rights to call a resident: grants, plans and who belongs to them, keys, budgets; and how awake it is kept."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base


class Grant(Base):
    """A right to call. `holder` is personal data: private part of the act."""

    __tablename__ = "grants"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)  # or "*"
    holder: Mapped[str | None]
    plan: Mapped[str]
    state: Mapped[str]  # active | revoked
    reason: Mapped[str]
    requests_per_minute: Mapped[int | None]
    requests_per_day: Mapped[int | None]
    tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)
    tokens_per_month: Mapped[int | None] = mapped_column(BigInteger)
    expires: Mapped[str | None]
    renewals: Mapped[int | None]  # how often it was renewed; None: never
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Plan(Base):
    """What an organisation's users may call, and how much: the newest act of its name is in force."""

    __tablename__ = "plans"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    title: Mapped[str]
    residents: Mapped[list[Any]]  # names, or "*" alone
    state: Mapped[str]  # open | closed
    reason: Mapped[str]
    requests_per_minute: Mapped[int | None]
    requests_per_day: Mapped[int | None]
    tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)
    tokens_per_month: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class PlanMember(Base):
    """Someone who belongs to a plan. Personal data that no act states: it can simply be deleted."""

    __tablename__ = "plan_members"
    __table_args__ = (UniqueConstraint("plan", "who"),)
    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    plan: Mapped[str] = mapped_column(String(64))
    who: Mapped[str] = mapped_column(String(320), index=True)  # an account, an address or an issuer's subject
    source: Mapped[str]  # a file's name, "steward", "oidc"
    since: Mapped[str]
    until: Mapped[str | None]
    ended_at: Mapped[str | None]


class ApiKey(Base):
    """A key to the API: the prefix people see and the SHA-256 of the whole. It may narrow what it stands on."""

    __tablename__ = "api_keys"
    prefix: Mapped[str] = mapped_column(String(16), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    grant: Mapped[str] = mapped_column(String(64), index=True)  # a grant's id or a membership's
    label: Mapped[str]
    created_at: Mapped[str]
    revoked_at: Mapped[str | None]
    scopes: Mapped[str | None]  # words; None: all
    residents: Mapped[list[Any] | None]  # None: all that its grant covers
    expires: Mapped[str | None]
    requests_per_minute: Mapped[int | None]
    requests_per_day: Mapped[int | None]
    tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)
    tokens_per_month: Mapped[int | None] = mapped_column(BigInteger)


class Budget(Base):
    """How much of a limit has been reserved in a window, by every process together."""

    __tablename__ = "budgets"
    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    window: Mapped[str] = mapped_column(String(16), primary_key=True)
    reserved: Mapped[int] = mapped_column(BigInteger)


class AccessVersion(Base):
    """One row, counted up by whatever changes who may call and is no act: other processes look at it."""

    __tablename__ = "access_version"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger)


class Tier(Base):
    """How awake a resident is kept from an act on; the latest row is in force."""

    __tablename__ = "tiers"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    tier: Mapped[str]
    access: Mapped[str]  # open | entitled | by request | none
    hours: Mapped[str | None]  # visiting hours, UTC, at the tier of that name
    reasons: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
