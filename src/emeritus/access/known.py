"""What the records say of keys, grants, plans and standings, in memory for calls that ask it by the thousand.

Nothing in memory is used for longer than `LOOK_EVERY_S` without a look at the database's version of it (the newest act
and the count of other changes, one small read): so what was revoked anywhere is refused everywhere within that time.
Reads only; decides nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from emeritus.access.keys import prefix_of
from emeritus.access.limits import Kind, Limits
from emeritus.access.policy import GrantFacts, KeyFacts, Standing
from emeritus.records.database import Database
from emeritus.records.tables import AccessRequest, AccessVersion, ActRow, ApiKey, Grant, Plan, PlanMember, Tier
from emeritus.records.upsert import insert_for

LOOK_EVERY_S = 0.5
MOST_KNOWN = 100_000  # entries of one sort; then all are forgotten, and read again as they are asked for
T = TypeVar("T")

_VERSION = select(
    select(func.max(ActRow.seq)).scalar_subquery(), select(func.max(AccessVersion.version)).scalar_subquery()
)
_KEY = select(ApiKey).where(ApiKey.prefix == bindparam("prefix"))
_STANDING = (
    select(Tier.tier, Tier.access, Tier.hours)
    .where(Tier.resident == bindparam("resident"))
    .order_by(Tier.id.desc())
    .limit(1)
)
_MEMBERSHIPS = select(PlanMember).where(PlanMember.who == bindparam("who")).order_by(PlanMember.id)
_ASKED_FOR = (
    select(Grant)
    .join(AccessRequest, AccessRequest.grant == Grant.id)
    .where(AccessRequest.account == bindparam("who"))
    .order_by(Grant.at.desc())
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by a key or signed in, and what that stands on. `limits`: (whose, kind, limit, whether the key's)."""

    prefix: str  # a key's prefix; of someone signed in a membership's id, or that of the grant they asked for
    sha256: str  # of the whole key; empty for someone signed in
    grant: GrantFacts
    facts: KeyFacts  # for the policy; the limits are looked up for each call
    limits: tuple[tuple[str, Kind, int, bool], ...]


class Known:
    """The facts of one process. Safe in threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = threading.Lock()
        self._looked = float("-inf")  # monotonic seconds of the last look
        self._version: object = None
        self._generation = 0  # counted up by every forgetting: what was read before is then not kept
        self._callers: dict[str, Caller | None] = {}
        self._people: dict[str, tuple[Caller, ...]] = {}
        self._standings: dict[str, Standing] = {}

    @property
    def fresh(self) -> bool:
        """Whether what is in memory may be used without a look."""
        return time.monotonic() - self._looked < LOOK_EVERY_S

    def look(self, within_s: float = LOOK_EVERY_S) -> None:
        """See whether anything has changed, unless that was looked at just now. Raises DatabaseUnavailable."""
        began = time.monotonic()
        if began - self._looked < within_s:
            return
        with self._database.reading() as session:
            version = tuple(session.execute(_VERSION).one())
        with self._guard:
            if version != self._version:
                self._version = version
                self._empty()
            self._looked = max(self._looked, began)

    def forget(self) -> None:
        """Read everything anew: this process has changed something."""
        with self._guard:
            self._empty()

    def caller(self, key: str) -> Caller | None:
        """Who a key may belong to, by its prefix alone; its digest is to be compared. None: nobody."""
        prefix = prefix_of(key)
        return None if prefix is None else self.by_prefix(prefix)

    def by_prefix(self, prefix: str) -> Caller | None:
        """Whose key has that prefix. None: nobody's."""
        return self._kept(self._callers, prefix, _read_key)

    def person(self, who: str) -> tuple[Caller, ...]:
        """Someone's memberships, and the grants they asked for while signed in, as callers."""
        return self._kept(self._people, who, _read_person)

    def standing(self, resident: str) -> Standing:
        """How awake a resident is kept and who may call it: what the last act set."""
        return self._kept(self._standings, resident, _read_standing)

    def has(self, key: str | None, resident: str) -> bool:
        """Whether a call can be decided from memory alone."""
        prefix = None if key is None else prefix_of(key)
        return resident in self._standings and (prefix is None or prefix in self._callers)

    def _kept(self, kept: dict[str, T], name: str, read: Callable[[Session, str], T]) -> T:
        known = kept.get(name)
        if known is not None:
            return known
        generation = self._generation
        with self._database.reading() as session:
            found = read(session, name)
        with self._guard:
            if generation == self._generation and found is not None:  # one that nobody has costs its sender a look
                if len(kept) >= MOST_KNOWN:
                    kept.clear()
                kept[name] = found
        return found

    def _empty(self) -> None:
        self._generation += 1
        for kept in (self._callers, self._people, self._standings):
            kept.clear()


def changed(session: Session) -> None:
    """Tell every process that something has changed which is no act. To be called in the same transaction."""
    counted = insert_for(session, AccessVersion).values(id=1, version=1)
    session.execute(counted.on_conflict_do_update(index_elements=["id"], set_={"version": AccessVersion.version + 1}))


def _read_key(session: Session, prefix: str) -> Caller | None:
    row = session.scalars(_KEY, {"prefix": prefix}).first()
    if row is None:
        return None
    found = _stands_on(session, row.grant)
    if found is None:
        return None
    grant, limits = found
    mine = tuple((row.prefix, kind, limit, True) for kind, limit in Limits.of(row).each())
    facts = KeyFacts(
        True,
        row.prefix,
        row.revoked_at is not None,
        grant,
        row.expires,
        None if row.scopes is None else frozenset(row.scopes.split()),
        None if row.residents is None else frozenset(row.residents),
    )
    return Caller(
        row.prefix,
        row.sha256,
        grant,
        facts,
        (*mine, *((grant.id, kind, limit, False) for kind, limit in limits.each())),
    )


def _read_person(session: Session, who: str) -> tuple[Caller, ...]:
    found = []
    for member in session.scalars(_MEMBERSHIPS, {"who": who}):
        grant, limits = _membership(session, member)
        found.append(_signed_in(grant, limits))
    found += [_signed_in(_grant(row), Limits.of(row)) for row in session.scalars(_ASKED_FOR, {"who": who})]
    return tuple(found)


def _signed_in(grant: GrantFacts, limits: Limits) -> Caller:
    mine = tuple((grant.id, kind, limit, False) for kind, limit in limits.each())
    return Caller(grant.id, "", grant, KeyFacts(False, grant.id, grant=grant, person=True), mine)


def _grant(row: Grant) -> GrantFacts:
    return GrantFacts(row.id, frozenset({row.resident}), row.state, row.expires)


def _stands_on(session: Session, name: str) -> tuple[GrantFacts, Limits] | None:
    """The grant or membership of that id, and its limits."""
    row = session.get(Grant, name)
    if row is not None:
        return _grant(row), Limits.of(row)
    member = session.get(PlanMember, name)
    return None if member is None else _membership(session, member)


def _membership(session: Session, member: PlanMember) -> tuple[GrantFacts, Limits]:
    plan = session.get_one(Plan, member.plan)
    state = "ended" if member.ended_at is not None else "active" if plan.state == "open" else "closed"
    return GrantFacts(member.id, frozenset(plan.residents), state, member.until, plan=True), Limits.of(plan)


def _read_standing(session: Session, resident: str) -> Standing:
    row = session.execute(_STANDING, {"resident": resident}).first()
    return Standing() if row is None else Standing(row.tier, row.access, row.hours)
