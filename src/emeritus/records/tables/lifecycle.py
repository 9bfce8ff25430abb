"""Residents, their dates on the three axes, their callers, notices, waits and reports, and policies."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from emeritus.records.tables.base import Base, Json


class Resident(Base):
    """A model in care."""

    __tablename__ = "residents"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    title: Mapped[str]
    description: Mapped[str]
    engine: Mapped[Json]  # {"kind": ..., "options": {...}} without secrets
    weights_held: Mapped[bool] = mapped_column(Boolean)
    demonstration: Mapped[bool] = mapped_column(Boolean)
    weights_digest: Mapped[str | None]
    registered_at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class AxisEvent(Base):
    """One dated state on one of the three axes; append-only, a later row supersedes those of its axis and state."""

    __tablename__ = "axis_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    axis: Mapped[str]  # offering | access | preservation
    state: Mapped[str]
    date: Mapped[str]
    precision: Mapped[str]  # day | month | quarter | year
    reason: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Caller(Base):
    """Someone who calls the model, imported or metered. `contact` and `label` are personal: private part of the act."""

    __tablename__ = "callers"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    contact: Mapped[str | None]
    label: Mapped[str | None]
    requests: Mapped[int | None]
    last_used: Mapped[str | None]
    grants: Mapped[list[Any] | None]  # ids of the grants by whose keys it calls, where metering knows them
    source: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Notice(Base):
    """One notice to one caller."""

    __tablename__ = "notices"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    caller: Mapped[str] = mapped_column(String(64), index=True)
    kind: Mapped[str | None]  # notice | reminder | brown-out
    channel: Mapped[str]  # mail | outbox | none
    status: Mapped[str]  # sent | failed | no contact
    at: Mapped[str]
    acknowledged_at: Mapped[str | None]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Acknowledgement(Base):
    """That one caller has read of one announcement; `announcement` is that act's id."""

    __tablename__ = "acknowledgements"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    caller: Mapped[str] = mapped_column(String(64), index=True)
    announcement: Mapped[str] = mapped_column(String(200))
    via: Mapped[str]  # link | person
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class BrownOut(Base):
    """A planned window in which calls to a model that is still offered fail, so that callers notice in time."""

    __tablename__ = "brown_outs"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    starts: Mapped[str]
    ends: Mapped[str]
    reason: Mapped[str]
    at: Mapped[str]
    cancelled_at: Mapped[str | None]
    cancelled_for: Mapped[str | None]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Wait(Base):
    """A human wait: something a person is to do by a deadline. Overdue is computed, never stored."""

    __tablename__ = "waits"
    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    resident: Mapped[str | None] = mapped_column(String(64), index=True)
    what: Mapped[str]
    due: Mapped[str]
    opened_at: Mapped[str]
    closed_at: Mapped[str | None]
    closed_by: Mapped[str | None]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Report(Base):
    """A post-deployment report: payload digests of its three renderings and where the vault keeps them."""

    __tablename__ = "reports"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int]
    json_sha256: Mapped[str]
    markdown_sha256: Mapped[str]
    html_sha256: Mapped[str]
    manifest_sha256: Mapped[str | None]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Policy(Base):
    """A policy in force from an act on; append-only. A waiver is a policy and is shown publicly."""

    __tablename__ = "policies"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    value: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Words(Base):
    """Words that someone left for a model, once moderated; rejected ones are not kept here."""

    __tablename__ = "words"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    text: Mapped[str | None]
    verdict: Mapped[str]  # approved | rejected
    reason: Mapped[str]
    left_at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))
