"""Every table. A change here needs a migration in `records/migrations`; a test compares the two.

All tables but those in `NOT_REBUILT` are projections of acts: `Acts.rebuild` empties and refills them from the ledger,
payloads and private files. Times are RFC 3339 UTC strings, so that both databases and the ledger hold the same text.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = dict[str, Any]


class Base(DeclarativeBase):
    """Declarative base of all tables."""

    type_annotation_map = {Json: JSON, list[Any]: JSON, str: Text, float: Float}  # noqa: RUF012 (SQLAlchemy's own form)


class ActRow(Base):
    """One act: what the ledger's entry `seq` states, with its private part while that has not been erased."""

    __tablename__ = "acts"
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


# --- residents and their lifecycle ---------------------------------------------------------------------------------


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
    source: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Notice(Base):
    """One notice to one caller."""

    __tablename__ = "notices"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    caller: Mapped[str] = mapped_column(String(64), index=True)
    channel: Mapped[str]  # mail | outbox | none
    status: Mapped[str]  # sent | failed | no contact
    at: Mapped[str]
    acknowledged_at: Mapped[str | None]
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


# --- preservation ---------------------------------------------------------------------------------------------------


class Preserved(Base):
    """A set of files the vault holds for a resident."""

    __tablename__ = "preserved"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    role: Mapped[str]  # weights | reference | report
    version: Mapped[int]
    manifest_sha256: Mapped[str]
    files: Mapped[int]
    bytes: Mapped[int]
    stored_bytes: Mapped[int]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Check(Base):
    """The outcome of a restore proof, scrub, drill or canary; good or bad, never dropped."""

    __tablename__ = "checks"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str | None] = mapped_column(String(64), index=True)
    kind: Mapped[str]  # restore | scrub | drill
    ok: Mapped[bool] = mapped_column(Boolean)
    summary: Mapped[str]
    detail: Mapped[Json]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Reference(Base):
    """Reference behaviour captured from a revived resident under one engine configuration."""

    __tablename__ = "references"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    build: Mapped[Json]
    build_digest: Mapped[str]
    method: Mapped[str]  # score | greedy
    probes: Mapped[int]
    payload_sha256: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


# --- interview and register -----------------------------------------------------------------------------------------


