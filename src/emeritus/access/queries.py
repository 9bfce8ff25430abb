"""What access's tables say, read only: the tier in force, and how many grants, keys and requests there are.

Returns frozen values; writes nothing and knows no page. Counts only: who holds a grant is personal data.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from emeritus.records.provenance import Provenance, provenance
from emeritus.records.tables import ApiKey, Grant, Tier, Usage


@dataclass(frozen=True, slots=True)
class TierView:
    """How awake a resident is kept from an act on, who may call it, and why."""

    tier: str  # awake | on-demand | hours | correspondence | archive
    access: str  # open | entitled | by request | none
    reasons: str
    at: str
    source: Provenance


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
    return tuple(TierView(row.tier, row.access, row.reasons, row.at, sources[row.act]) for row in rows)
