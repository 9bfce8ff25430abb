"""Who belongs to which plan: given by a steward, imported from a list of paying users, or told by who signs people in.

Membership is personal data and no act: rows that can be deleted, and nothing of them in the ledger. A plan itself is
an act (`service`). Decides nothing.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from emeritus.access.dates import last_moment
from emeritus.access.known import Known, changed
from emeritus.acts import stamp
from emeritus.errors import AccessError, BadTable, InputError, NotFound
from emeritus.records.database import Database
from emeritus.records.tables import ApiKey, Grant, Plan, PlanMember

NAMES = ("account", "who", "email", "user", "subject")  # columns that may name someone; the first one found does
MAX_WHO = 320


@dataclass(frozen=True, slots=True)
class MemberView:
    """Someone who belongs, or belonged, to a plan."""

    id: str
    plan: str
    who: str
    source: str
    since: str
    until: str | None
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, in numbers of people."""

    added: int
    kept: int
    ended: int


def identity(who: str) -> str:
    """Someone's name as memberships keep it: without margins, in small letters. Raises InputError."""
    name = who.strip().casefold()
    if not 0 < len(name) <= MAX_WHO or any(ord(each) < 32 for each in name):
        raise InputError("a member is named by 1 to 320 characters: an account, an address or a subject")
    return name


def people_in_plan(session: Session, plan: str, now: str) -> tuple[MemberView, ...]:
    """Who belongs to a plan at `now` (RFC 3339), by name."""
    rows = session.scalars(select(PlanMember).where(PlanMember.plan == plan, PlanMember.ended_at.is_(None)))
    views = (_view(row) for row in rows if row.until is None or row.until >= now)
    return tuple(sorted(views, key=lambda each: each.who))


def stands_on(session: Session, name: str) -> None:
    """Refuse a key that would stand on nothing. Raises NotFound, AccessError."""
    grant = session.get(Grant, name)
    if grant is not None:
        if grant.state != "active":
            raise AccessError(f"grant {name} has been revoked", remedy="Make a new grant.")
        return
    member = session.get(PlanMember, name)
    if member is None:
        raise NotFound(f"no grant or membership {name!r}", remedy="`emeritus access list` lists the grants.")
    if member.ended_at is not None:
        raise AccessError(f"membership {name} has ended", remedy="Add them to the plan again.")


