"""Requests for access: each step an act, each wait a row with a deadline; a missed one favours the applicant.

Who asks, why, and what is written back and forth stay out of the ledger: it has salted commitments, and `erase` takes
the rest away. A status link's secret is kept only as its SHA-256. Nobody needs an institution's address, or any.
Knows no page.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from emeritus.access.dates import last_moment
from emeritus.access.limits import Limits
from emeritus.access.policy import EVERY_RESIDENT
from emeritus.access.queries import access_state
from emeritus.access.requests.states import (
    GRANTING,
    WAITING,
    Asked,
    Generosity,
    Step,
    after,
    check_appeal,
    check_decline,
    judge,
)
from emeritus.access.service import Access
from emeritus.acts import Act, Actor, Acts, Draft, utc_now
from emeritus.errors import AlreadyExists, DecisionRefused, InputError, NotFound, RuleError
from emeritus.people.throttle import Throttle
from emeritus.records.database import Database
from emeritus.records.dates import days_after, is_past
from emeritus.records.policies import waived
from emeritus.records.residents import resident_row
from emeritus.records.tables import AccessRequest, AccessStep, Grant, Message
from emeritus.settings import Settings

FROM_ONE, FROM_ALL = 5, 200  # requests an hour: from one address, and in all
MAX_TEXT, MAX_NAME, MOST_ASKED = 4000, 200, 1_000_000
APPLICANT = Actor("the applicant", "applicant")
POLICY = Actor("emeritus policy", "policy", automated=True)


@dataclass(frozen=True, slots=True)
class Application:
    """What someone asks for and says of themselves: any name, and how to reach them if they like.

    `account`: of whoever is signed in; the grant is then theirs without a key, too.
    """

    who: str
    purpose: str
    contact: str = ""
    requests_per_day: int = 50
    account: str | None = None

    def check(self) -> Application:
        """Itself, without margins. Raises InputError."""
        who, contact = _text("a name", self.who, MAX_NAME), self.contact.strip()
        if contact:
            _text("a contact", contact, MAX_NAME)
        if not 1 <= self.requests_per_day <= MOST_ASKED:
            raise InputError(f"requests a day are asked for from 1 to {MOST_ASKED:,}")
        return replace(self, who=who, purpose=_text("what the access is for", self.purpose, MAX_TEXT), contact=contact)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request at the one moment its link is whole."""

    id: str
    secret: str  # of the status link
    state: str


