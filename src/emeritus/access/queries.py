"""What access's tables say, read only: the tier in force, and how many grants, keys and requests there are.

Returns frozen values; writes nothing and knows no page. Counts only: who holds a grant is personal data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from emeritus.access.limits import Limits
from emeritus.access.policy import ANSWERING, Standing
from emeritus.records.provenance import Provenance, provenance
from emeritus.records.tables import ApiKey, Grant, Plan, PlanMember, Tier, Usage
from emeritus.tiers import Tier as Kept


@dataclass(frozen=True, slots=True)
class TierView:
    """How awake a resident is kept from an act on, who may call it, and why."""

    tier: str  # awake | on-demand | hours | correspondence | archive
    access: str  # open | entitled | by request | none
    hours: str | None  # visiting hours, UTC, at the tier of that name
    reasons: str
    at: str
    source: Provenance

    @property
    def standing(self) -> Standing:
        """As the policy takes it."""
        return Standing(self.tier, self.access, self.hours)

    @property
    def live(self) -> bool:
        """Whether it answers those who may call while they wait, if not at every hour."""
        return self.access != "none" and self.tier in ANSWERING["chat"]

    @property
    def answers_letters(self) -> bool:
        """Whether it answers letters and batches of those who may call."""
        return self.access != "none" and self.tier in ANSWERING["batch"]


@dataclass(frozen=True, slots=True)
class AccessState:
    """The access there is to a resident at a moment. A grant for every resident ("*") counts for each of them."""

    tier: TierView | None  # in force; None until one was set
    history: tuple[TierView, ...]  # newest first
    grants_active: int
    grants_ended: int  # revoked or expired
    keys_active: int
    requests: int  # metered, all time
    last_used: str | None  # day of the last metered request, ISO 8601


def calls_per_day(session: Session, resident: str, now: str, days: int = 30) -> float:
    """Metered calls a day over the last `days` days."""
    since = (datetime.fromisoformat(now) - timedelta(days=days)).date().isoformat()
    query = select(func.sum(Usage.requests)).where(Usage.resident == resident, Usage.day > since)
    return (session.scalar(query) or 0) / days


def calls_by_day(session: Session, now: str, days: int = 30) -> list[dict[str, int]]:
    """Metered calls of each resident on each of the last `days` days that had any, oldest first."""
    since = (datetime.fromisoformat(now) - timedelta(days=days)).date().isoformat()
    total = func.sum(Usage.requests)
    query = select(Usage.day, Usage.resident, total).where(Usage.day > since).group_by(Usage.day, Usage.resident)
    found: dict[str, dict[str, int]] = {}
    for day, resident, number in session.execute(query.order_by(Usage.day)):
        found.setdefault(day, {})[resident] = int(number)
    return list(found.values())


def access_state(session: Session, resident: str, now: str) -> AccessState:
    """The access there is to a resident."""
    history = tiers(session, resident)
    grants = session.scalars(select(Grant).where(or_(Grant.resident == resident, Grant.resident == "*"))).all()
    active = [row.id for row in grants if row.state == "active" and (row.expires is None or row.expires > now)]
    keys = session.scalar(
        select(func.count()).select_from(ApiKey).where(ApiKey.grant.in_(active), ApiKey.revoked_at.is_(None))
    )
    requests, last_day = session.execute(
        select(func.sum(Usage.requests), func.max(Usage.day)).where(Usage.resident == resident)
    ).one()
    return AccessState(
        history[0] if history else None,
        history,
        len(active),
        len(grants) - len(active),
        keys or 0,
        int(requests or 0),
        last_day,
    )


def tiers(session: Session, resident: str) -> tuple[TierView, ...]:
    """Every tier a resident has had, newest first."""
    rows = session.scalars(select(Tier).where(Tier.resident == resident).order_by(Tier.id.desc())).all()
    sources = provenance(session, (row.act for row in rows))
    return tuple(TierView(row.tier, row.access, row.hours, row.reasons, row.at, sources[row.act]) for row in rows)


def standings(session: Session) -> dict[str, Standing]:
    """The tier and access in force of every resident that has them, by one query."""
    latest = select(func.max(Tier.id)).group_by(Tier.resident)
    rows = session.execute(select(Tier.resident, Tier.tier, Tier.access, Tier.hours).where(Tier.id.in_(latest)))
    return {row.resident: Standing(row.tier, row.access, row.hours) for row in rows}


def to_keep_awake(session: Session, now: datetime) -> list[str]:
    """The residents whose tier has them awake at `now`, called or not: tier `awake`, and `hours` within its hours."""
    latest = select(func.max(Tier.id)).group_by(Tier.resident)
    rows = session.scalars(select(Tier).where(Tier.id.in_(latest)).order_by(Tier.resident)).all()
    return [
        row.resident
        for row in rows
        if row.access != "none"
        and row.tier in (Kept.AWAKE, Kept.HOURS)
        and Standing(row.tier, row.access, row.hours).may_answer(now).now
    ]


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan in force."""

    name: str
    title: str
    residents: tuple[str, ...]
    state: str
    reason: str
    limits: Limits
    people: int
    at: str


