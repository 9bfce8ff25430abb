"""Who calls a resident, as metering and grants tell it, read only. Holders and labels are personal data."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.access.meter import WITHOUT_KEY
from emeritus.records.tables import ApiKey, Grant, PlanMember, Usage


@dataclass(frozen=True, slots=True)
class GrantUse:
    """The calls to one resident by the keys of one grant. `grant` is None for calls without a key."""

    grant: str | None
    holder: str | None  # None also once erased
    labels: tuple[str, ...]  # of the keys that called
    requests: int
    last_day: str  # ISO 8601, UTC


def grant_uses(session: Session, resident: str) -> tuple[GrantUse, ...]:
    """Every grant whose keys called the resident, and the calls without a key, by grant."""
    query = (
        select(Usage.key_prefix, func.sum(Usage.requests), func.max(Usage.day))
        .where(Usage.resident == resident, Usage.requests > 0)
        .group_by(Usage.key_prefix)
    )
    used = {prefix: (int(requests), str(day)) for prefix, requests, day in session.execute(query)}
    keys = {row.prefix: row for row in session.scalars(select(ApiKey).where(ApiKey.prefix.in_(used)))}
    by_grant: dict[str | None, list[str]] = {}
    holders = {row.id: row.holder for row in session.execute(select(Grant.id, Grant.holder))}
    holders.update({row.id: row.who for row in session.execute(select(PlanMember.id, PlanMember.who))})
    for prefix in sorted(used):  # someone signed in is metered under their membership or grant
        if prefix in keys or prefix == WITHOUT_KEY or prefix in holders:
            owner = keys[prefix].grant if prefix in keys else prefix if prefix in holders else None
            by_grant.setdefault(owner, []).append(prefix)
    return tuple(
        GrantUse(
            grant,
            holders.get(grant) if grant else None,
            tuple(sorted({keys[prefix].label for prefix in prefixes if prefix in keys and keys[prefix].label})),
            sum(used[prefix][0] for prefix in prefixes),
            max(used[prefix][1] for prefix in prefixes),
        )
        for grant, prefixes in sorted(by_grant.items(), key=lambda item: item[0] or "")
    )
