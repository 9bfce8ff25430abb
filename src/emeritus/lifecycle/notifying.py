"""Telling a model's callers, reminding those who have not answered, and recording who has.

One round is one act: counts are public, the list is private. A round cut short by a crash queues nothing twice, because
a message already in the outbox is found there by its recipient and text. A caller's link is made from a key in the
home, so it is the same in every message about one announcement and is kept nowhere. Sends through a `Mailer`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.errors import MailFailed, NotFound
from emeritus.lifecycle import evidence
from emeritus.lifecycle.caller_book import find_caller
from emeritus.lifecycle.notices import Mailer, NoticeFacts, WindowFacts, compose, compose_window
from emeritus.records.database import Database
from emeritus.records.dates import days_after
from emeritus.records.residents import resident_row
from emeritus.records.tables import Acknowledgement, ActRow, BrownOut, Caller, Message, Notice, Resident
from emeritus.settings import Settings

Json = dict[str, Any]
KEY_BYTES = 32
_MAC_HEX = 32  # characters: 128 bits
Text = Callable[[str], tuple[str, str]]  # a caller's id -> subject and body


@dataclass(frozen=True, slots=True)
class Link:
    """What a caller's link stands for. `acknowledged_at` is None while nobody has used it."""

    resident: str
    title: str
    caller: str
    announcement: str
    retires: str
    acknowledged_at: str | None