def plans(session: Session, now: str) -> tuple[PlanView, ...]:
    """Every plan, by name, with how many people belong to it at `now`."""
    counted = session.execute(
        select(PlanMember.plan, func.count())
        .where(PlanMember.ended_at.is_(None), or_(PlanMember.until.is_(None), PlanMember.until >= now))
        .group_by(PlanMember.plan)
    )
    count = {row[0]: int(row[1]) for row in counted}
    return tuple(
        PlanView(
            row.name,
            row.title,
            tuple(row.residents),
            row.state,
            row.reason,
            Limits.of(row),
            count.get(row.name, 0),
            row.at,
        )
        for row in session.scalars(select(Plan).order_by(Plan.name))
    )


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key in force, for whoever holds it; the key itself is nowhere."""

    prefix: str
    label: str
    created_at: str
    last_at: str | None  # RFC 3339, UTC; None: never used


def keys_of(session: Session, grant: str) -> tuple[KeyView, ...]:
    """The keys in force of a grant or a membership, oldest first."""
    used = select(func.max(Usage.last_at)).where(Usage.key_prefix == ApiKey.prefix).scalar_subquery()
    rows = session.execute(
        select(ApiKey.prefix, ApiKey.label, ApiKey.created_at, used)
        .where(ApiKey.grant == grant, ApiKey.revoked_at.is_(None))
        .order_by(ApiKey.created_at, ApiKey.prefix)
    )
    return tuple(KeyView(*row) for row in rows)


@dataclass(frozen=True, slots=True)
class MembershipView:
    """Someone's membership of a plan in force, and its keys."""

    id: str
    title: str
    residents: tuple[str, ...]  # names, or "*" alone
    until: str | None
    limits: Limits
    keys: tuple[KeyView, ...]


def memberships(session: Session, who: str, now: str) -> tuple[MembershipView, ...]:
    """The open plans someone belongs to at `now`, by name. `who`: as `members.identity` writes it."""
    rows = session.execute(
        select(PlanMember, Plan)
        .join(Plan, Plan.name == PlanMember.plan)
        .where(PlanMember.who == who, PlanMember.ended_at.is_(None), Plan.state == "open")
        .where(or_(PlanMember.until.is_(None), PlanMember.until >= now))
        .order_by(Plan.name)
    )
    return tuple(
        MembershipView(
            member.id, plan.title, tuple(plan.residents), member.until, Limits.of(plan), keys_of(session, member.id)
        )
        for member, plan in rows
    )


@dataclass(frozen=True, slots=True)
class LastUse:
    """Who used a resident, how much, and when last. `who` and `label` are personal data: never public."""

    key: str  # a key's prefix, a membership's or a grant's id, or "-" for calls without a key
    grant: str | None  # what the key stands on
    who: str | None  # a grant's holder or a plan's member; None: nobody is named, or erased
    label: str
    requests: int
    tokens: int
    last_at: str  # RFC 3339, UTC


def last_uses(session: Session, resident: str) -> tuple[LastUse, ...]:
    """Everyone who used a resident, by key, the latest first."""
    used = session.execute(
        select(
            Usage.key_prefix,
            func.sum(Usage.requests),
            func.sum(Usage.prompt_tokens + Usage.completion_tokens),
            func.max(Usage.last_at),
        )
        .where(Usage.resident == resident)
        .group_by(Usage.key_prefix)
        .having(func.sum(Usage.requests) > 0)
    ).all()
    keys = {row.prefix: row for row in session.scalars(select(ApiKey))}
    holders = {row.id: row.holder for row in session.execute(select(Grant.id, Grant.holder))}
    members = {row.id: row.who for row in session.execute(select(PlanMember.id, PlanMember.who))}
    found = []
    for prefix, requests, tokens, last_at in used:
        key = keys.get(prefix)
        signed_in = key is None and (prefix in members or prefix in holders)
        grant = prefix if signed_in else None if key is None else key.grant
        who = holders.get(grant) or members.get(grant) if grant is not None else None
        found.append(
            LastUse(prefix, grant, who, "" if key is None else key.label, int(requests), int(tokens or 0), last_at)
        )
    return tuple(sorted(found, key=lambda each: each.last_at, reverse=True))
