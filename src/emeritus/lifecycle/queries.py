"""What lifecycle's tables say, read only: residents, their three axes, policies, waits, notices, reports and the acts.

Returns frozen values; writes nothing and knows no page. `now` and dates are RFC 3339 or ISO 8601 text in UTC, which
sorts as time does; a page passes the same `now` to every query it makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.errors import NotFound
from emeritus.lifecycle.caller_queries import BrownOutView as BrownOutView
from emeritus.lifecycle.caller_queries import Standing as Standing
from emeritus.lifecycle.caller_queries import brown_out as brown_out
from emeritus.lifecycle.caller_queries import standing_notice as standing_notice
from emeritus.lifecycle.caller_queries import windows_ahead as windows_ahead
from emeritus.records.dates import is_past
from emeritus.records.provenance import Provenance, of_row, provenance
from emeritus.records.residents import resident_row
from emeritus.records.tables import ActRow, AxisEvent, Caller, Notice, Policy, Report, Resident, Wait

AXES = ("offering", "access", "preservation")
WAIVED = "waived"  # the value of a policy that drops a rule


@dataclass(frozen=True, slots=True)
class ResidentView:
    """A model in care. `weights_digest` is None when the weights are not held, or not preserved yet."""

    name: str
    title: str
    description: str
    engine: str  # kind of engine: transformers | command | upstream | ...
    weights_held: bool
    demonstration: bool
    weights_digest: str | None
    registered_at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class AxisState:
    """One dated state on an axis. `superseded`: a later act gave the same state another date."""

    axis: str  # offering | access | preservation
    state: str
    date: str
    precision: str  # day | month | quarter | year
    reason: str
    superseded: bool
    source: Provenance


@dataclass(frozen=True, slots=True)
class Timeline:
    """A resident's events on the three axes, by date, and what is in force at `now` on each (None: nothing yet)."""

    events: tuple[AxisState, ...]
    now: str
    offering: AxisState | None
    access: AxisState | None
    preservation: AxisState | None

    def on(self, axis: str) -> tuple[AxisState, ...]:
        """The axis's dates that still stand, earliest first."""
        return tuple(event for event in self.events if event.axis == axis and not event.superseded)

    def first(self, axis: str, state: str) -> AxisState | None:
        """The standing date of one state, past or to come."""
        return next((event for event in self.on(axis) if event.state == state), None)


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """Counts only: who the callers are is personal data. `with_contact` of `callers` can be written to."""

    callers: int
    with_contact: int
    notified: int  # callers with at least one notice that was sent
    failed: int  # callers all of whose notices failed or had no contact to go to
    acknowledged: int


@dataclass(frozen=True, slots=True)
class WaitView:
    """Something a person is to do by `due`. `overdue` is computed: open and past due."""

    id: str
    resident: str | None
    what: str
    due: str
    opened_at: str
    closed_at: str | None
    closed_by: str | None
    overdue: bool


@dataclass(frozen=True, slots=True)
class ReportView:
    """A post-deployment report: the payload digests (sha256, hex) of its three renderings."""

    resident: str
    version: int
    json_sha256: str
    markdown_sha256: str
    html_sha256: str
    manifest_sha256: str | None  # the vault's manifest that holds it; None when it is not in the vault yet
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy in force. `waiver`: it drops what a rule asks for, such as a second person or the notice period."""

    name: str
    value: str
    since: str
    waiver: bool
    source: Provenance


def residents(session: Session) -> tuple[ResidentView, ...]:
    """Every model in care, by title."""
    rows = session.scalars(select(Resident).order_by(Resident.title, Resident.name)).all()
    sources = provenance(session, (row.act for row in rows))
    return tuple(_resident(row, sources[row.act]) for row in rows)


def resident(session: Session, name: str) -> ResidentView:
    """One model in care. Raises NotFound."""
    row = resident_row(session, name)
    return _resident(row, provenance(session, [row.act])[row.act])


def timeline(session: Session, resident: str, now: str) -> Timeline:
    """A resident's three axes. In force on an axis is the standing state with the latest date that has come."""
    rows = session.scalars(select(AxisEvent).where(AxisEvent.resident == resident).order_by(AxisEvent.id)).all()
    sources = provenance(session, (row.act for row in rows))
    latest = {(row.axis, row.state): row.id for row in rows}
    ordered = sorted(rows, key=lambda row: (row.date, row.id))
    events = tuple(
        AxisState(
            row.axis,
            row.state,
            row.date,
            row.precision,
            row.reason,
            latest[row.axis, row.state] != row.id,
            sources[row.act],
        )
        for row in ordered
    )
    in_force: dict[str, AxisState] = {}
    for event in events:
        if not event.superseded and event.date[:10] <= now[:10]:
            in_force[event.axis] = event
    return Timeline(events, now, in_force.get("offering"), in_force.get("access"), in_force.get("preservation"))