class Requests:
    """The requests of one home."""

    def __init__(
        self,
        acts: Acts,
        database: Database,
        access: Access,
        settings: Settings,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._acts = acts
        self._database = database
        self._access = access
        self._settings = settings
        self._lately = Throttle(timedelta(hours=1), clock)

    # -- who asks ----------------------------------------------------------------------------------------------------

    def submit(self, resident: str, application: Application, address: str | None = None) -> Submitted:
        """Ask for access; granted at once where policy says so. `address` counts against a limit and is not kept.

        Raises NotFound, InputError (also where the resident answers no calls, or everyone's), TooManyTries, and
        AlreadyExists where a request of the same account waits.
        """
        application = application.check()
        if address is not None:
            self._lately.take({address: FROM_ONE, None: FROM_ALL})
        request, secret = f"r-{secrets.token_hex(6)}", secrets.token_urlsafe(32)

        def build(session: Session) -> Draft:
            resident_row(session, resident)
            tier = access_state(session, resident, self._acts.now).tier
            if tier is None or tier.access == "none":
                raise InputError(f"{resident!r} is kept but answers no calls", remedy="Its page says what is planned.")
            if tier.access == "open":
                raise InputError(f"{resident!r} is open to everyone", remedy="Call it without a key.")
            _refuse_second(session, resident, application.account)
            public = {
                "request": request,
                "requests_per_day": application.requests_per_day,
                "due": self._in_days(self._settings.access_review_days),
            }
            private = {
                "who": application.who,
                "contact": application.contact,
                "account": application.account,
                "purpose": application.purpose,
                "link_sha256": digest(secret),
            }
            return Draft("access.requested", resident, public, private=private)

        self._acts.perform(f"request:{request}", APPLICANT, build)
        return Submitted(request, secret, self._settle(request))

    def by_link(self, secret: str) -> str:
        """The request a status link belongs to. Raises NotFound."""
        with self._database.reading() as session:
            found = session.scalars(select(AccessRequest.id).where(AccessRequest.link_sha256 == digest(secret))).first()
        if found is None:
            raise NotFound("there is no request behind this link", remedy="Use the whole link, or ask anew.")
        return found

    def of_account(self, request: str, account: str) -> str:
        """The same request, if that account asked for it. Raises NotFound, alike for one that is not there."""
        with self._database.reading() as session:
            row = session.get(AccessRequest, request) if len(request) <= 64 else None
            if row is None or row.account != account:
                raise NotFound("this account has no such request", remedy="/access/mine lists those it has.")
        return request

    def answer(self, request: str, text: str) -> str:
        """Answer what was asked back; the new state. Raises NotFound, InputError, DecisionRefused."""
        return self._move(request, "answer", APPLICANT, text=_text("an answer", text, MAX_TEXT))

    def appeal(self, request: str, text: str) -> str:
        """Appeal against a decline; the new state. Raises NotFound, InputError, DecisionRefused."""
        return self._move(request, "appeal", APPLICANT, text=_text("an appeal", text, MAX_TEXT))

    def new_key(self, request: str, label: str = "") -> str:
        """A key of a granted request, returned this once. Raises NotFound, DecisionRefused, AccessError."""
        return self._access.issue_to_holder(self._grant_of(request), label)

    def revoke_key(self, request: str, prefix: str) -> None:
        """Revoke a key of a granted request. Raises NotFound, DecisionRefused."""
        self._access.revoke_key(prefix, self._grant_of(request))

    def renew(self, request: str, actor: Actor = APPLICANT) -> str:
        """Renew a granted request's grant for as long as one lasts; its new end.

        From `access_expiring_days` before its end on. Raises NotFound, DecisionRefused, InputError (revoked).
        """
        with self._database.reading() as session:
            grant = _row(session, request).grant
            row = None if grant is None else session.get(Grant, grant)
        if row is None or row.expires is None:
            raise DecisionRefused(f"request {request} has no grant that ends", remedy="There is nothing to renew.")
        if row.expires[:10] > self._in_days(self._settings.access_expiring_days):
            raise DecisionRefused(
                f"its grant holds until {row.expires}",
                remedy=f"It can be renewed in its last {self._settings.access_expiring_days} days, and afterwards.",
            )
        return self._access.renew(row.id, self._in_days(self._settings.access_grant_days), actor) or ""

    # -- who decides -------------------------------------------------------------------------------------------------

    def ask(self, request: str, text: str, actor: Actor) -> str:
        """Ask the applicant for something more; the new state. Raises NotFound, InputError, DecisionRefused."""
        return self._move(request, "ask", actor, text=_text("a question", text, MAX_TEXT))

    def grant(self, request: str, actor: Actor, requests_per_day: int | None = None, text: str = "") -> str:
        """Grant what was asked for, or another number; of an appeal it is the overturning. The new state."""
        step: Step = "overturn" if self._state(request) == "appealed" else "grant"
        return self._move(request, step, actor, text=text.strip() or None, quota=requests_per_day)

    def decline(self, request: str, code: str, text: str, actor: Actor) -> str:
        """Decline with a reason: the first of two proposes, the second decides; of an appeal: uphold. The new state.

        `code` is public, `text` is for the applicant. Raises NotFound, InputError, DecisionRefused.
        """
        text = _text("a reason", text, MAX_TEXT)
        if self._state(request) == "appealed":
            return self._move(request, "uphold", actor, code=code, text=text)
        return self._move(request, "decline", actor, code=code, text=text)

    def erase(self, request: str) -> None:
        """Erase who asked, why, and everything written and mailed to them. Steps, grant and proofs stay. NotFound."""
        with self._database.session() as session:
            row = _row(session, request)
            if row.contact:
                session.execute(delete(Message).where(Message.recipient == row.contact))
            steps = select(AccessStep.act).where(AccessStep.request == request)
            acts = [row.act, *(act for act in session.scalars(steps) if act != row.act)]
        for act in acts:
            self._acts.erase_private(act)

    # -- deadlines ---------------------------------------------------------------------------------------------------

    def attend(self) -> dict[str, int]:
        """What missed deadlines bring about, however long nobody looked: how many of each step. May be repeated."""
        now = self._acts.now
        with self._database.reading() as session:
            rows = session.execute(
                select(AccessRequest.id, AccessRequest.state, AccessRequest.due).where(
                    AccessRequest.state.in_(sorted(WAITING))
                )
            ).all()
        done: dict[str, int] = {}
        for request, state, due in rows:
            step: Step | None = None
            if state == "submitted":  # its submission was cut short
                self._settle(request)
                done["settled"] = done.get("settled", 0) + 1
            elif due is not None and is_past(due, now):
                overdue: dict[str, Step] = {
                    "in review": "overdue-grant",
                    "info needed": "lapse",
                    "appealed": "overdue-overturn",
                }
                step = overdue[state]
            if step is None:
                continue
            try:
                self._move(request, step, POLICY, code=_OVERDUE.get(step))
            except RuleError:  # decided in this moment
                continue
            done[step] = done.get(step, 0) + 1
        return done

    # -- inside ------------------------------------------------------------------------------------------------------

    def _settle(self, request: str) -> str:
        """The first step after submission, by policy."""
        with self._database.reading() as session:
            row = _row(session, request)
            generosity = Generosity(self._settings.access_auto_requests_per_day, self._settings.access_auto_per_day)
            step, code = judge(_asked(session, row, self._acts.now), generosity)
        return self._move(request, step, POLICY, code=code)

    def _state(self, request: str) -> str:
        with self._database.reading() as session:
            return _row(session, request).state

    def _grant_of(self, request: str) -> str:
        with self._database.reading() as session:
            grant = _row(session, request).grant
        if grant is None:
            raise DecisionRefused(f"request {request} has not been granted", remedy="Its status says where it is.")
        return grant

    def _move(
        self,
        request: str,
        step: Step,
        actor: Actor,
        *,
        code: str | None = None,
        text: str | None = None,
        quota: int | None = None,
    ) -> str:
        if quota is not None and not 1 <= quota <= MOST_ASKED:
            raise InputError(f"requests a day are granted from 1 to {MOST_ASKED:,}")

        def build(session: Session) -> Draft:
            row = _row(session, request)
            taken = step
            if step == "decline":
                alone = waived(session, "second_access_reviewer", self._settings.second_access_reviewer)
                after(row.state, "decline")
                taken = check_decline(code or "", row.proposed_by, actor.name, waived=alone)
            if step in ("uphold", "overturn"):
                after(row.state, step)
                check_appeal(tuple(row.declined_by), actor.name)
            if step == "uphold":
                check_decline(code or "", None, actor.name, waived=True)
            state = after(row.state, taken)
            public = {
                "request": request,
                "step": taken,
                "state": state,
                "code": code,
                "due": self._due(state, row.due if taken == "propose-decline" else None),
                "grant": self._granted(row, taken, quota),
                "declined_by": sorted({*([row.proposed_by] if row.proposed_by else []), actor.name})
                if taken == "decline"
                else None,
            }
            return Draft("access.request.moved", row.resident, public, private=None if text is None else {"text": text})

        act: Act = self._acts.perform(f"request:{request}:{secrets.token_hex(6)}", actor, build)
        self._access.refresh()
        return str(act.public["state"])

    def _due(self, state: str, kept: str | None) -> str | None:
        if kept is not None or state not in WAITING:
            return kept
        settings = self._settings
        return self._in_days(settings.access_info_days if state == "info needed" else settings.access_review_days)

    def _granted(self, row: AccessRequest, step: Step, quota: int | None) -> dict[str, object] | None:
        """The grant that a step states. A missed deadline gives no more than everyone is given at once."""
        if step not in GRANTING:
            return None
        low = max(1, self._settings.access_auto_requests_per_day)
        wanted = quota or row.requests_per_day
        if step in ("auto-grant", "overdue-grant", "overdue-overturn"):
            wanted = min(row.requests_per_day, low)
        until = last_moment(self._in_days(self._settings.access_grant_days))
        return {"id": f"g-{secrets.token_hex(6)}", **Limits(requests_per_day=wanted).as_dict(), "expires": until}

    def _in_days(self, days: int) -> str:
        return days_after(self._acts.now, days)


_OVERDUE: dict[str, str] = {"overdue-grant": "review-overdue", "overdue-overturn": "appeal-overdue"}


def digest(secret: str) -> str:
    """SHA-256 (hex) of a status link's secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _asked(session: Session, row: AccessRequest, now: str) -> Asked:
    """What else is known of an applicant: by their account, and the name and the contact given, which nobody checks."""
    same = [AccessRequest.who == row.who]
    if row.contact:
        same.append(AccessRequest.contact == row.contact)
    if row.account:
        same.append(AccessRequest.account == row.account)
    theirs = select(Grant).join(AccessRequest, AccessRequest.grant == Grant.id).where(or_(*same))
    grants = session.scalars(theirs).all()
    covering = [each for each in grants if each.resident in (row.resident, EVERY_RESIDENT)]
    today = select(func.count()).select_from(AccessStep)
    return Asked(
        row.requests_per_day,
        sum(each.state == "active" and (each.expires is None or each.expires >= now) for each in covering),
        any(each.state == "revoked" for each in grants),
        session.scalar(today.where(AccessStep.step == "auto-grant", AccessStep.at >= now[:10])) or 0,
    )


def _refuse_second(session: Session, resident: str, account: str | None) -> None:
    """Raises AlreadyExists where an account has a request for the resident that waits."""
    theirs = select(AccessRequest.id).where(
        AccessRequest.account == account, AccessRequest.resident == resident, AccessRequest.state.in_(sorted(WAITING))
    )
    found = None if account is None else session.scalars(theirs).first()
    if found is not None:
        raise AlreadyExists(
            f"request {found} of this account for {resident!r} waits to be decided",
            remedy="Add to that one, on its page.",
        )


def _row(session: Session, request: str) -> AccessRequest:
    row = session.get(AccessRequest, request)
    if row is None:
        raise NotFound(f"no request {request[:80]!r}", remedy="`emeritus access requests` lists them.")
    return row


def _text(what: str, text: str, most: int) -> str:
    """Text without margins. Raises InputError where it is empty, too long or holds control characters."""
    text = text.replace("\r\n", "\n").strip()
    if not 0 < len(text) <= most:
        raise InputError(f"{what} has 1 to {most:,} characters", remedy="Write less, or something.")
    if any((ord(each) < 32 and each not in "\n\t") or 0xD800 <= ord(each) < 0xE000 for each in text):
        raise InputError(f"{what} holds control characters", remedy="Send plain text.")
    return text
