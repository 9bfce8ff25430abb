"""What acts of access write: tiers, grants and plans. The only code that writes those tables."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from emeritus.access.limits import KINDS
from emeritus.access.policy import EVERY_RESIDENT
from emeritus.access.requests.projection import PROJECTORS as REQUESTS
from emeritus.acts import Act, Json, Projector
from emeritus.records.tables import Grant, Plan, Tier


def _tier(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        Tier(
            resident=act.resident,
            tier=public["tier"],
            access=public["access"],
            hours=public.get("hours"),
            reasons=public["reasons"],
            at=act.at,
            act=act.id,
        )
    )


def _granted(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        Grant(
            id=public["grant"],
            resident=act.resident or EVERY_RESIDENT,
            holder=None if act.private is None else act.private["holder"],
            plan=public["plan"],
            state="active",
            reason=public["reason"],
            **_limits(public),
            expires=public["expires"],
            at=act.at,
            act=act.id,
        )
    )


def _revoked(session: Session, act: Act) -> None:
    """The row keeps its own act; why it was revoked replaces why it was granted, which that act still says."""
    session.execute(
        update(Grant).where(Grant.id == act.public["grant"]).values(state="revoked", reason=act.public["reason"])
    )


def _renewed(session: Session, act: Act) -> None:
    row = session.get_one(Grant, act.public["grant"])
    row.expires, row.renewals = act.public["expires"], (row.renewals or 0) + 1


def _plan(session: Session, act: Act) -> None:
    public = act.public
    session.merge(
        Plan(
            name=public["plan"],
            title=public["title"],
            residents=public["residents"],
            state=public["state"],
            reason=public["reason"],
            **_limits(public),
            at=act.at,
            act=act.id,
        )
    )


def _limits(public: Json) -> dict[str, int | None]:
    """The limits an act states; acts of before there were all of them state fewer."""
    return {kind.name: public.get(kind.name) for kind in KINDS}


PROJECTORS: dict[str, Projector] = {
    "access.tier": _tier,
    "access.granted": _granted,
    "access.revoked": _revoked,
    "access.renewed": _renewed,
    "access.plan": _plan,
    **REQUESTS,
}
