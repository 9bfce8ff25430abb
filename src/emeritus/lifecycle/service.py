"""Lifecycle's acts: take a model into care, set policies, announce, tell callers, report, retire.

Every rule is checked inside the act's `build`, where nothing can change meanwhile. Knows the tables through `records`,
sends through a `Mailer` handed in, and imports no other feature.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.errors import AlreadyExists, GateClosed, InputError
from emeritus.lifecycle import evidence, queries
from emeritus.lifecycle.axes import DatedState, When, check, check_notice
from emeritus.lifecycle.brown_outs import BrownOuts
from emeritus.lifecycle.caller_book import CallerBook, Taken
from emeritus.lifecycle.callers import read_callers
from emeritus.lifecycle.gates import Gate, gates
from emeritus.lifecycle.notices import Mailer
from emeritus.lifecycle.notifying import Notifying
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.report import collect
from emeritus.lifecycle.report_html import render_html
from emeritus.lifecycle.report_markdown import render_markdown
from emeritus.records.database import Database
from emeritus.records.residents import resident_row
from emeritus.records.tables import Policy, Report, Resident
from emeritus.settings import Settings

Json = dict[str, Any]

POLICIES: Mapping[str, tuple[str, ...]] = {
    "second_decider": ("required", "waived"),
    "second_coder": ("required", "waived"),
    "coding_gate": ("required", "waived"),
    "second_access_reviewer": ("required", "waived"),
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """A retirement as it is announced. `access` is the state from the day of retirement on.

    `waive_notice` is the public reason for a notice shorter than `notice_days`, or None.
    """

    deprecated: When
    retired: When
    reason: str
    access: str = "by request"
    replacement: str | None = None
    waive_notice: str | None = None


class Lifecycle:
    """The acts of a retirement's outer course. One per process and home."""

    def __init__(self, acts: Acts, database: Database, settings: Settings) -> None:
        self._acts = acts
        self._database = database
        self._settings = settings
        self.callers = CallerBook(acts, database)
        self.notices = Notifying(acts, database, settings)
        self.brown_outs = BrownOuts(acts, database)

    # -- residents and policies --------------------------------------------------------------------------------------

    def register(self, registration: Registration, actor: Actor) -> Act:
        """Take a model into care. Repeating it is the same act; other facts under that name raise AlreadyExists."""
        public = registration.as_public()
        act = self._acts.perform(
            f"register:{registration.name}",
            actor,
            lambda session: Draft("lifecycle.registered", registration.name, public=public),
        )
        if canonical(act.public) != canonical(public):
            raise AlreadyExists(f"{registration.name!r} is in care already, with other facts", name=registration.name)
        return act

    def resident(self, name: str) -> Resident:
        """The resident's row, detached from the database. Raises NotFound."""
        with self._database.reading() as session:
            row = resident_row(session, name)
            session.expunge(row)
            return row

    def set_policy(self, name: str, value: str, actor: Actor) -> Act | None:
        """Put a policy in force, publicly. None when it already is. Raises InputError for one that does not exist."""
        if value not in POLICIES.get(name, ()):
            known = "; ".join(f"{key}: {' or '.join(values)}" for key, values in POLICIES.items())
            raise InputError(f"there is no policy {name}={value}", remedy=f"The policies are {known}.")
        with self._acts.alone():
            if self._policy(name) == value:
                return None
            return self._acts.perform(
                f"policy:{name}:{secrets.token_hex(6)}",
                actor,
                lambda session: Draft("policy.set", None, public={"name": name, "value": value}),
            )

    def _policy(self, name: str) -> str | None:
        with self._database.reading() as session:
            return session.scalars(
                select(Policy.value).where(Policy.name == name).order_by(Policy.id.desc()).limit(1)
            ).first()

    # -- announcement, callers, notices ------------------------------------------------------------------------------

    def announce(self, resident: str, announcement: Announcement, actor: Actor) -> Act:
        """Announce a retirement; the notice period begins with this act, and again with every changed announcement.

        The announcement in force is returned when it already says this. Raises InputError (dates, reason), NotFound,
        AlreadyExists (retired already).
        """
        public = _announced(announcement, self._settings.notice_days)

        def build(session: Session) -> Draft:
            row = resident_row(session, resident)
            self._refuse_retired(session, row.name)
            if announcement.waive_notice is None:
                check_notice(self._today(), announcement.retired, self._settings.notice_days)
            return Draft("lifecycle.announced", resident, public=public)

        with self._acts.alone():
            standing = self._standing(resident)
            if standing is not None and canonical(standing.public) == canonical(public):
                return standing
            return self._acts.perform(f"announce:{resident}:{secrets.token_hex(6)}", actor, build)

    def import_callers(self, resident: str, data: bytes, source: str, actor: Actor) -> Act:
        """Import a CSV file of callers (`CallerBook.take`). Raises BadTable, NotFound."""
        taken = Taken(read_callers(data), source, hashlib.sha256(data).hexdigest())
        return self.callers.take(resident, taken, actor)

    def notify(self, resident: str, mailer: Mailer, actor: Actor) -> Json:
        """Tell every caller who has not been told of the announcement in force (`Notifying.notify`)."""
        return self.notices.notify(resident, mailer, actor)

    # -- gates and retirement ----------------------------------------------------------------------------------------

    def gates(self, resident: str) -> tuple[Gate, ...]:
        """Every gate as the records stand. Raises NotFound."""
        with self._database.reading() as session:
            return self._gates(session, resident)

    def retire(self, resident: str, actor: Actor) -> Act:
        """Retire a resident. Raises GateClosed naming every open gate; nothing is written then."""

        def build(session: Session) -> Draft:
            found = self._gates(session, resident)
            closed = [gate for gate in found if not gate.green]
            if closed:
                raise GateClosed(
                    f"{resident} cannot retire yet: " + "; ".join(f"{gate.name} ({gate.why})" for gate in closed),
                    remedy=" ".join(gate.remedy for gate in closed),
                    gates=[asdict(gate) for gate in closed],
                )
            event = DatedState("offering", "retired", When(self._today()), "every gate was met").as_dict()
            public = {"event": event, "gates": [{"name": gate.name, "why": gate.why} for gate in found]}
            return Draft("lifecycle.retired", resident, public=public)

        return self._acts.perform(f"retire:{resident}", actor, build)

    def waits(self, resident: str | None = None) -> tuple[queries.WaitView, ...]:
        """What waits for people, soonest due first."""
        with self._database.reading() as session:
            return queries.waits(session, self._acts.now, resident)

    # -- the report --------------------------------------------------------------------------------------------------

    def write_report(self, resident: str, actor: Actor) -> Act:
        """Write the post-deployment report from the records. A report that would say the same again is not written.

        The act's payloads `report.json`, `report.md` and `report.html` are the report; `public["version"]` counts.
        """

        def build(session: Session) -> Draft:
            document = canonical(collect(session, resident, self._settings, self._acts.payload))
            version = 1 + len(session.scalars(select(Report.id).where(Report.resident == resident)).all())
            files = _render(document)
            return Draft("report.written", resident, public={"version": version}, payloads=files)

        with self._acts.alone():
            with self._database.reading() as session:
                last = session.scalars(
                    select(Report).where(Report.resident == resident).order_by(Report.version.desc()).limit(1)
                ).first()
                known = None if last is None else (last.act, last.json_sha256)
                current = canonical(collect(session, resident, self._settings, self._acts.payload))
            if known is not None and self._acts.payload(known[1]) == current:
                found = self._acts.find(known[0])
                if found is not None:
                    return found
            return self._acts.perform(f"report:{resident}:{secrets.token_hex(6)}", actor, build)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _today(self) -> date:
        return datetime.fromisoformat(self._acts.now).astimezone(UTC).date()

    def _gates(self, session: Session, resident: str) -> tuple[Gate, ...]:
        found = gates(evidence.gather(session, resident, self._today()))
        return tuple(replace(gate, remedy=gate.remedy.replace("NAME", resident)) for gate in found)

    def _standing(self, resident: str) -> Act | None:
        with self._database.reading() as session:
            found = evidence.announcement(session, resident)
        return None if found is None else self._acts.find(found.act)

    def _refuse_retired(self, session: Session, resident: str) -> None:
        if evidence.retired(session, resident):
            raise AlreadyExists(f"{resident!r} is retired already", resident=resident)


def _announced(announcement: Announcement, notice_days: int) -> Json:
    """What an announcement states. Raises InputError."""
    reason = announcement.reason.strip()
    if not reason:
        raise InputError("an announcement needs a reason", remedy="Say publicly why the model retires: --reason.")
    if announcement.waive_notice is not None and not announcement.waive_notice.strip():
        raise InputError("a waiver of the notice period needs a reason", remedy="Give it: --waive-notice REASON.")
    events = [
        DatedState("offering", "deprecated", announcement.deprecated, reason),
        DatedState("offering", "retired", announcement.retired, reason),
        DatedState("access", announcement.access, announcement.retired, "access after retirement"),
    ]
    check(events)
    return {
        "events": [event.as_dict() for event in events],
        "deprecated": str(announcement.deprecated),
        "retired": str(announcement.retired),
        "access": announcement.access,
        "reason": reason,
        "replacement": announcement.replacement,
        "notice_days": notice_days,
        "waive_notice": announcement.waive_notice,
    }


def _render(document: bytes) -> Json:
    return {
        "report.json": document,
        "report.md": render_markdown(document).encode(),
        "report.html": render_html(document).encode(),
    }
