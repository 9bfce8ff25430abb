"""Access: tiers and grants as acts, keys as secrets, and the check every call passes.

Tiers and grants are public decisions and enter the ledger (a grant's holder only as a commitment). Keys and metering
are not acts: they live in the database alone. A requests-per-day limit is exact within one process; with several
processes each knows the others' requests after their next flush, so a limit can be passed by what they admit within
about a second.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time

from sqlalchemy import update
from sqlalchemy.orm import Session

from emeritus.access.facts import key_facts, standing
from emeritus.access.keys import new_key
from emeritus.access.meter import WITHOUT_KEY, Line, Meter
from emeritus.access.policy import (
    EVERY_RESIDENT,
    REFUSALS,
    Admission,
    Decision,
    Standing,
    Tokens,
    decide,
)
from emeritus.acts import Actor, Acts, Draft, stamp, utc_now
from emeritus.errors import AccessError, InputError, NotFound
from emeritus.records.database import Database
from emeritus.records.tables import ApiKey, Grant, Resident


@dataclass(frozen=True, slots=True)
class Terms:
    """What a grant gives. `expires` is an ISO date, whose whole day counts, or an RFC 3339 moment; None: no end."""

    plan: str = "api"
    requests_per_day: int | None = None
    expires: str | None = None


class Access:
    """Who may call. Safe in threads; close it to write the last counts."""

    def __init__(self, acts: Acts, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._acts = acts
        self._database = database
        self._clock = clock
        self._meter = Meter(database)
        self._admitting = threading.Lock()

    # -- acts --------------------------------------------------------------------------------------------------------

    def set_tier(self, resident: str, standing: Standing, reasons: str, actor: Actor) -> None:
        """Choose how awake a resident is kept, when, and who may call it. Raises InputError, NotFound."""
        standing.check()

        def build(session: Session) -> Draft:
            _must_exist(session, resident)
            public = {**asdict(standing), "reasons": reasons}
            return Draft("access.tier", resident, public=public)

        self._acts.perform(f"tier:{resident}:{secrets.token_hex(6)}", actor, build)

    def grant(self, resident: str, holder: str, terms: Terms, reason: str, actor: Actor) -> str:
        """Grant a right to call one resident, or every one ("*"); the grant's id. The holder stays out of the ledger.

        Raises InputError, NotFound.
        """
        if terms.requests_per_day is not None and terms.requests_per_day < 1:
            raise InputError("a grant allows at least one request a day")
        expires = None if terms.expires is None else last_moment(terms.expires)
        if expires is not None and expires < stamp(self._clock()):
            raise InputError(f"a grant that ended at {expires} allows nothing", remedy="Give a day that lies ahead.")
        public = {
            "grant": f"g-{secrets.token_hex(6)}",
            "plan": terms.plan,
            "requests_per_day": terms.requests_per_day,
            "expires": expires,
            "reason": reason,
        }

        def build(session: Session) -> Draft:
            if resident == EVERY_RESIDENT:
                return Draft("access.granted", None, public=public, private={"holder": holder})
            _must_exist(session, resident)
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

    def erase_holder(self, grant: str) -> None:
        """Erase who holds a grant, and its keys' labels. The grant, its keys and all proofs stay. Raises NotFound."""
        with self._database.session() as session:
            _grant_row(session, grant)
            session.execute(update(ApiKey).where(ApiKey.grant == grant).values(label=""))
        self._acts.erase_private(_granting(grant))

    # -- keys --------------------------------------------------------------------------------------------------------

    def issue_key(self, grant: str, label: str = "") -> str:
        """A new key of a grant, returned this once; only its SHA-256 is kept. Raises NotFound, AccessError."""
        made = new_key()
        with self._database.session() as session:
            if _grant_row(session, grant).state != "active":
                raise AccessError(f"grant {grant} has been revoked", remedy="Make a new grant.")
            session.add(
                ApiKey(
                    prefix=made.prefix, sha256=made.sha256, grant=grant, label=label, created_at=stamp(self._clock())
                )
            )
        return made.key

    def revoke_key(self, prefix: str) -> None:
        """Revoke one key, by its prefix. Safe to repeat. Raises NotFound."""
        with self._database.session() as session:
            row = session.get(ApiKey, prefix)
            if row is None:
                raise NotFound(f"no key begins with em_{prefix}_")
            row.revoked_at = row.revoked_at or stamp(self._clock())

    # -- every call --------------------------------------------------------------------------------------------------

    def check(self, key: str | None, resident: str) -> Admission:
        """Admit one request to a resident and count it. Raises BadKey, NotEntitled or QuotaExceeded with the reason's
        code and the policy's version in its facts.
        """
        now = self._clock()
        decision, admission = self._admit(key, resident, now)
        if decision.code == "quota":  # a batch being written may have been counted twice: look when none is
            with self._meter.flushing:
                decision, admission = self._admit(key, resident, now)
        if not decision.allowed:
            raise _refusal(decision)
        return admission

    def meter(self, admission: Admission, tokens: Tokens | None) -> None:
        """Record what an admitted request used; None gives the request back. Only touches memory, and never raises."""
        if tokens is None:
            self._meter.count(_line(admission), self._clock(), requests=-1)
        else:
            self._meter.count(
                _line(admission), self._clock(), prompt_tokens=tokens.prompt, completion_tokens=tokens.completion
            )

    def flush(self) -> None:
        """Write the counts gathered so far. Raises DatabaseUnavailable; they are then kept."""
        self._meter.flush()

    def close(self) -> None:
        """Write the last counts. Call before the database is disposed."""
        self._meter.close()

    def _admit(self, key: str | None, resident: str, now: datetime) -> tuple[Decision, Admission]:
        """The decision as things stand, and what it is recorded under; counts the request when it is admitted."""
        day = now.astimezone(UTC).date().isoformat()
        with self._admitting:  # between reading what was used and counting this request, no other is admitted
            unwritten = self._meter.unwritten(day)  # before the database is read, so that nothing is missed
            with self._database.reading() as session:
                facts = key_facts(session, key, day, unwritten)
                decision = decide(facts, standing(session, resident), resident, now)
            grant = None if facts.grant is None else facts.grant.id
            admission = Admission(resident, facts.prefix, grant, decision.code, decision.policy, day)
            if decision.allowed:
                self._meter.count(_line(admission), now, requests=1)
        return decision, admission


