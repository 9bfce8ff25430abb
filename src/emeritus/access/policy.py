"""Who may call: one pure function from facts to a decision with a reason code and the policy's version.

Knows no database, no clock and no key's secret; `service` gathers the facts and raises what a refusal means.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from emeritus.access.limits import KINDS, Kind, LimitState, Line
from emeritus.errors import AccessError, BadKey, InputError, NotEntitled, OutsideHours, QuotaExceeded
from emeritus.tiers import MayAnswer, Tier, may_answer, read_hours

POLICY_VERSION = "3"  # changes whenever `decide` would answer the same question differently

AccessName = Literal["open", "entitled", "by request", "none"]
ACCESSES: tuple[AccessName, ...] = ("open", "entitled", "by request", "none")
LIVE_TIERS = frozenset({Tier.AWAKE, Tier.ON_DEMAND, Tier.HOURS})  # a call is answered while the caller waits
ANSWERING = {"chat": LIVE_TIERS, "batch": LIVE_TIERS | {Tier.CORRESPONDENCE}}  # scope -> the tiers that answer it
Scope = Literal["chat", "batch"]
SCOPES: tuple[Scope, ...] = ("chat", "batch")
EVERY_RESIDENT = "*"


@dataclass(frozen=True, slots=True)
class Standing:
    """How awake a resident is kept and who may call it. Until an act sets them nobody may."""

    tier: str = Tier.ARCHIVE
    access: str = "none"
    hours: str | None = None  # as `tiers.read_hours` reads them: visiting hours, or a correspondence's window

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
        if self.tier == Tier.CORRESPONDENCE and self.hours is not None and not read_hours(self.hours):
            raise InputError("the window is empty", remedy="Give --hours 'sun 02:00-06:00' (UTC), or leave it out.")
        if self.tier not in (Tier.HOURS, Tier.CORRESPONDENCE) and self.hours is not None:
            raise InputError(
                f"visiting hours belong to the tier 'hours', a window to 'correspondence', neither to {self.tier!r}"
            )
        return self

    def may_answer(self, now: datetime) -> MayAnswer:
        """Whether its tier lets it answer a conversation at `now`; if not, why, and when it may next."""
        return may_answer(Tier(self.tier), now, read_hours(self.hours or ""))


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What is known of who calls: by a key, or (`person`) as someone signed in. `grant` is None when nothing matches.

    `limits` are the key's and its grant's together.
    """

    given: bool
    prefix: str | None = None
    revoked: bool = False
    grant: GrantFacts | None = None
    expires: str | None = None  # RFC 3339, UTC: the last second at which it holds
    scopes: frozenset[str] | None = None  # None: all
    residents: frozenset[str] | None = None  # None: all that its grant covers
    limits: tuple[LimitFacts, ...] = ()
    person: bool = False


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """What a key stands on: a grant, or (`plan`) that its holder belongs to a plan."""

    id: str
    residents: frozenset[str]  # names; "*" is every resident
    state: str  # active | revoked | ended (no longer a member) | closed (the plan)
    expires: str | None  # RFC 3339, UTC: the last second at which it holds
    plan: bool = False


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """A limit in force, and whether what this request needs of it is there."""

    kind: Kind
    limit: int
    enough: bool
    of_key: bool = False  # the key's own, not its grant's


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
    """One admitted request: what its use is recorded under. `prefix` is None for a call without a key.

    `prefix` is a membership's id for someone signed in. `charged` is what was taken of each budget; `limits` is what
    the caller may be told of them.
    """

    resident: str
    prefix: str | None
    grant: str | None
    code: str
    policy: str
    day: str  # the UTC day it counts for, ISO 8601
    scope: str = "chat"
    charged: tuple[tuple[Line, int], ...] = ()
    limits: tuple[LimitState, ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an answered request used."""

    prompt: int = 0
    completion: int = 0


REFUSALS: dict[str, type[AccessError]] = {
    "key-missing": BadKey,
    "key-unknown": BadKey,
    "key-revoked": BadKey,
    "key-expired": BadKey,
    "key-scope": NotEntitled,
    "key-elsewhere": NotEntitled,
    "grant-revoked": NotEntitled,
    "grant-expired": NotEntitled,
    "grant-elsewhere": NotEntitled,
    "grant-not-by-name": NotEntitled,
    "not-a-member": NotEntitled,
    "member-ended": NotEntitled,
    "plan-closed": NotEntitled,
    "access-none": NotEntitled,
    "tier-not-live": NotEntitled,
    "outside-hours": OutsideHours,
    "rate": QuotaExceeded,
    "quota": QuotaExceeded,
    "tokens-day": QuotaExceeded,
    "tokens-month": QuotaExceeded,
}
_RENEWED = "Have it renewed: `emeritus access renew GRANT`, or ask again on the resident's page."
REMEDIES: dict[str, str] = {  # where the error's own, to ask for a grant, would not help
    "key-scope": "Use a key with this scope: `emeritus access key GRANT` issues one.",
    "key-elsewhere": "Use a key for this resident: `emeritus access key GRANT` issues one.",
    "grant-expired": _RENEWED,
    "access-none": "No key changes this; the resident's page says what is planned.",
    "tier-not-live": "No key changes this. At the tier `correspondence` batches and letters are answered, in the "
    "archive nothing is; the resident's page says what is planned.",
}
LIMIT_CODES = frozenset({"rate", "quota", "tokens-day", "tokens-month"})


def decide(key: KeyFacts, standing: Standing, resident: str, now: datetime, scope: Scope = "chat") -> Decision:
    """Whether this request to `resident` is admitted at `now` (UTC).

    A key that was sent must be good even where none is needed, so that a mistyped key never goes unnoticed. `entitled`
    takes any grant or plan that covers the resident, `by request` only one that names it. A batch always has an owner,
    and is answered in the resident's own time: visiting hours do not hold it up.
    """
    grant = key.grant
    refused = _bad_key(key, resident, now, scope)
    if refused is not None:
        return refused
    if standing.access == "none":
        return _no("access-none", f"{resident!r} is kept but answers no calls")
    if standing.tier not in ANSWERING[scope]:
        what = "live calls" if scope == "chat" else "batches"
        return _no("tier-not-live", f"{resident!r} is kept at tier {standing.tier!r} and answers no {what}")
    if standing.access == "open" and (scope == "chat" or grant is not None):
        return _in_hours(standing, now, scope) or Decision(True, "open", f"{resident!r} is open to everyone")
    if grant is None and key.person:
        return _no("not-a-member", f"this account belongs to no plan and has no grant that covers {resident!r}")
    if grant is None:
        return _no("key-missing", f"{resident!r} answers callers with a key, and none was sent")
    refused = _by_grant(grant, standing, resident, now) or _in_hours(standing, now, scope)
    return refused or _within(key, now) or Decision(True, "granted", f"{grant.id} covers {resident!r}")


def refuse_key(key: KeyFacts, now: datetime, scope: Scope) -> Decision | None:
    """The refusal of a key that is not good for a scope, whatever resident is meant; None where it is."""
    if key.given and key.grant is None:
        return _no("key-unknown", "no key like the one sent is known")
    if key.revoked:
        return _no("key-revoked", "this key has been revoked")
    if key.expires is not None and datetime.fromisoformat(key.expires) < now:
        return _no("key-expired", f"this key ended at {key.expires}")
    if key.scopes is not None and scope not in key.scopes:
        return _no("key-scope", f"this key is not for the scope {scope!r}")
    return None


def _bad_key(key: KeyFacts, resident: str, now: datetime, scope: Scope) -> Decision | None:
    refused = refuse_key(key, now, scope)
    if refused is not None:
        return refused
    if key.residents is not None and resident not in key.residents:
        return _no("key-elsewhere", f"this key is not for {resident!r}")
    return None


def _in_hours(standing: Standing, now: datetime, scope: Scope) -> Decision | None:
    """The refusal of a call outside visiting hours; None within them."""
    if scope == "batch":
        return None
    verdict = standing.may_answer(now)
    if verdict.now:
        return None
    wait = None if verdict.next_at is None else max(1, int((verdict.next_at - now).total_seconds()))
    return Decision(False, "outside-hours", verdict.reason.rstrip("."), retry_after_s=wait)


def _by_grant(grant: GrantFacts, standing: Standing, resident: str, now: datetime) -> Decision | None:
    """The refusal of a grant or membership that does not carry; None where it does."""
    if grant.state == "revoked":
        return _no("grant-revoked", "the grant behind this key has been revoked")
    if grant.state == "closed":
        return _no("plan-closed", "the plan behind this key has been closed")
    if grant.state != "active" or (grant.plan and _over(grant.expires, now)):
        return _no("member-ended", "its holder no longer belongs to the plan behind this key")
    if _over(grant.expires, now):
        return _no("grant-expired", f"the grant behind this key ended at {grant.expires}")
    named = resident in grant.residents
    if not named and EVERY_RESIDENT not in grant.residents:
        return _no("grant-elsewhere", f"this key's grant does not cover {resident!r}")
    if standing.access == "by request" and not named:
        return _no("grant-not-by-name", f"{resident!r} is called by request, and this key's grant does not name it")
    return None


def _within(key: KeyFacts, now: datetime) -> Decision | None:
    """The refusal of the limit that is used up, of several the one that lasts longest; None while all hold."""
    short = [limit for limit in key.limits if not limit.enough]
    if not short:
        return None
    last = max(short, key=lambda each: (each.kind.resets_in_s(now), KINDS.index(each.kind)))
    whose = "key" if last.of_key else "grant"
    reason = f"the {whose}'s {last.limit} {last.kind.unit} of this UTC {last.kind.window} are used up"
    return Decision(False, last.kind.code, reason, retry_after_s=last.kind.resets_in_s(now))


def _over(expires: str | None, now: datetime) -> bool:
    return expires is not None and datetime.fromisoformat(expires) < now


def _no(code: str, reason: str) -> Decision:
    return Decision(False, code, reason)
