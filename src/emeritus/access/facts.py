"""What the records say of a key, its grant, its use and a resident's standing: the facts `policy.decide` takes.

Every call of the API asks this, so the statements are built once. Reads only.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.orm import Session

from emeritus.access.keys import key_digest, prefix_of
from emeritus.access.policy import GrantFacts, KeyFacts, Standing
from emeritus.records.tables import ApiKey, Grant, Tier, Usage

_KEY = (
    select(
        ApiKey.sha256,
        ApiKey.revoked_at,
        Grant.id,
        Grant.resident,
        Grant.state,
        Grant.expires,
        Grant.requests_per_day,
    )
    .join(Grant, Grant.id == ApiKey.grant)
    .where(ApiKey.prefix == bindparam("prefix"))
)
_USED = (
    select(ApiKey.prefix, func.coalesce(func.sum(Usage.requests), 0))
    .outerjoin(Usage, and_(Usage.key_prefix == ApiKey.prefix, Usage.day == bindparam("day")))
    .where(ApiKey.grant == bindparam("grant"))
    .group_by(ApiKey.prefix)
)
_STANDING = (
    select(Tier.tier, Tier.access, Tier.hours)
    .where(Tier.resident == bindparam("resident"))
    .order_by(Tier.id.desc())
    .limit(1)
)


def key_facts(session: Session, key: str | None, day: str, unwritten: Mapping[str, int]) -> KeyFacts:
    """What is known of a key. `unwritten` are requests of the day by key prefix that the database does not hold yet."""
    if key is None:
        return KeyFacts(given=False)
    prefix = prefix_of(key)
    row = None if prefix is None else session.execute(_KEY, {"prefix": prefix}).first()
    if row is None or not hmac.compare_digest(row.sha256, key_digest(key)):
        return KeyFacts(given=True)
    used = 0 if row.requests_per_day is None else _used(session, row.id, day, unwritten)
    grant = GrantFacts(row.id, row.resident, row.state, row.expires, row.requests_per_day, used)
    return KeyFacts(True, prefix, row.revoked_at is not None, grant)


def standing(session: Session, resident: str) -> Standing:
    """How awake a resident is kept and who may call it: what the last act set."""
    row = session.execute(_STANDING, {"resident": resident}).first()
    return Standing() if row is None else Standing(row.tier, row.access, row.hours)


def _used(session: Session, grant: str, day: str, unwritten: Mapping[str, int]) -> int:
    """Requests of a grant on a day, over all its keys and residents."""
    written = session.execute(_USED, {"grant": grant, "day": day}).all()
    return sum(int(requests) + unwritten.get(prefix, 0) for prefix, requests in written)
