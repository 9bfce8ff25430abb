"""Access: tiers, grants and plans as acts, keys as secrets, and the check every call passes.

Tiers, grants and plans are public decisions and enter the ledger (a grant's holder only as a commitment). Keys,
budgets and metering are not acts: they live in the database alone. docs/access.md states what holds across processes.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from emeritus.access.dates import last_moment
from emeritus.access.gate import Call, Gate
from emeritus.access.keys import new_key
from emeritus.access.known import changed
from emeritus.access.limits import NO_LIMITS, Limits
from emeritus.access.members import Members, identity, stands_on
from emeritus.access.policy import EVERY_RESIDENT, SCOPES, Admission, Decision, Scope, Standing, Tokens
from emeritus.acts import Actor, Acts, Draft, stamp, utc_now
from emeritus.errors import AccessError, BadName, InputError, NotFound
from emeritus.records.database import Database
from emeritus.records.residents import resident_row
from emeritus.records.tables import ApiKey, Grant

MOST_KEYS = 5  # in force at once, of those that a holder makes themselves
MAX_LABEL = 100
_PLAN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a grant gives. `expires` is an ISO date, whose whole day counts, or an RFC 3339 moment; None: no end."""

    plan: str = "api"
    limits: Limits = NO_LIMITS
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """How much less than its grant a key may do. `residents` and `scopes` None: all; `expires` as in `Terms`."""

    scopes: tuple[str, ...] | None = None
    residents: tuple[str, ...] | None = None
    expires: str | None = None
    limits: Limits = field(default=NO_LIMITS)

    def check(self) -> KeyTerms:
        """Itself. Raises InputError."""
        unknown = [scope for scope in self.scopes or () if scope not in SCOPES]
        if unknown or self.scopes == ():
            raise InputError(f"{', '.join(unknown) or 'none'}: a key's scopes are {' and '.join(SCOPES)}")
        self.limits.check()
        return self


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What a plan gives whoever belongs to it: which residents ("*": all that are not by request), and how much."""

    title: str
    residents: tuple[str, ...] = (EVERY_RESIDENT,)
    limits: Limits = NO_LIMITS
    state: str = "open"  # or closed: nobody may call by it any more


ANY_KEY = KeyTerms()


class Access:
    """Who may call. Safe in threads; close it to write the last counts."""

    def __init__(self, acts: Acts, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._acts = acts
        self._database = database
        self._clock = clock
        self._gate = Gate(database, clock)
        self.members = Members(database, clock, self._gate.known)

    # -- acts --------------------------------------------------------------------------------------------------------

    def set_tier(self, resident: str, standing: Standing, reasons: str, actor: Actor) -> None:
        """Choose how awake a resident is kept, when, and who may call it. Raises InputError, NotFound."""
        standing.check()

        def build(session: Session) -> Draft:
            resident_row(session, resident)
            public = {**asdict(standing), "reasons": reasons}
            return Draft("access.tier", resident, public=public)

        self._acts.perform(f"tier:{resident}:{secrets.token_hex(6)}", actor, build)
        self._gate.known.forget()

    def grant(self, resident: str, holder: str, terms: Terms, reason: str, actor: Actor) -> str:
        """Grant a right to call one resident, or every one ("*"); the grant's id. The holder stays out of the ledger.

        Raises InputError, NotFound.
        """
        terms.limits.check()
        public = {
            "grant": f"g-{secrets.token_hex(6)}",
            "plan": terms.plan,
            **terms.limits.as_dict(),
            "expires": self._ahead(terms.expires),
            "reason": reason,
        }

        def build(session: Session) -> Draft:
            if resident == EVERY_RESIDENT:
                return Draft("access.granted", None, public=public, private={"holder": holder})
            resident_row(session, resident)
            return Draft("access.granted", resident, public=public, private={"holder": holder})

        self._acts.perform(_granting(str(public["grant"])), actor, build)
        return str(public["grant"])

    def revoke(self, grant: str, reason: str, actor: Actor) -> None:
        """Revoke a grant and with it every key of it; once revoked it stays so. Raises InputError, NotFound."""
        if not reason.strip():
            raise InputError("a revocation needs a reason")

        def build(session: Session) -> Draft:
            row = _grant_row(session, grant)
            resident = None if row.resident == EVERY_RESIDENT else row.resident
            return Draft("access.revoked", resident, public={"grant": grant, "reason": reason})

        self._acts.perform(f"revoke:{grant}", actor, build)
        self._gate.known.forget()

    def renew(self, grant: str, expires: str | None, actor: Actor) -> str | None:
        """Let a grant hold until another day, also one that has expired; its new end. Raises InputError, NotFound.

        A revoked grant stays revoked.
        """
        until = self._ahead(expires)

        def build(session: Session) -> Draft:
            row = _grant_row(session, grant)
            if row.state == "revoked":
                raise InputError(f"grant {grant} has been revoked", remedy="Make a new grant.")
            resident = None if row.resident == EVERY_RESIDENT else row.resident
            return Draft("access.renewed", resident, public={"grant": grant, "expires": until})

        self._acts.perform(f"renew:{grant}:{secrets.token_hex(6)}", actor, build)
        self._gate.known.forget()
        return until

    def set_plan(self, name: str, terms: PlanTerms, reason: str, actor: Actor) -> None:
        """Define a plan, or change it: the newest act of its name is in force. Raises BadName, InputError, NotFound."""
        if not _PLAN.fullmatch(name):
            raise BadName(f"{name[:80]!r} is no plan's name: small letters, digits and hyphens, at most 64")
        if terms.state not in ("open", "closed"):
            raise InputError(f"a plan is open or closed, not {terms.state!r}")
        if not terms.residents or (EVERY_RESIDENT in terms.residents and len(terms.residents) > 1):
            raise InputError("a plan covers residents by name, or '*' alone")
        terms.limits.check()

        def build(session: Session) -> Draft:
            for resident in terms.residents:
                if resident != EVERY_RESIDENT:
                    resident_row(session, resident)
            public = {
                "plan": name,
                "title": terms.title or name,
                "residents": sorted(set(terms.residents)),
                "state": terms.state,
                "reason": reason,
                **terms.limits.as_dict(),
            }
            return Draft("access.plan", None, public=public)

        self._acts.perform(f"plan:{name}:{secrets.token_hex(6)}", actor, build)
        self._gate.known.forget()

    def erase_holder(self, grant: str) -> None:
        """Erase who holds a grant, and its keys' labels; the rest stays. Raises NotFound, InputError."""
        with self._database.session() as session:
            if _grant_row(session, grant).act != _granting(grant):
                raise InputError(f"grant {grant} came of a request", remedy="Erase the request: it names its holder.")
            session.execute(update(ApiKey).where(ApiKey.grant == grant).values(label=""))
        self._acts.erase_private(_granting(grant))

    # -- keys --------------------------------------------------------------------------------------------------------

    def issue_key(self, grant: str, label: str = "", terms: KeyTerms = ANY_KEY) -> str:
        """A new key of a grant or a membership, returned this once; only its SHA-256 is kept.

        Raises NotFound, InputError, AccessError (what it would stand on holds no more).
        """
        terms.check()
        expires = self._ahead(terms.expires)
        made = new_key()
        with self._database.session() as session:
            stands_on(session, grant)
            for resident in terms.residents or ():
                resident_row(session, resident)
            session.add(
                ApiKey(
                    prefix=made.prefix,
                    sha256=made.sha256,
                    grant=grant,
                    label=label,
                    created_at=stamp(self._clock()),
                    scopes=None if terms.scopes is None else " ".join(sorted(set(terms.scopes))),
                    residents=None if terms.residents is None else sorted(set(terms.residents)),
                    expires=expires,
                    **terms.limits.as_dict(),
                )
            )
        return made.key

    def issue_to_holder(self, grant: str, label: str = "") -> str:
        """The same for whoever holds the grant or membership themselves. Raises AccessError for one key too many."""
        with self._database.reading() as session:
            held = session.scalar(
                select(func.count()).select_from(ApiKey).where(ApiKey.grant == grant, ApiKey.revoked_at.is_(None))
            )
        if (held or 0) >= MOST_KEYS:
            raise AccessError(f"there are {MOST_KEYS} keys already", remedy="Revoke one first.")
        return self.issue_key(grant, label.strip()[:MAX_LABEL])

    def revoke_key(self, prefix: str, grant: str | None = None) -> None:
        """Revoke one key, by its prefix; with `grant` only one of its own. Safe to repeat. Raises NotFound."""
        with self._database.session() as session:
            row = session.get(ApiKey, prefix)
            if row is None or (grant is not None and row.grant != grant):
                raise NotFound(f"no key begins with em_{prefix[:16]}_")
            row.revoked_at = row.revoked_at or stamp(self._clock())
            changed(session)
        self._gate.known.forget()

    # -- every call --------------------------------------------------------------------------------------------------

    def check(self, key: str | None, resident: str, scope: Scope = "chat", tokens: int = 0) -> Admission:
        """Admit one request to a resident and count it. May read and write the database; most calls touch none.

        `tokens` are reserved of token budgets until `meter` says what was used; 0 asks only that some are left.
        Raises BadKey, NotEntitled, OutsideHours or QuotaExceeded, with the reason's code, the policy's version and,
        where waiting helps, `retry_after_s` in its facts.
        """
        return self._gate.admit(Call(key, resident, scope, tokens))

    def check_at_once(self, key: str | None, resident: str, scope: Scope = "chat", tokens: int = 0) -> Admission | None:
        """The same from memory alone, for an event loop: None where the database has to be asked. Raises as `check`."""
        return self._gate.admit_at_once(Call(key, resident, scope, tokens))

    def look(self, within_s: float) -> None:
        """See now whether anything has changed, unless that was seen within so many seconds, for `check_at_once`."""
        self._gate.known.look(within_s)

    def check_person(self, account: str, resident: str, scope: Scope = "chat", tokens: int = 0) -> Admission:
        """Admit one request of someone signed in, by their plans or a grant they asked for. Raises as `check` does."""
        return self._gate.admit_person(identity(account), Call(None, resident, scope, tokens))

    def check_known(self, prefix: str, resident: str, scope: Scope = "batch", tokens: int = 0) -> Admission:
        """Admit one request of whoever a key was checked for before, such as a line of a batch. Raises as `check`."""
        return self._gate.admit_known(prefix, Call(None, resident, scope, tokens))

    def holder(self, key: str | None, scope: Scope = "batch") -> tuple[str, str]:
        """Whose key this is: its prefix, and its grant or membership. Counts nothing. Raises BadKey, NotEntitled."""
        return self._gate.holder(key, scope)

    def decide_person(self, account: str | None, resident: str) -> Decision:
        """What the policy says of someone signed in (None: of nobody), limits aside. Admits and counts nothing."""
        return self._gate.decide_person(None if account is None else identity(account), resident)

    def meter(self, admission: Admission, tokens: Tokens | None) -> None:
        """Record what an admitted request used; None gives the request back. Only touches memory, and never raises."""
        self._gate.meter(admission, tokens)

    def refresh(self) -> None:
        """Read who may call anew: something else in this process has changed it."""
        self._gate.known.forget()

    def flush(self) -> None:
        """Write the counts gathered so far. Raises DatabaseUnavailable; they are then kept."""
        self._gate.flush()

    def close(self) -> None:
        """Write the last counts and give back what is left of budgets. Call before the database is disposed."""
        self._gate.close()

    def _ahead(self, day: str | None) -> str | None:
        """The last moment of a day, which lies ahead. Raises InputError."""
        if day is None:
            return None
        moment = last_moment(day)
        if moment < stamp(self._clock()):
            raise InputError(f"what ended at {moment} allows nothing", remedy="Give a day that lies ahead.")
        return moment


def _granting(grant: str) -> str:
    return f"grant:{grant}"


def _grant_row(session: Session, grant: str) -> Grant:
    row = session.get(Grant, grant)
    if row is None:
        raise NotFound(f"no grant {grant!r}", remedy="`emeritus access list` lists the grants.")
    return row