def offerings(session: Session) -> Mapping[str, Mapping[str, str]]:
    """Every resident's standing dates by state, on the axes offering and preservation: `axis.state` to its date.

    One query for all of them and nothing of the acts behind: for lists that many programs ask for often.
    """
    query = select(AxisEvent.resident, AxisEvent.axis, AxisEvent.state, AxisEvent.date)
    found: dict[str, dict[str, str]] = {}
    for name, axis, state, date in session.execute(query.where(AxisEvent.axis != "access").order_by(AxisEvent.id)):
        dates = found.setdefault(name, {})
        dates.pop(f"{axis}.{state}", None)  # so that of two states of one date the one told last is the later
        dates[f"{axis}.{state}"] = date
    return found


def caller_facts(session: Session, resident: str) -> CallerFacts:
    """How many callers there are and how many were told."""
    of_resident = Caller.resident == resident
    callers = session.scalar(select(func.count()).select_from(Caller).where(of_resident)) or 0
    reachable = (
        session.scalar(select(func.count()).select_from(Caller).where(of_resident, Caller.contact.is_not(None))) or 0
    )
    notices = session.execute(
        select(Notice.caller, Notice.status, Notice.acknowledged_at).where(Notice.resident == resident)
    ).all()
    sent = {caller for caller, status, _ in notices if status == "sent"}
    acknowledged = {caller for caller, _, at in notices if at is not None}
    return CallerFacts(callers, reachable, len(sent), len({n[0] for n in notices} - sent), len(acknowledged))


def waits(session: Session, now: str, resident: str | None = None, *, closed: bool = False) -> tuple[WaitView, ...]:
    """What waits for people, soonest due first; `closed` adds what is done."""
    query = select(Wait).order_by(Wait.due, Wait.id)
    if resident is not None:
        query = query.where(Wait.resident == resident)
    if not closed:
        query = query.where(Wait.closed_at.is_(None))
    return tuple(
        WaitView(
            row.id,
            row.resident,
            row.what,
            row.due,
            row.opened_at,
            row.closed_at,
            row.closed_by,
            row.closed_at is None and is_past(row.due, now),
        )
        for row in session.scalars(query)
    )


def reports(session: Session, resident: str) -> tuple[ReportView, ...]:
    """A resident's reports, newest first."""
    rows = session.scalars(select(Report).where(Report.resident == resident).order_by(Report.version.desc())).all()
    sources = provenance(session, (row.act for row in rows))
    return tuple(
        ReportView(
            row.resident,
            row.version,
            row.json_sha256,
            row.markdown_sha256,
            row.html_sha256,
            row.manifest_sha256,
            row.at,
            sources[row.act],
        )
        for row in rows
    )


def latest_report(session: Session, resident: str) -> ReportView:
    """The report in force. Raises NotFound when there is none."""
    found = reports(session, resident)
    if not found:
        raise NotFound(f"there is no report on {resident!r} yet", resident=resident)
    return found[0]


def policies(session: Session) -> tuple[PolicyView, ...]:
    """The policies in force, by name: the latest row of each name."""
    rows = session.scalars(select(Policy).order_by(Policy.id)).all()
    latest = {row.name: row for row in rows}
    sources = provenance(session, (row.act for row in latest.values()))
    return tuple(
        PolicyView(row.name, row.value, row.at, row.value == WAIVED, sources[row.act])
        for _, row in sorted(latest.items())
    )


def acts(
    session: Session, resident: str | None = None, *, limit: int = 50, before: int | None = None
) -> Sequence[Provenance]:
    """What was done, newest first; only entries below `before` (for paging)."""
    query = select(ActRow).order_by(ActRow.seq.desc()).limit(limit)
    if resident is not None:
        query = query.where(ActRow.resident == resident)
    if before is not None:
        query = query.where(ActRow.seq < before)
    return tuple(of_row(row) for row in session.scalars(query))


def count_acts(session: Session, resident: str | None = None) -> int:
    """How many acts SQL knows."""
    query = select(func.count()).select_from(ActRow)
    return session.scalar(query if resident is None else query.where(ActRow.resident == resident)) or 0


def _resident(row: Resident, source: Provenance) -> ResidentView:
    return ResidentView(
        row.name,
        row.title,
        row.description,
        str(row.engine.get("kind", "unknown")),
        row.weights_held,
        row.demonstration,
        row.weights_digest,
        row.registered_at,
        source,
    )
