"""What the tables say of callers, read only: who has been told, who has acknowledged, which windows are planned.

Contacts and labels are personal: only those who work here may see a `CallerView`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.lifecycle import evidence
from emeritus.records.tables import Acknowledgement, ActRow, BrownOut, Caller, Notice

SPREADSHEET_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")  # a cell that begins so is run as a formula


@dataclass(frozen=True, slots=True)
class CallerView:
    """A caller, and what it was told of the announcement in force."""

    id: str
    contact: str | None
    label: str | None
    requests: int | None
    last_used: str | None
    source: str
    told: str  # sent | failed | no contact | not yet
    told_at: str | None
    reminders: int
    acknowledged_at: str | None
    acknowledged_via: str | None  # link | person


@dataclass(frozen=True, slots=True)
class BrownOutView:
    """A planned window. Moments are RFC 3339, UTC."""

    id: str
    resident: str
    starts: str
    ends: str
    reason: str
    announced_at: str
    cancelled_at: str | None
    cancelled_for: str | None


@dataclass(frozen=True, slots=True)
class NoticeView:
    """One message to one caller."""

    caller: str
    kind: str  # notice | reminder | brown-out
    channel: str
    status: str
    at: str
    acknowledged_at: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the API tells those who call a resident: of which announcement, and whose grants acknowledged it."""

    announcement: str
    retired: bool
    acknowledged: frozenset[str]


def callers(session: Session, resident: str) -> tuple[CallerView, ...]:
    """Every caller known, the last one seen first, those never seen last."""
    announced = evidence.announcement(session, resident)
    told: dict[str, Notice] = {}
    reminders: dict[str, int] = {}
    given: Mapping[str, Acknowledgement] = {}
    if announced is not None:
        acts = select(ActRow.id).where(ActRow.public["announcement"].as_string() == announced.act)
        query = select(Notice).where(Notice.resident == resident, Notice.act.in_(acts)).order_by(Notice.at)
        for notice in session.scalars(query):
            if notice.kind == "reminder":
                reminders[notice.caller] = reminders.get(notice.caller, 0) + (notice.status == "sent")
            elif notice.kind != "brown-out":
                told[notice.caller] = notice
        query_given = select(Acknowledgement).where(Acknowledgement.announcement == announced.act)
        given = {row.caller: row for row in session.scalars(query_given)}
    rows = session.scalars(select(Caller).where(Caller.resident == resident)).all()
    views = [_caller(row, told.get(row.id), reminders.get(row.id, 0), given.get(row.id)) for row in rows]
    return tuple(sorted(views, key=lambda view: (view.last_used or "", view.id), reverse=True))


def notices(session: Session, resident: str) -> tuple[NoticeView, ...]:
    """Every message to its callers, oldest first."""
    rows = session.scalars(select(Notice).where(Notice.resident == resident).order_by(Notice.at, Notice.id))
    return tuple(
        NoticeView(row.caller, row.kind or "notice", row.channel, row.status, row.at, row.acknowledged_at)
        for row in rows
    )


def brown_outs(session: Session, resident: str | None = None) -> tuple[BrownOutView, ...]:
    """Every window ever planned, the latest first."""
    query = select(BrownOut).order_by(BrownOut.starts.desc(), BrownOut.id)
    rows = session.scalars(query if resident is None else query.where(BrownOut.resident == resident))
    return tuple(_window(row) for row in rows)


def windows_ahead(session: Session, now: str, resident: str | None = None) -> dict[str, tuple[BrownOutView, ...]]:
    """The windows that run at `now` (RFC 3339, UTC) or are yet to come, by resident, the next first; none cancelled."""
    query = select(BrownOut).where(BrownOut.ends > now, BrownOut.cancelled_at.is_(None)).order_by(BrownOut.starts)
    found: dict[str, tuple[BrownOutView, ...]] = {}
    for row in session.scalars(query if resident is None else query.where(BrownOut.resident == resident)):
        found[row.resident] = (*found.get(row.resident, ()), _window(row))
    return found


def brown_out(session: Session, resident: str, now: str) -> BrownOutView | None:
    """The window that is running at `now` (RFC 3339, UTC), cancelled ones aside; none once it is retired."""
    query = select(BrownOut).where(
        BrownOut.resident == resident, BrownOut.starts <= now, BrownOut.ends > now, BrownOut.cancelled_at.is_(None)
    )
    row = session.scalars(query.limit(1)).first()
    return None if row is None or evidence.retired(session, resident) else _window(row)


def standing_notice(session: Session, resident: str) -> Standing | None:
    """What the API tells callers of a resident; None when nothing is announced."""
    announced = evidence.announcement(session, resident)
    if announced is None:
        return None
    rows = session.scalars(
        select(Caller.grants).join(
            Acknowledgement,
            (Acknowledgement.caller == Caller.id) & (Acknowledgement.announcement == announced.act),
        )
    )
    grants = frozenset(str(grant) for row in rows for grant in row or ())
    return Standing(announced.act, evidence.retired(session, resident), grants)


def as_rows(views: tuple[CallerView, ...] | tuple[NoticeView, ...]) -> Iterator[list[str]]:
    """A table for spreadsheets: the header, then a row each; no cell is run as a formula."""
    kind = type(views[0]) if views else CallerView
    names = list(kind.__dataclass_fields__)
    yield names
    for view in views:
        yield [_cell(getattr(view, name)) for name in names]


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(SPREADSHEET_STARTS) else text


def _caller(row: Caller, told: Notice | None, reminders: int, given: Acknowledgement | None) -> CallerView:
    return CallerView(
        row.id,
        row.contact,
        row.label,
        row.requests,
        row.last_used,
        row.source,
        "not yet" if told is None else told.status,
        None if told is None else told.at,
        reminders,
        None if given is None else given.at,
        None if given is None else given.via,
    )


def _window(row: BrownOut) -> BrownOutView:
    return BrownOutView(
        row.id, row.resident, row.starts, row.ends, row.reason, row.at, row.cancelled_at, row.cancelled_for
    )
