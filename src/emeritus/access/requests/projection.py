"""What acts about requests for access write: the request, its steps, and the grant that a granting step states."""

from __future__ import annotations

from sqlalchemy.orm import Session

from emeritus.access.limits import KINDS
from emeritus.acts import Act, Projector
from emeritus.records.tables import AccessRequest, AccessStep, Grant

_DECISIONS = frozenset({"auto-granted", "granted", "declined"})


def _requested(session: Session, act: Act) -> None:
    public, private = act.public, act.private or {}
    session.add(
        AccessRequest(
            id=public["request"],
            resident=act.resident,
            state="submitted",
            requests_per_day=public["requests_per_day"],
            who=private.get("who"),
            contact=private.get("contact"),
            purpose=private.get("purpose"),
            account=private.get("account"),
            link_sha256=private.get("link_sha256"),
            submitted_at=act.at,
            due=public["due"],
            decided_at=None,
            code=None,
            proposed_by=None,
            declined_by=[],
            grant=None,
            act=act.id,
        )
    )
    session.add(_step(act, "submit", "submitted", None))


def _moved(session: Session, act: Act) -> None:
    public = act.public
    row = session.get_one(AccessRequest, public["request"])
    row.state, row.due = public["state"], public["due"]
    row.proposed_by = act.actor.name if public["step"] == "propose-decline" else None
    if public["step"] == "decline":
        row.declined_by = public["declined_by"]
    if row.state in _DECISIONS and row.decided_at is None:
        row.decided_at = act.at
    if public["code"] is not None and public["step"] != "propose-decline":
        row.code = public["code"]
    if public["grant"] is not None:
        row.grant = public["grant"]["id"]
        session.add(
            Grant(
                id=public["grant"]["id"],
                resident=row.resident,
                holder=row.who,
                plan="by request",
                state="active",
                reason=public["code"] or "granted by request",
                **{kind.name: public["grant"].get(kind.name) for kind in KINDS},
                expires=public["grant"]["expires"],
                at=act.at,
                act=act.id,
            )
        )
    session.add(_step(act, public["step"], public["state"], public["code"]))


def _step(act: Act, step: str, state: str, code: str | None) -> AccessStep:
    text = None if act.private is None else act.private.get("text")
    return AccessStep(
        request=act.public["request"], step=step, state=state, code=code, text=text, at=act.at, act=act.id
    )


PROJECTORS: dict[str, Projector] = {"access.requested": _requested, "access.request.moved": _moved}
