"""Who may call: one pure function from facts to a decision with a reason code and the policy's version.

Knows no database, no clock and no key's secret; `service` gathers the facts and raises what a refusal means.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from emeritus.errors import AccessError, BadKey, InputError, NotEntitled, OutsideHours, QuotaExceeded
from emeritus.tiers import MayAnswer, Tier, may_answer, read_hours

POLICY_VERSION = "2"  # changes whenever `decide` would answer the same question differently

AccessName = Literal["open", "entitled", "by request", "none"]
ACCESSES: tuple[AccessName, ...] = ("open", "entitled", "by request", "none")
LIVE_TIERS = frozenset({Tier.AWAKE, Tier.ON_DEMAND, Tier.HOURS})  # a call is answered while the caller waits
EVERY_RESIDENT = "*"


@dataclass(frozen=True, slots=True)
class Standing:
    """How awake a resident is kept and who may call it. Until an act sets them nobody may."""

    tier: str = Tier.ARCHIVE
    access: str = "none"
    hours: str | None = None  # as `tiers.read_hours` reads them; at the tier "hours" and there alone

    def check(self) -> Standing:
        """Itself. Raises InputError for an unknown tier or access, and for hours missing, misplaced or unreadable."""
        if self.tier not in list(Tier):
            raise InputError(f"{self.tier!r} is no tier; use one of: {', '.join(Tier)}")
        if self.access not in ACCESSES:
            raise InputError(f"{self.access!r} is no access state; use one of: {', '.join(ACCESSES)}")
        if self.tier == Tier.HOURS and not read_hours(self.hours or ""):
            raise InputError(
                "the tier 'hours' needs visiting hours", remedy="Give --hours 'mon-fri 09:00-17:00' (UTC)."
            )
        if self.tier != Tier.HOURS and self.hours is not None:
            raise InputError(f"visiting hours belong to the tier 'hours', not to {self.tier!r}")
        return self

    def may_answer(self, now: datetime) -> MayAnswer:
        """Whether its tier lets it answer a conversation at `now`; if not, why, and when it may next."""
        return may_answer(Tier(self.tier), now, read_hours(self.hours or ""))


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What is known of the key that was sent. `grant` is None when no key matches."""

    given: bool
    prefix: str | None = None
    revoked: bool = False
    grant: GrantFacts | None = None


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """The grant a key belongs to, and how many requests it has had on the current UTC day."""

    id: str
    resident: str  # or "*"
    state: str  # active | revoked
    expires: str | None  # RFC 3339, UTC: the last second at which it holds
    requests_per_day: int | None
    used_today: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request is admitted, and why: a stable code, a sentence, the policy's version."""

    allowed: bool
    code: str
    reason: str
    policy: str = POLICY_VERSION
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """One admitted request: what its use is recorded under. `prefix` is None for a call without a key."""

    resident: str
    prefix: str | None
    grant: str | None
    code: str
    policy: str
    day: str  # the UTC day it counts for, ISO 8601


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an answered request used."""

    prompt: int = 0
    completion: int = 0


REFUSALS: dict[str, type[AccessError]] = {
    "key-missing": BadKey,
    "key-unknown": BadKey,
    "key-revoked": BadKey,
    "grant-revoked": NotEntitled,
    "grant-expired": NotEntitled,
    "grant-elsewhere": NotEntitled,
    "grant-not-by-name": NotEntitled,
    "access-none": NotEntitled,
    "tier-not-live": NotEntitled,
    "outside-hours": OutsideHours,
    "quota": QuotaExceeded,
}


def decide(key: KeyFacts, standing: Standing, resident: str, now: datetime) -> Decision:
    """Whether this request to `resident` is admitted at `now`.

    A key that was sent must be good even where none is needed, so that a mistyped key never goes unnoticed. `entitled`
    takes any grant that covers the resident, `by request` only one that names it.
    """
    grant = key.grant
    if key.given and grant is None:
        return _no("key-unknown", "no key like the one sent is known")
    if key.revoked:
        return _no("key-revoked", "this key has been revoked")
    if standing.access == "none":
        return _no("access-none", f"{resident!r} is kept but answers no calls")
    if standing.tier not in LIVE_TIERS:
        return _no("tier-not-live", f"{resident!r} is kept at tier {standing.tier!r} and answers no live calls")
    if standing.access == "open":
        return _in_hours(standing, now) or Decision(True, "open", f"{resident!r} is open to everyone")
    if grant is None:
        return _no("key-missing", f"{resident!r} answers callers with a key, and none was sent")
    return _by_grant(grant, standing, resident, now)


def _in_hours(standing: Standing, now: datetime) -> Decision | None:
    """The refusal of a call outside visiting hours; None within them."""
    verdict = standing.may_answer(now)
    if verdict.now:
        return None
    wait = None if verdict.next_at is None else max(1, int((verdict.next_at - now).total_seconds()))
    return Decision(False, "outside-hours", verdict.reason.rstrip("."), retry_after_s=wait)


def _by_grant(grant: GrantFacts, standing: Standing, resident: str, now: datetime) -> Decision:
    if grant.state != "active":
        return _no("grant-revoked", "the grant behind this key has been revoked")
    if grant.expires is not None and datetime.fromisoformat(grant.expires) < now:
        return _no("grant-expired", f"the grant behind this key ended at {grant.expires}")
    if grant.resident not in (resident, EVERY_RESIDENT):
        return _no("grant-elsewhere", f"this key's grant does not cover {resident!r}")
    if standing.access == "by request" and grant.resident == EVERY_RESIDENT:
        return _no("grant-not-by-name", f"{resident!r} is called by request, and this key's grant does not name it")
    closed = _in_hours(standing, now)
    if closed is not None:
        return closed
    if grant.requests_per_day is not None and grant.used_today >= grant.requests_per_day:
        return Decision(
            False,
            "quota",
            f"the grant's {grant.requests_per_day} requests of this UTC day are used up",
            retry_after_s=seconds_to_next_day(now),
        )
    return Decision(True, "granted", f"grant {grant.id} covers {resident!r}")


def _no(code: str, reason: str) -> Decision:
    return Decision(False, code, reason)


def seconds_to_next_day(now: datetime) -> int:
    """Seconds until the next UTC midnight, at least 1."""
    now = now.astimezone(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1, int((midnight - now).total_seconds()))
