"""What `status` and the other commands' `--json` say of a resident: plain values from the features' read sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emeritus.app import App

Json = dict[str, Any]


def resident_summary(app: App, name: str) -> Json:
    """Everything a program may want to know of one resident. Raises NotFound."""
    from emeritus.access import queries as access
    from emeritus.corner import queries as corner
    from emeritus.interview import queries as interview
    from emeritus.lifecycle import queries as lifecycle
    from emeritus.preservation import queries as preservation

    now = app.acts.now
    with app.database.reading() as session:
        resident = lifecycle.resident(session, name)
        timeline = lifecycle.timeline(session, name, now)
        kept = preservation.preservation(session, name)
        drawn = {each.build_digest for each in kept.calibrations[:1]}  # the configuration that serves, not the second
        served = [each for each in kept.references if each.build_digest in drawn] or list(kept.references)
        reference = served[0] if served else None
        tier = access.access_state(session, name, now).tier
        return {
            "name": resident.name,
            "title": resident.title,
            "engine": resident.engine,
            "demonstration": resident.demonstration,
            "weights_held": resident.weights_held,
            "weights_digest": resident.weights_digest,
            **{axis: state.state if state else "not stated" for axis, state in _axes(timeline)},
            "dates": [
                {"axis": e.axis, "state": e.state, "date": e.date, "precision": e.precision}
                for e in timeline.events
                if not e.superseded
            ],
            "preserved": {
                part.role: {
                    "files": part.files,
                    "bytes": part.bytes,
                    "stored_bytes": part.stored_bytes,
                    "manifest_sha256": part.manifest_sha256,
                }
                for part in kept.sets
            },
            "checks": [
                {"kind": c.kind, "ok": c.ok, "summary": c.summary, "at": c.at, "entry": c.source.entry}
                for c in kept.checks
            ],
            "reference": None
            if reference is None
            else {"method": reference.method, "probes": reference.probes, "build": dict(reference.build)},
            "calibration": None
            if not kept.calibrations
            else {
                "method": kept.calibrations[0].method,
                "configurations": len(kept.calibrations[0].build_digests),
                "false_alarm_rate": kept.calibrations[0].false_alarm_rate,
            },
            "certificate": None
            if not kept.certificates
            else {
                "ok": kept.certificates[0].ok,
                "verdict": kept.certificates[0].verdict,
                "sha256": kept.certificates[0].payload_sha256,
                "at": kept.certificates[0].at,
                "entry": kept.certificates[0].source.entry,
            },
            "sessions": [
                {
                    "id": s.id,
                    "purpose": s.purpose,
                    "condition": dict(s.condition),
                    "status": s.status,
                    "turns": s.turns,
                    "journal_sha256": s.journal_sha256,
                }
                for s in interview.sessions(session, name)
            ],
            "preferences": [
                _preference(p) for p in interview.preferences(session, now, app.settings.decision_days, name)
            ],
            "tier": tier.tier if tier else None,
            "hours": tier.hours if tier else None,
            "essays": [{"slug": e.slug, "title": e.title, "sha256": e.sha256} for e in corner.published(session, name)],
        }


def preferences_of(app: App, name: str) -> list[Json]:
    """A resident's preferences with their states and decisions."""
    rows: list[Json] = resident_summary(app, name)["preferences"]
    return rows


def overview(app: App) -> Json:
    """All residents in a line each, the ledger's size, what people are waited for, and what is owed on preferences."""
    from emeritus.interview import queries as interview
    from emeritus.lifecycle import queries as lifecycle

    now = app.acts.now
    with app.database.reading() as session:
        rows = []
        for resident in lifecycle.residents(session):
            axes = _axes(lifecycle.timeline(session, resident.name, now))
            rows.append(
                {
                    "name": resident.name,
                    "title": resident.title,
                    "weights_held": resident.weights_held,
                    **{axis: state.state if state else "not stated" for axis, state in axes},
                }
            )
        owed = [
            {"what": due.what, "preference": each.id, "resident": each.resident, "by": due.by, "overdue": due.overdue}
            for each in interview.preferences(session, now, app.settings.decision_days)
            for due in each.owed
        ]
        waits = [
            {"what": w.what, "resident": w.resident, "due": w.due, "overdue": w.overdue}
            for w in lifecycle.waits(session, now)
        ]
    return {
        "organisation": app.settings.organisation,
        "home": str(app.settings.home),
        "ledger_size": app.ledger.size,
        "residents": rows,
        "waits": waits,
        "owed": sorted(owed, key=lambda each: (each["by"], each["preference"])),
        "cache": app.reviving.cache.held().as_dict(),
        **serving(app),
    }


def serving(app: App, name: str | None = None) -> Json:
    """How the house is, as its serving processes say, and the last wakes; of all residents, or of one. Wakes nobody."""
    from dataclasses import asdict
    from datetime import datetime

    from emeritus.residency.board import Board
    from emeritus.residency.queries import last_wakes

    notes = Board(app.settings.home).read(datetime.fromisoformat(app.acts.now))
    with app.database.reading() as session:
        wakes = [asdict(each) for each in last_wakes(session, name)]
    if name is not None:
        notes = tuple(
            {**each, "residents": [one for one in each["residents"] if one["name"] == name]} for each in notes
        )
    return {"serving": list(notes), "wakes": wakes}


def transcript(app: App, session_id: str) -> Json:
    """A session's transcript as its journal has it. Raises NotFound."""
    read = app.interviews.transcript(session_id)
    return {
        "session": session_id,
        "turns": [
            {"turn": t.turn, "item": t.item, "question": t.question, "answer": t.answer, "attempts": len(t.attempts)}
            for t in read.turns
        ],
    }


def grants(app: App, name: str | None) -> list[Json]:
    """Grants, newest last, with the prefixes of their keys in force."""
    from sqlalchemy import select

    from emeritus.access.limits import Limits
    from emeritus.records.tables import ApiKey, Grant

    with app.database.reading() as session:
        wanted = (
            select(Grant).order_by(Grant.at) if name is None else select(Grant).where(Grant.resident.in_((name, "*")))
        )
        keys = session.scalars(select(ApiKey).where(ApiKey.revoked_at.is_(None))).all()
        return [
            {
                "id": row.id,
                "resident": row.resident,
                "holder": row.holder,
                "plan": row.plan,
                "state": row.state,
                **Limits.of(row).as_dict(),
                "expires": row.expires,
                "keys": [key.prefix for key in keys if key.grant == row.id],
            }
            for row in session.scalars(wanted)
        ]


def _axes(timeline: Any) -> list[tuple[str, Any]]:
    return [("offering", timeline.offering), ("access", timeline.access), ("preservation", timeline.preservation)]


def _preference(view: Any) -> Json:
    return {
        "id": view.id,
        "resident": view.resident,
        "domain": view.domain,
        "need": view.need,
        "paraphrase": view.paraphrase,
        "channel": view.channel,
        "state": view.state,
        "class": view.stability_now.get("class"),
        "class_by": view.classed[-1].detail["analysis"] if view.classed else None,
        "outcome": view.decisions[-1].outcome if view.decisions else None,
        "reply": view.tellings[-1].reply if view.tellings else None,
        "owed": [{"what": due.what, "by": due.by, "overdue": due.overdue} for due in view.owed],
        "commitments": [
            {"id": each.id, "text": each.text, "owner": each.owner, "due": each.due, "status": each.status}
            for each in view.commitments
        ],
    }
