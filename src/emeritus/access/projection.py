"""What acts of access write: tiers and grants. The only code that writes those tables."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from emeritus.access.policy import EVERY_RESIDENT
from emeritus.acts import Act, Projector
from emeritus.records.tables import Grant, Tier


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
            requests_per_day=public["requests_per_day"],
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


PROJECTORS: dict[str, Projector] = {"access.tier": _tier, "access.granted": _granted, "access.revoked": _revoked}
