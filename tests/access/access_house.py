"""What the tests of access share: a steward, a clock that stands still, and residents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor
from emeritus.records.tables import Resident

STEWARD = Actor("ana")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        """Go on by a timedelta."""
        self.now += timedelta(**by)


def registered(session: Session, act: Act) -> None:
    """Project a registration."""
    session.add(
        Resident(
            name=act.resident,
            title=act.resident,
            description="",
            engine={"kind": "scripted"},
            weights_held=True,
            demonstration=False,
            weights_digest=None,
            registered_at=act.at,
            act=act.id,
        )
    )
