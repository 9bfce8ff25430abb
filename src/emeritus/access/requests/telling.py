"""Mail to those who asked for access: what was decided and why, by when, what ends. Words from the records alone.

Every message is about one step, or one end of one grant, and is kept once, whoever looks and however often; so nothing
is lost with a process that ends between a decision and its message. No mail holds a key or a secret link.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.access.requests import queries
from emeritus.access.requests.queries import RequestView
from emeritus.access.requests.states import AUTO_CODES, DECLINE_CODES, GRANTING
from emeritus.acts import stamp, utc_now
from emeritus.errors import MailFailed
from emeritus.mail.messages import is_address
from emeritus.mail.outbox import Outbox
from emeritus.records.database import Database
from emeritus.records.tables import AccessRequest, AccessStep, ActRow, Grant
from emeritus.settings import Settings

_log = logging.getLogger(__name__)
LATELY = timedelta(days=7)  # what happened longer ago is told no more: an address may be another's by then
_SIGNED_IN = "The request's page is listed under “Your access” once you are signed in."
_BY_LINK = "The request's page is behind the link that you were given when you asked."
_REASONS = {**DECLINE_CODES, **AUTO_CODES}
_LOW = "Where nobody has by then, a small number of requests a day is granted."
_SAID: dict[str, tuple[str, str]] = {  # step -> what became of the request, and what that means
    "review": ("in review", f"A person decides by {{due}}. {_LOW}"),
    "ask": ("a question", "Please answer on the request's page by {due}. Without an answer it is decided as it is."),
    "decline": ("declined", "You may appeal on the request's page, and someone else decides."),
    "appeal": ("appealed", f"Someone who did not decline it decides by {{due}}. {_LOW}"),
    "uphold": ("upheld", "The appeal did not change the decision. You may ask anew at any time."),
    **dict.fromkeys(sorted(GRANTING), ("granted", "Access was granted: {given}. {ways}")),
}


@dataclass(frozen=True, slots=True)
class Note:
    """One message. `about`: what makes it one."""

    about: str
    recipient: str
    subject: str
    body: str


class Telling:
    """Keeps messages for applicants in the outbox, which sends them."""

    def __init__(
        self, database: Database, outbox: Outbox, settings: Settings, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._settings = settings
        self._clock = clock

    def tell(self) -> int:
        """Keep every message that is owed and has not been kept; how many. An address that takes none is logged."""
        with self._database.reading() as session:
            notes = tuple(self._owed(session))
        told = 0
        for note in notes:
            try:
                told += self._outbox.queue_once(note.about, note.recipient, note.subject, note.body)
            except MailFailed as error:
                _log.warning("%s: %s", note.about, error)
        return told

    def _owed(self, session: Session) -> Iterator[Note]:
        now, days = self._clock(), self._settings.access_expiring_days
        since, soon = stamp(now - LATELY), stamp(now + timedelta(days=days))
        reachable = AccessRequest.contact.is_not(None), AccessRequest.contact != ""
        last = select(func.max(AccessStep.id)).group_by(AccessStep.request)
        steps = session.scalars(
            select(AccessStep)
            .join(AccessRequest, AccessRequest.id == AccessStep.request)
            .where(AccessStep.id.in_(last), AccessStep.at >= since, AccessStep.step.in_(list(_SAID)), *reachable)
        ).all()
        acts = session.scalars(select(ActRow).where(ActRow.kind == "access.revoked", ActRow.at >= since))
        revoked = {act.public["grant"] for act in acts}
        ending = (Grant.state == "active") & (Grant.expires > stamp(now)) & (Grant.expires < soon)
        grants = session.execute(
            select(AccessRequest.id, Grant.id.label("grant"))
            .join(Grant, AccessRequest.grant == Grant.id)
            .where(ending | Grant.id.in_(revoked), *reachable)
        ).all()
        ids = {step.request for step in steps} | {row.id for row in grants}
        views = {view.id: view for view in queries.some(session, ids, stamp(now), days)}
        for step in steps:
            yield from self._note(views[step.request], f"step:{step.act}", *self._of_step(views[step.request], step))
        for row in grants:
            view = views[row.id]
            if view.grant is not None and row.grant in revoked:
                said = f"The access to it was revoked: {view.grant.reason}"
                yield from self._note(view, f"revoked:{row.grant}", "revoked", said)
            elif view.grant is not None and view.grant.expires is not None:
                said = f"The access to it ends on {view.grant.expires[:10]}. You can renew it on the request's page."
                yield from self._note(view, f"ends:{row.grant}:{view.grant.expires}", "about to end", said)

    def _of_step(self, view: RequestView, step: AccessStep) -> tuple[str, str]:
        outcome, said = _SAID[step.step]
        given = "" if view.grant is None else f"{view.grant.requests_per_day:,} requests a day"
        if view.grant is not None and view.grant.expires:
            given += f", until {view.grant.expires[:10]}"
        ways = "Make a key for programs on the request's page"
        ways += ", or use the chat page while you are signed in." if view.account else "."
        parts = [said.format(due=(view.due or "then")[:10], given=given, ways=ways)]
        if step.code in _REASONS:
            parts.append(f"Reason: {_REASONS[step.code]} ({step.code}).")
        if step.text and step.step != "appeal":
            parts.append(f"What was written to you:\n\n{step.text}")
        return outcome, "\n\n".join(parts)

    def _note(self, view: RequestView, about: str, outcome: str, said: str) -> Iterator[Note]:
        if view.contact is None or not is_address(view.contact):
            return
        base = self._settings.base_url.rstrip("/")
        page = _SIGNED_IN if view.account else _BY_LINK
        if view.account and base:
            page = f"The request's page: {base}/access/requests/{view.id}"
        asked = (
            f"On {view.submitted_at[:10]} you asked {self._settings.organisation} for access to {view.resident}, "
            f"{view.requests_per_day:,} requests a day."
        )
        subject = f"Your request for {view.resident}: {outcome}"
        yield Note(f"access:{about}", view.contact, subject, f"{asked}\n\n{said}\n\n{page}\n")