class Members:
    """The people of every plan."""

    def __init__(self, database: Database, clock: Callable[[], datetime], known: Known) -> None:
        self._database = database
        self._clock = clock
        self._known = known

    def add(self, plan: str, who: str, until: str | None = None, source: str = "steward") -> str:
        """Have someone belong to a plan, until a moment (RFC 3339, UTC) or for good; the membership's id. Repeatable.

        Raises NotFound, InputError.
        """
        with self._database.session() as session:
            _plan(session, plan)
            member, _ = self._put(session, plan, identity(who), until, source)
            changed(session)
        self._known.forget()
        return member

    def end(self, plan: str, who: str) -> None:
        """Have someone belong to a plan no more; keys that stand on it are refused. Raises NotFound."""
        with self._database.session() as session:
            row = session.scalars(_of(plan, identity(who))).first()
            if row is None:
                raise NotFound(f"{who!r} does not belong to the plan {plan!r}")
            row.ended_at = row.ended_at or stamp(self._clock())
            changed(session)
        self._known.forget()

    def told(self, who: str, plans: Collection[str], among: Collection[str], source: str) -> None:
        """Have someone belong to `plans` of `among`, and to none of the others that the same source told before.

        What others have given or imported stays as it is. A plan that is not there is left out.
        """
        with self._database.session() as session:
            for plan in sorted(among):
                row = session.scalars(_of(plan, identity(who))).first()
                theirs = row is None or row.source == source or row.ended_at is not None
                if not theirs or session.get(Plan, plan) is None:
                    continue
                if plan in plans:
                    self._put(session, plan, identity(who), None, source)
                elif row is not None:
                    row.ended_at = row.ended_at or stamp(self._clock())
            changed(session)
        self._known.forget()

    def erase(self, who: str) -> int:
        """Delete every membership of someone, and the keys that stand on one; how many memberships."""
        with self._database.session() as session:
            rows = session.scalars(select(PlanMember).where(PlanMember.who == identity(who))).all()
            for row in rows:
                session.execute(delete(ApiKey).where(ApiKey.grant == row.id))
                session.delete(row)
            changed(session)
        self._known.forget()
        self._database.settle()
        return len(rows)

    def take_over(self, plan: str, people: Mapping[str, str | None], source: str, *, all_of_them: bool) -> Imported:
        """Have these people (name -> until when, None: for good) belong to a plan, all or nothing.

        With `all_of_them` the list is whole: whoever came from the same source before and is not on it, ends.
        Raises NotFound, InputError.
        """
        wanted = {identity(who): until for who, until in people.items()}
        with self._database.session() as session:
            _plan(session, plan)
            made = [self._put(session, plan, who, until, source)[1] for who, until in wanted.items()]
            ended = 0
            if all_of_them:
                for row in session.scalars(
                    select(PlanMember).where(
                        PlanMember.plan == plan, PlanMember.source == source, PlanMember.ended_at.is_(None)
                    )
                ).all():
                    if row.who not in wanted:
                        row.ended_at = stamp(self._clock())
                        ended += 1
            changed(session)
        self._known.forget()
        return Imported(sum(made), len(made) - sum(made), ended)

    def in_plan(self, plan: str) -> tuple[MemberView, ...]:
        """Who belongs to a plan now. Raises NotFound."""
        with self._database.reading() as session:
            _plan(session, plan)
            return people_in_plan(session, plan, stamp(self._clock()))

    def _put(self, session: Session, plan: str, who: str, until: str | None, source: str) -> tuple[str, bool]:
        row = session.scalars(_of(plan, who)).first()
        if row is not None:
            new = row.ended_at is not None
            row.until, row.ended_at, row.source = until, None, source
            return row.id, new
        member = f"m-{secrets.token_hex(6)}"
        since = stamp(self._clock())
        session.add(PlanMember(id=member, plan=plan, who=who, source=source, since=since, until=until, ended_at=None))
        return member, True


def read_people(data: bytes, name: str) -> dict[str, str | None]:
    """People from a CSV file with a header: who (a column of `NAMES`), and `until` where there is one. BadTable."""
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        fields = [field.strip().lower() for field in rows.fieldnames or ()]
        rows.fieldnames = fields
        column = next((each for each in NAMES if each in fields), None)
        if column is None:
            raise BadTable(f"{name} has no column that names people", remedy=f"Name one of: {', '.join(NAMES)}.")
        found: dict[str, str | None] = {}
        for row in rows:
            who = (row[column] or "").strip()
            if not who:
                raise BadTable(f"{name}, line {rows.line_num}: nobody is named")
            found[identity(who)] = _until((row.get("until") or "").strip(), f"{name}, line {rows.line_num}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadTable(f"{name} is no CSV file in UTF-8: {error}") from error
    return found


def _until(text: str, where: str) -> str | None:
    try:
        return last_moment(text) if text else None
    except InputError as error:
        raise BadTable(f"{where}: {error.message}") from error


def _plan(session: Session, name: str) -> Plan:
    row = session.get(Plan, name)
    if row is None:
        raise NotFound(f"there is no plan {name!r}", remedy="`emeritus access plan list` lists the plans.")
    return row


def _of(plan: str, who: str) -> Select[PlanMember]:
    return select(PlanMember).where(PlanMember.plan == plan, PlanMember.who == who)


def _view(row: PlanMember) -> MemberView:
    return MemberView(row.id, row.plan, row.who, row.source, row.since, row.until, row.ended_at)