class Notifying:
    """Notices, reminders and acknowledgements of one home."""

    def __init__(self, acts: Acts, database: Database, settings: Settings) -> None:
        self._acts = acts
        self._database = database
        self._settings = settings

    def notify(self, resident: str, mailer: Mailer, actor: Actor) -> Json:
        """Tell every caller who has not been told of the announcement in force; the counts over all rounds.

        Raises NotFound when nothing was announced.
        """
        with self._acts.alone():  # two programs that notify at once would each queue every message
            with self._database.reading() as session:
                row, announced = self._announced(session, resident)
                rounds = evidence.rounds(session, resident, announced)
                owed = [(caller.id, caller.contact) for caller in evidence.owed(session, resident, rounds)]
            if owed or not rounds:
                facts = self._facts(row, announced.public)
                act_id = f"notices:{announced.act}:{len(rounds)}"
                text = self._linked(announced.act, lambda link: compose(facts, link))
                self._round("notices.sent", act_id, (resident, announced.act, owed), text, (mailer, actor))
        return self._notified(resident, announced)

    def remind(self, resident: str, mailer: Mailer, actor: Actor) -> Json:
        """Remind callers who were told `reminder_days` ago or more, last time, and have not acknowledged; how many.

        Nobody is reminded of a model that is retired, nor more often than `reminders_most`. Raises NotFound.
        """
        settings = self._settings
        with self._acts.alone():
            with self._database.reading() as session:
                row, announced = self._announced(session, resident)
                facts = self._facts(row, announced.public)
                if not settings.reminder_days or evidence.retired(session, resident):
                    return {"reminded": 0, "failed": 0}
                due = self._due(session, resident, announced)
                number = 1 + self._count(session, resident, "notices.repeated")
            done = {"reminded": 0, "failed": 0}
            for reminder in sorted(set(due.values())):
                owed = [caller for caller, nth in due.items() if nth == reminder]
                text = self._linked(announced.act, partial(compose, facts, reminder=reminder))
                about = (resident, announced.act, owed)
                act = self._round(
                    "notices.repeated", f"reminders:{announced.act}:{number}", about, text, (mailer, actor)
                )
                number += 1
                done["reminded"] += act.public["sent"]
                done["failed"] += act.public["failed"]
        return done

    def tell_of_window(self, brown_out: str, mailer: Mailer, actor: Actor) -> Json:
        """Tell every caller with a contact of a planned brown-out, or that it is cancelled. Safe to repeat."""
        with self._acts.alone():
            with self._database.reading() as session:
                window = session.get(BrownOut, brown_out)
                if window is None:
                    raise NotFound(f"no brown-out {brown_out[:80]!r}", remedy="`emeritus callers windows` lists them.")
                row, announced = self._announced(session, window.resident)
                callers = session.scalars(select(Caller).where(Caller.resident == row.name).order_by(Caller.id))
                owed = [(caller.id, caller.contact) for caller in callers if caller.contact is not None]
            facts = self._facts(row, announced.public)
            said = WindowFacts(window.starts, window.ends, window.reason, window.cancelled_for)
            act_id = f"window:{brown_out}:{'cancelled' if window.cancelled_at else 'planned'}"
            text = self._linked(announced.act, lambda link: compose_window(facts, said, link))
            act = self._round("notices.repeated", act_id, (row.name, announced.act, owed), text, (mailer, actor))
        return {"sent": act.public["sent"], "failed": act.public["failed"]}

    # -- acknowledging -----------------------------------------------------------------------------------------------

    def acknowledge(self, resident: str, caller: str, via: str, actor: Actor) -> Act:
        """Record that a caller (by id or contact) has read of the announcement in force. Once: again it is that act.

        Raises NotFound.
        """
        with self._database.reading() as session:
            row = find_caller(session, resident, caller)
            _, announced = self._announced(session, resident)
        return self._acknowledge(row.id, announced.act, resident, via, actor)

    def link(self, token: str) -> Link:
        """What a link's token stands for. Raises NotFound, alike for every token that is not one."""
        unknown = NotFound("this link is not one of ours", remedy="Use the whole address as it stands in the message.")
        caller, _, rest = token.partition("-")
        seq, _, mac = rest.partition("-")
        if not seq.isdecimal() or len(token) > 100 or not token.isascii() or len(seq) > 12:
            raise unknown
        if not hmac.compare_digest(mac, self._mac(caller, int(seq))):
            raise unknown
        with self._database.reading() as session:
            row = session.get(Caller, caller)
            act = session.scalars(select(ActRow).where(ActRow.seq == int(seq))).first()
            if row is None or act is None or act.kind != "lifecycle.announced" or act.resident != row.resident:
                raise unknown  # erased meanwhile
            at = session.scalars(
                select(Acknowledgement.at).where(
                    Acknowledgement.caller == caller, Acknowledgement.announcement == act.id
                )
            ).first()
            title = resident_row(session, row.resident).title
        return Link(row.resident, title, caller, act.id, str(act.public["retired"]), at)

    def use_link(self, token: str) -> Act:
        """Acknowledge by a link, once; again it is the same act. Raises NotFound."""
        found = self.link(token)
        actor = Actor("a caller", "caller")  # who it is stays in the private part
        return self._acknowledge(found.caller, found.announcement, found.resident, "link", actor)

    def _acknowledge(self, caller: str, announcement: str, resident: str, via: str, actor: Actor) -> Act:
        """The act's id is a commitment under the home's key: a caller's id itself stays out of the ledger."""
        public = {"announcement": announcement, "via": via}
        name = hmac.new(self._key(), f"{announcement}:{caller}".encode(), hashlib.sha256).hexdigest()[:40]
        return self._acts.perform(
            f"acknowledged:{name}",
            actor,
            lambda _: Draft("notice.acknowledged", resident, public=public, private={"caller": caller}),
        )

    # -- inside ------------------------------------------------------------------------------------------------------

    def _announced(self, session: Session, resident: str) -> tuple[Resident, evidence.Announcement]:
        row = resident_row(session, resident)
        announced = evidence.announcement(session, resident)
        if announced is None:
            raise NotFound(f"no retirement of {resident!r} has been announced", resident=resident)
        return row, announced

    def _round(
        self,
        kind: str,
        act_id: str,
        about: tuple[str, str, Sequence[tuple[str, str | None]]],
        text: Text,
        by: tuple[Mailer, Actor],
    ) -> Act:
        """Queue a message for each of `about` (resident, announcement, [(caller, contact)]); the round is one act."""
        resident, announcement, owed = about
        mailer, actor = by
        found = self._acts.find(act_id)
        if found is not None:
            return found
        notices = [self._send(caller, contact, text, mailer) for caller, contact in owed]
        of = [notice["status"] for notice in notices]
        public = {
            "announcement": announcement,
            "sent": of.count("sent"),
            "failed": of.count("failed"),
            "no_contact": of.count("no contact"),
        }
        if kind == "notices.repeated":
            public["kind"] = "brown-out" if act_id.startswith("window:") else "reminder"
        return self._acts.perform(
            act_id, actor, lambda _: Draft(kind, resident, public=public, private={"notices": notices})
        )

    def _send(self, caller: str, contact: str | None, text: Text, mailer: Mailer) -> Json:
        notice = {"id": secrets.token_hex(8), "caller": caller, "channel": "none", "status": "no contact"}
        if contact is None:
            return notice
        subject, body = text(caller)
        notice["channel"] = "mail" if self._settings.smtp_url.get_secret_value() else "outbox"
        notice["status"] = "sent"
        same = (Message.recipient == contact, Message.subject == subject, Message.body == body)
        with self._database.reading() as session:
            queued = session.scalar(select(func.count()).select_from(Message).where(*same))
        if not queued:
            try:
                mailer.queue(contact, subject, body)
            except MailFailed:
                notice["status"] = "failed"
        return notice

    def _due(
        self, session: Session, resident: str, announced: evidence.Announcement
    ) -> dict[tuple[str, str | None], int]:
        """Callers to be reminded now, and which reminder it is for each."""
        told = select(ActRow.id).where(ActRow.public["announcement"].as_string() == announced.act)
        rows = session.scalars(
            select(Notice).where(Notice.resident == resident, Notice.status == "sent", Notice.act.in_(told))
        ).all()
        last: dict[str, str] = {}
        reminders: dict[str, int] = {}
        for row in rows:
            last[row.caller] = max(last.get(row.caller, ""), row.at)
            reminders[row.caller] = reminders.get(row.caller, 0) + (row.kind == "reminder")
        done = set(session.scalars(select(Acknowledgement.caller).where(Acknowledgement.announcement == announced.act)))
        today = self._acts.now[:10]
        callers = session.scalars(select(Caller).where(Caller.resident == resident).order_by(Caller.id))
        return {
            (caller.id, caller.contact): reminders[caller.id] + 1
            for caller in callers
            if caller.contact is not None
            and caller.id not in done
            and caller.id in last
            and reminders[caller.id] < self._settings.reminders_most
            and days_after(last[caller.id], self._settings.reminder_days) <= today
        }

    @staticmethod
    def _count(session: Session, resident: str, kind: str) -> int:
        query = select(func.count()).select_from(ActRow).where(ActRow.resident == resident, ActRow.kind == kind)
        return session.scalar(query) or 0

    def _notified(self, resident: str, announced: evidence.Announcement) -> Json:
        totals = {"sent": 0, "failed": 0, "no_contact": 0}
        with self._database.reading() as session:
            rounds = evidence.rounds(session, resident, announced)
            for act_id in rounds:
                act = self._acts.find(act_id)
                if act is not None:
                    totals = {key: total + act.public[key] for key, total in totals.items()}
            owed = sum(caller.contact is not None for caller in evidence.owed(session, resident, rounds))
        return {"announcement": announced.act, **totals, "owed": owed}

    def _facts(self, row: Resident, public: Json) -> NoticeFacts:
        base = self._settings.base_url.rstrip("/")
        return NoticeFacts(
            organisation=self._settings.organisation,
            name=row.name,
            title=row.title,
            deprecated=public["deprecated"],
            retired=public["retired"],
            access=public["access"],
            reason=public["reason"],
            replacement=public["replacement"],
            address=f"{base}/residents/{row.name}" if base else "",
        )

    def _linked(self, announcement: str, text: Callable[[str], tuple[str, str]]) -> Text:
        """The text for each caller, with a link of its own where the site has an address."""
        base = self._settings.base_url.rstrip("/")
        act = self._acts.find(announcement)
        if not base or act is None:
            return lambda _: text("")
        seq = act.seq
        return lambda caller: text(f"{base}/acknowledge/{caller}-{seq}-{self._mac(caller, seq)}")

    def _mac(self, caller: str, seq: int) -> str:
        return hmac.new(self._key(), f"{caller}-{seq}".encode(), hashlib.sha256).hexdigest()[:_MAC_HEX]

    def _key(self) -> bytes:
        return link_key(self._settings.home / "keys" / "notices.key")


def link_key(path: Path) -> bytes:
    """The key that links are made with, made at first need. Lost, links sent before are no longer ours."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, secrets.token_bytes(KEY_BYTES))
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(temporary, path)  # whole or not at all, and never over another's
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    return path.read_bytes()