def last_moment(text: str) -> str:
    """An ISO date's last second, or the moment an RFC 3339 text names, as records write it (UTC). Raises InputError."""
    try:
        if len(text) == len("2030-01-31"):
            return stamp(datetime.combine(date.fromisoformat(text), time(23, 59, 59), UTC))
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no date; write YYYY-MM-DD") from error
    if moment.tzinfo is None:
        raise InputError(f"{text!r} names no time zone; end it with Z for UTC")
    return stamp(moment)


def _granting(grant: str) -> str:
    return f"grant:{grant}"


def _line(admission: Admission) -> Line:
    return Line(admission.prefix or WITHOUT_KEY, admission.resident, admission.day)


def _refusal(decision: Decision) -> AccessError:
    refusal = REFUSALS[decision.code](decision.reason, reason_code=decision.code, policy=decision.policy)
    if decision.retry_after_s is not None:
        refusal.facts["retry_after_s"] = decision.retry_after_s
    return refusal


def _must_exist(session: Session, resident: str) -> None:
    if session.get(Resident, resident) is None:
        raise NotFound(f"no resident {resident!r}")


def _grant_row(session: Session, grant: str) -> Grant:
    row = session.get(Grant, grant)
    if row is None:
        raise NotFound(f"no grant {grant!r}", remedy="`emeritus access list` lists the grants.")
    return row
