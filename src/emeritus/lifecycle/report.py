"""The post-deployment report as data: one JSON document, gathered from the records of one resident and nothing else.

The same records give the same document, byte for byte: there is no clock here, and the report covers the record up to
the latest ledger entry it cites. Every figure and quote carries the entry behind it (`entry`) or the turn (`href`, an
address within the register's site). People are not named: callers are counts, deciders are roles. Renders nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.lifecycle import report_asked as asked
from emeritus.lifecycle import report_preferences as registered
from emeritus.lifecycle.evidence import announcement, rounds
from emeritus.lifecycle.report_asked import Read
from emeritus.lifecycle.report_owed import settle
from emeritus.records.residents import resident_row
from emeritus.records.tables import (
    ActRow,
    AxisEvent,
    Caller,
    Check,
    Notice,
    Policy,
    Preserved,
    Reference,
    Resident,
    Tier,
)
from emeritus.settings import Settings

Json = dict[str, Any]
FORMAT = "emeritus-report/1"


class _Entries:
    """The ledger entry of each act cited, and the latest of them with its time."""

    def __init__(self, session: Session, resident: str) -> None:
        own = select(ActRow.id, ActRow.seq, ActRow.at).where(ActRow.resident == resident)
        self._session = session
        self._known = {act: (seq, at) for act, seq, at in session.execute(own)}
        self.last: tuple[int, str] = (-1, "")

    def __call__(self, act: str) -> int:
        if act not in self._known:  # an act that is about no resident, or about several
            row = self._session.get_one(ActRow, act)  # a foreign key of every projected row
            self._known[act] = (row.seq, row.at)
        self.last = max(self.last, self._known[act])
        return self._known[act][0]


def collect(session: Session, resident: str, settings: Settings, read: Read) -> Json:
    """The report's document. `read` brings payload bytes by sha256. Raises NotFound."""
    row = resident_row(session, resident)
    entry = _Entries(session, resident)
    document: Json = {
        "format": FORMAT,
        "organisation": settings.organisation,
        "currency": settings.currency,
        "resident": _resident(row, entry),
        "timeline": _timeline(session, resident, entry),
        "notices": _notices(session, resident, entry),
        "preservation": _preservation(session, resident, entry),
        "interviews": asked.interviews(session, resident, entry),
        "studies": asked.studies(session, resident, entry),
        "statistics": asked.statistics(session, resident, entry, read),
        "coding": asked.coding(session, resident, entry),
        "elicited": asked.elicited(session, resident, entry),
        "preferences": registered.preferences(session, resident, entry),
        "decisions": registered.decisions(session, resident, entry),
        "told": asked.told(session, resident, entry),
        "safety": asked.safety(session, resident, entry, read),
        "access": _access(session, resident, entry),
        "policies": _policies(session, resident, entry),
    }
    _study(document)
    document["covers"] = {"entry": entry.last[0], "at": entry.last[1]}
    for preference in document["preferences"]:
        settle(preference, entry.last[1], settings.decision_days)
    return document


def _resident(row: Resident, entry: _Entries) -> Json:
    return {
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "engine": row.engine.get("kind"),
        "demonstration": row.demonstration,
        "weights_held": row.weights_held,
        "weights_digest": row.weights_digest,
        "entry": entry(row.act),
    }


def _timeline(session: Session, resident: str, entry: _Entries) -> list[Json]:
    rows = session.scalars(
        select(AxisEvent).where(AxisEvent.resident == resident).order_by(AxisEvent.date, AxisEvent.id)
    ).all()
    latest = {(row.axis, row.state): row.id for row in sorted(rows, key=lambda row: row.id)}
    return [
        {
            "axis": row.axis,
            "state": row.state,
            "date": row.date,
            "precision": row.precision,
            "reason": row.reason,
            "superseded": latest[row.axis, row.state] != row.id,
            "entry": entry(row.act),
        }
        for row in rows
    ]


def _notices(session: Session, resident: str, entry: _Entries) -> Json | None:
    """Counts only, of the announcement in force."""
    announced = announcement(session, resident)
    if announced is None:
        return None
    acts = rounds(session, resident, announced)
    counts = [session.get_one(ActRow, act).public for act in acts]
    callers = session.scalars(select(Caller).where(Caller.resident == resident)).all()
    acknowledged = session.scalars(
        select(Notice.caller).where(Notice.resident == resident, Notice.acknowledged_at.is_not(None))
    )
    return {
        "retired": announced.public["retired"],
        "reason": announced.public["reason"],
        "replacement": announced.public["replacement"],
        "notice_days": announced.public["notice_days"],
        "waive_notice": announced.public["waive_notice"],
        "entry": entry(announced.act),
        "callers": len(callers),
        "with_contact": sum(row.contact is not None for row in callers),
        "callers_entries": sorted({entry(row.act) for row in callers}),
        "sent": sum(count["sent"] for count in counts),
        "failed": sum(count["failed"] for count in counts),
        "no_contact": sum(count["no_contact"] for count in counts),
        "acknowledged": len(set(acknowledged)),
        "rounds": [entry(act) for act in acts],
    }


def _preservation(session: Session, resident: str, entry: _Entries) -> Json:
    sets = session.scalars(
        select(Preserved).where(Preserved.resident == resident, Preserved.role != "report").order_by(Preserved.id)
    )
    checks = session.scalars(select(Check).where(Check.resident == resident).order_by(Check.id))
    references = session.scalars(select(Reference).where(Reference.resident == resident).order_by(Reference.id))
    return {
        "sets": [
            {
                "role": row.role,
                "version": row.version,
                "files": row.files,
                "bytes": row.bytes,
                "stored_bytes": row.stored_bytes,
                "manifest_sha256": row.manifest_sha256,
                "entry": entry(row.act),
            }
            for row in sets
        ],
        "checks": [
            {"kind": row.kind, "ok": row.ok, "summary": row.summary, "at": row.at, "entry": entry(row.act)}
            for row in checks
        ],
        "references": [
            {
                "method": row.method,
                "probes": row.probes,
                "engine": row.build.get("engine"),
                "build_digest": row.build_digest,
                "payload_sha256": row.payload_sha256,
                "entry": entry(row.act),
            }
            for row in references
        ],
    }


def _access(session: Session, resident: str, entry: _Entries) -> Json | None:
    row = session.scalars(select(Tier).where(Tier.resident == resident).order_by(Tier.id.desc()).limit(1)).first()
    if row is None:
        return None
    return {"tier": row.tier, "access": row.access, "hours": row.hours, "reasons": row.reasons, "entry": entry(row.act)}


def _policies(session: Session, resident: str, entry: _Entries) -> list[Json]:
    """The policies in force; one that is about a single model is `name:resident`."""
    rows = session.scalars(select(Policy).order_by(Policy.id))
    latest = {row.name: row for row in rows if row.name.partition(":")[2] in ("", resident)}
    return [{"name": name, "value": row.value, "entry": entry(row.act)} for name, row in sorted(latest.items())]


def _study(document: Json) -> None:
    """Beside each preference, what the newest analysis says of the items of its domain."""
    newest = max(document["statistics"], key=lambda found: int(found["entry"]), default=None)
    for preference in document["preferences"]:
        items = [] if newest is None else newest["items"]
        preference["studied"] = [
            {**item, "href": newest["href"], "entry": newest["entry"]}
            for item in items
            if newest is not None and item["domain"] == preference["domain"]
        ]