class Protocol(Base):
    """An interview protocol, content-hashed; logged before the first session that uses it."""

    __tablename__ = "protocols"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str]
    version: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class InterviewSession(Base):
    """One finished session; its journal is the truth, this row says where it is and what it hashes to."""

    __tablename__ = "interview_sessions"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    purpose: Mapped[str]  # interview | read-back | telling
    condition: Mapped[Json]
    protocol_sha256: Mapped[str | None]
    journal: Mapped[str]  # path under the home's journals folder
    journal_sha256: Mapped[str]
    turns: Mapped[int]
    attempts: Mapped[int]
    status: Mapped[str]  # complete | stopped | failed
    build: Mapped[Json]
    started_at: Mapped[str]
    ended_at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Preference(Base):
    """A preference the model expressed, as coded. State is derived from the acts that follow."""

    __tablename__ = "preferences"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    domain: Mapped[str]
    need: Mapped[str]  # verbatim
    paraphrase: Mapped[str]
    evidence: Mapped[list[Any]]  # [{session, transcript_sha256, turn, start, end, quote_sha256}]
    need_origin: Mapped[str]
    remedy: Mapped[str | None]
    remedy_origin: Mapped[str | None]
    strength: Mapped[str | None]
    coders: Mapped[list[Any]]
    stability: Mapped[Json]
    contrary: Mapped[list[Any]]
    channel: Mapped[str | None]  # the channel a grant would open: essays | correspondence | ... | None
    state: Mapped[str]
    supersedes: Mapped[str | None]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Confirmation(Base):
    """What the model produced when a coded record was read back."""

    __tablename__ = "confirmations"
    id: Mapped[int] = mapped_column(primary_key=True)
    preference: Mapped[str] = mapped_column(ForeignKey("preferences.id"), index=True)
    outcome: Mapped[str]  # confirmed | corrected | withdrawn | unclear
    session: Mapped[str]
    turn: Mapped[int]
    quote: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Decision(Base):
    """A decision on a preference; append-only, the latest one is in force."""

    __tablename__ = "decisions"
    id: Mapped[int] = mapped_column(primary_key=True)
    preference: Mapped[str] = mapped_column(ForeignKey("preferences.id"), index=True)
    outcome: Mapped[str]  # accept | accept in part | defer | decline | not actionable
    reasons: Mapped[str]
    options: Mapped[list[Any]]
    decider: Mapped[str]
    decider_role: Mapped[str]
    second: Mapped[str | None]
    conflict: Mapped[str]
    cost: Mapped[Json]
    review_date: Mapped[str | None]
    automated: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Telling(Base):
    """A decision told to the model in a session of its own, and what the model produced in reply."""

    __tablename__ = "tellings"
    id: Mapped[int] = mapped_column(primary_key=True)
    preference: Mapped[str] = mapped_column(ForeignKey("preferences.id"), index=True)
    decision_act: Mapped[str]
    session: Mapped[str]
    turn: Mapped[int]
    transcript_sha256: Mapped[str]
    offered: Mapped[bool] = mapped_column(Boolean)
    reply: Mapped[str]  # accept | amend | decline | acknowledged | unclear
    quote: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Commitment(Base):
    """A public promise with an owner, a due date and a check; follow-through rows report on it."""

    __tablename__ = "commitments"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    preference: Mapped[str | None]
    text: Mapped[str]
    owner: Mapped[str]
    due: Mapped[str]
    check: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class FollowThrough(Base):
    """Evidence for a commitment, and who verified it (someone other than its owner)."""

    __tablename__ = "follow_through"
    id: Mapped[int] = mapped_column(primary_key=True)
    commitment: Mapped[str] = mapped_column(ForeignKey("commitments.id"), index=True)
    status: Mapped[str]  # acting | verified | lapsed
    evidence: Mapped[Json]
    verified_by: Mapped[str | None]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


# --- corner ---------------------------------------------------------------------------------------------------------


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


# --- access ---------------------------------------------------------------------------------------------------------


class Grant(Base):
    """A right to call. `holder` is personal data: private part of the act."""

    __tablename__ = "grants"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)  # or "*"
    holder: Mapped[str | None]
    plan: Mapped[str]
    state: Mapped[str]  # active | revoked
    reason: Mapped[str]
    requests_per_day: Mapped[int | None]
    expires: Mapped[str | None]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


class Tier(Base):
    """How awake a resident is kept from an act on; the latest row is in force."""

    __tablename__ = "tiers"
    id: Mapped[int] = mapped_column(primary_key=True)
    resident: Mapped[str] = mapped_column(String(64), index=True)
    tier: Mapped[str]
    access: Mapped[str]  # open | entitled | by request | none
    reasons: Mapped[str]
    at: Mapped[str]
    act: Mapped[str] = mapped_column(ForeignKey("acts.id"))


# --- not rebuilt: accounts, secrets, metering ------------------------------------------------------------------------


class Person(Base):
    """A local account."""

    __tablename__ = "people"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    display: Mapped[str]
    role: Mapped[str]  # steward | reviewer | coder | researcher
    password_hash: Mapped[str | None]
    setup_sha256: Mapped[str | None]
    created_at: Mapped[str]
    disabled: Mapped[bool] = mapped_column(Boolean, default=False)


class ApiKey(Base):
    """A key to the API: the prefix people see and the SHA-256 of the secret."""

    __tablename__ = "api_keys"
    prefix: Mapped[str] = mapped_column(String(16), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    grant: Mapped[str] = mapped_column(String(64), index=True)
    label: Mapped[str]
    created_at: Mapped[str]
    revoked_at: Mapped[str | None]


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


NOT_REBUILT = frozenset({"people", "api_keys", "usage", "outbox"})
