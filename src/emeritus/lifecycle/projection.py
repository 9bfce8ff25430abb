"""The only code that writes lifecycle's tables: one projector for each kind of act. Decides and refuses nothing."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from emeritus.acts import Act, Projector
from emeritus.lifecycle.words import MODERATION
from emeritus.records.tables import (
    Acknowledgement,
    ActRow,
    AxisEvent,
    BrownOut,
    Caller,
    Json,
    Notice,
    Policy,
    Report,
    Resident,
    Wait,
)


def _registered(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        Resident(
            name=act.resident,
            title=public["title"],
            description=public["description"],
            engine=public["engine"],
            weights_held=public["weights_held"],
            demonstration=public["demonstration"],
            weights_digest=None,
            registered_at=act.at,
            act=act.id,
        )
    )


def _policy(session: Session, act: Act) -> None:
    session.add(Policy(name=act.public["name"], value=act.public["value"], at=act.at, act=act.id))


def _imported(session: Session, act: Act) -> None:
    for known in [] if act.private is None else act.private["callers"]:
        row = session.get(Caller, known["id"])
        if row is None:
            row = Caller(id=known["id"], resident=act.resident)
            session.add(row)
        row.contact, row.label = known["contact"], known["label"]
        row.requests, row.last_used = known["requests"], known["last_used"]
        row.grants = known.get("grants", [])  # acts of earlier versions name none
        row.source, row.act = act.public["source"], act.id


def _announced(session: Session, act: Act) -> None:
    for event in act.public["events"]:
        session.add(_axis_event(act, event))
        if (event["axis"], event["state"]) == ("offering", "retired"):
            session.merge(
                Wait(
                    id=f"retire:{act.resident}",
                    resident=act.resident,
                    what=f"retire {act.resident}: its announced date",
                    due=event["date"],
                    opened_at=act.at,
                    act=act.id,
                )
            )
    if act.public["waive_notice"] is not None:
        session.add(Policy(name=f"notice_period:{act.resident}", value="waived", at=act.at, act=act.id))


def _notified(session: Session, act: Act) -> None:
    for notice in [] if act.private is None else act.private["notices"]:
        session.add(
            Notice(
                id=notice["id"],
                resident=act.resident,
                caller=notice["caller"],
                kind=act.public.get("kind", "notice"),
                channel=notice["channel"],
                status=notice["status"],
                at=act.at,
                act=act.id,
            )
        )


def _acknowledged(session: Session, act: Act) -> None:
    public = act.public
    if act.private is None:  # erased: that somebody did stands in the ledger, who does not
        return
    caller = act.private["caller"]
    session.add(
        Acknowledgement(
            resident=act.resident,
            caller=caller,
            announcement=public["announcement"],
            via=public["via"],
            at=act.at,
            act=act.id,
        )
    )
    told = select(ActRow.id).where(ActRow.public["announcement"].as_string() == public["announcement"])
    session.execute(
        update(Notice)
        .where(Notice.caller == caller, Notice.act.in_(told), Notice.acknowledged_at.is_(None))
        .values(acknowledged_at=act.at)
    )


def _brown_out(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        BrownOut(
            id=public["brown_out"],
            resident=act.resident,
            starts=public["starts"],
            ends=public["ends"],
            reason=public["reason"],
            at=act.at,
            act=act.id,
        )
    )


def _brown_out_cancelled(session: Session, act: Act) -> None:
    row = session.get(BrownOut, act.public["brown_out"])
    if row is not None:
        row.cancelled_at, row.cancelled_for = act.at, act.public["reason"]


def _retired(session: Session, act: Act) -> None:
    session.add(_axis_event(act, act.public["event"]))
    wait = session.get(Wait, f"retire:{act.resident}")
    if wait is not None:
        wait.closed_at, wait.closed_by = act.at, act.actor.name


def _reported(session: Session, act: Act) -> None:
    session.add(
        Report(
            resident=act.resident,
            version=act.public["version"],
            json_sha256=act.payloads["report.json"],
            markdown_sha256=act.payloads["report.md"],
            html_sha256=act.payloads["report.html"],
            manifest_sha256=None,  # preservation's projector names the vault's copy once it exists
            at=act.at,
            act=act.id,
        )
    )


def _axis_event(act: Act, event: Json) -> AxisEvent:
    return AxisEvent(
        resident=act.resident,
        axis=event["axis"],
        state=event["state"],
        date=event["date"],
        precision=event["precision"],
        reason=event["reason"],
        act=act.id,
    )


PROJECTORS: dict[str, Projector] = {
    "lifecycle.registered": _registered,
    "policy.set": _policy,
    "callers.imported": _imported,
    "lifecycle.announced": _announced,
    "notices.sent": _notified,
    "notices.repeated": _notified,
    "notice.acknowledged": _acknowledged,
    "brown_out.planned": _brown_out,
    "brown_out.cancelled": _brown_out_cancelled,
    "lifecycle.retired": _retired,
    "report.written": _reported,
    **MODERATION,
}
