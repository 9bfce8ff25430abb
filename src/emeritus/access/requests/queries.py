"""What is said of requests for access: each one for those it concerns, and figures in public. Reads only."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.access.requests.states import DECLINE_CODES, WAITING
from emeritus.errors import NotFound
from emeritus.records.dates import is_past
from emeritus.records.provenance import Provenance, provenance
from emeritus.records.tables import AccessRequest, AccessStep, Grant

_GRANTED = frozenset({"auto-granted", "granted", "overturned"})


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of a request. `text` is None where nothing was written, or once erased."""

    step: str
    state: str
    code: str | None
    text: str | None
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class GrantView:
    """The grant of a request. `state`: active, expiring, expired or revoked."""

    id: str
    state: str
    requests_per_day: int | None
    expires: str | None
    renewals: int
    reason: str


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request with its steps, oldest first. Personal: for the applicant and those who decide.

    `account`: whose it is, where somebody signed in asked.
    """

    id: str
    resident: str
    state: str
    requests_per_day: int
    who: str | None
    contact: str | None
    purpose: str | None
    account: str | None
    submitted_at: str
    due: str | None
    overdue: bool
    code: str | None
    proposed_by: str | None
    grant: GrantView | None
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """How requests are treated: numbers alone. `median_hours`: from submission to the first decision."""

    resident: str | None  # None: all
    requests: int
    waiting: int
    granted: int
    auto_granted: int
    declined: int  # and not overturned
    appeals: int
    overturned: int
    median_hours: float | None
    slowest_hours: float | None
    approval_rate: float | None  # granted of those decided
    auto_share: float | None  # granted at once of those granted
    reasons: dict[str, int]  # of declines, by code


def grant_state(row: Grant, now: str, expiring_days: int) -> str:
    """active, expiring, expired or revoked: what its act and the time make of a grant."""
    if row.state == "revoked":
        return "revoked"
    if row.expires is None:
        return "active"
    if row.expires < now:
        return "expired"
    soon = (datetime.fromisoformat(now) + timedelta(days=expiring_days)).isoformat()
    return "expiring" if row.expires < soon else "active"


def one(session: Session, request: str, now: str, expiring_days: int) -> RequestView:
    """A request. Raises NotFound."""
    row = session.get(AccessRequest, request)
    if row is None:
        raise NotFound(f"no request {request[:80]!r}", remedy="`emeritus access requests` lists them.")
    return _views(session, [row], now, expiring_days)[0]


def listed(
    session: Session, now: str, expiring_days: int, resident: str | None = None, *, waiting: bool = False
) -> tuple[RequestView, ...]:
    """Requests, those that wait longest first; of one resident, or only those that wait."""
    query = select(AccessRequest).order_by(AccessRequest.due.is_(None), AccessRequest.due, AccessRequest.submitted_at)
    if resident is not None:
        query = query.where(AccessRequest.resident == resident)
    if waiting:
        query = query.where(AccessRequest.state.in_(sorted(WAITING)))
    return _views(session, list(session.scalars(query)), now, expiring_days)


def some(session: Session, ids: Collection[str], now: str, expiring_days: int) -> tuple[RequestView, ...]:
    """Those of some ids."""
    rows = session.scalars(select(AccessRequest).where(AccessRequest.id.in_(ids)).order_by(AccessRequest.submitted_at))
    return _views(session, list(rows), now, expiring_days)


def of_account(
    session: Session, account: str, now: str, expiring_days: int, resident: str | None = None
) -> tuple[RequestView, ...]:
    """The requests somebody made while signed in, newest first; of all residents, or of one."""
    query = select(AccessRequest).where(AccessRequest.account == account).order_by(AccessRequest.submitted_at.desc())
    if resident is not None:
        query = query.where(AccessRequest.resident == resident)
    return _views(session, list(session.scalars(query)), now, expiring_days)


def figures(session: Session, resident: str | None = None) -> Figures:
    """How requests were treated, of one resident or of all."""
    query = select(AccessRequest)
    if resident is not None:
        query = query.where(AccessRequest.resident == resident)
    rows = session.scalars(query).all()
    hours = [
        (datetime.fromisoformat(row.decided_at) - datetime.fromisoformat(row.submitted_at)).total_seconds() / 3600
        for row in rows
        if row.decided_at is not None
    ]
    states = Counter(row.state for row in rows)
    granted = sum(states[state] for state in _GRANTED)
    decided = sum(row.decided_at is not None for row in rows)
    declined = [row for row in rows if row.state in ("declined", "appealed", "upheld")]
    appeals = states["appealed"] + states["upheld"] + states["overturned"]
    return Figures(
        resident,
        len(rows),
        sum(states[state] for state in WAITING),
        granted,
        states["auto-granted"],
        len(declined),
        appeals,
        states["overturned"],
        statistics.median(hours) if hours else None,
        max(hours) if hours else None,
        granted / decided if decided else None,
        states["auto-granted"] / granted if granted else None,
        dict(Counter(row.code for row in declined if row.code in DECLINE_CODES)),
    )


def residents_asked_for(session: Session) -> tuple[str, ...]:
    """Every resident that was asked for, by name."""
    return tuple(sorted(set(session.scalars(select(AccessRequest.resident)))))


def _views(session: Session, rows: list[AccessRequest], now: str, expiring_days: int) -> tuple[RequestView, ...]:
    ids = [row.id for row in rows]
    if not ids:
        return ()
    steps = session.scalars(select(AccessStep).where(AccessStep.request.in_(ids)).order_by(AccessStep.id)).all()
    sources = provenance(session, (step.act for step in steps))
    grants = {
        grant.id: grant
        for grant in session.scalars(select(Grant).where(Grant.id.in_([row.grant for row in rows if row.grant])))
    }
    return tuple(
        RequestView(
            row.id,
            row.resident,
            row.state,
            row.requests_per_day,
            row.who,
            row.contact,
            row.purpose,
            row.account,
            row.submitted_at,
            row.due,
            row.due is not None and is_past(row.due, now),
            row.code,
            row.proposed_by,
            _grant_view(grants[row.grant], now, expiring_days) if row.grant else None,
            tuple(
                StepView(step.step, step.state, step.code, step.text, step.at, sources[step.act])
                for step in steps
                if step.request == row.id
            ),
        )
        for row in rows
    )


def _grant_view(row: Grant, now: str, expiring_days: int) -> GrantView:
    state = grant_state(row, now, expiring_days)
    return GrantView(row.id, state, row.requests_per_day, row.expires, row.renewals or 0, row.reason)
