"""The gateway's backend over an opened home: lists from records, admission by `access`, waking by `residency`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from emeritus.access import queries as access
from emeritus.access.policy import Admission, Standing, Tokens
from emeritus.app import App
from emeritus.engines.base import Awake
from emeritus.gateway.backend import Limits, ModelInfo
from emeritus.lifecycle import queries as lifecycle


class House:
    """A `GatewayBackend` over an App."""

    def __init__(self, app: App, base_url: str) -> None:
        self._app = app
        self._base_url = base_url.rstrip("/")
        self._limits = Limits.of(app.settings)

    def models(self) -> Sequence[ModelInfo]:
        """Every resident, in the order of their names."""
        with self._app.database.reading() as session:
            return [self._info(session, view) for view in lifecycle.residents(session)]

    def model(self, name: str) -> ModelInfo:
        """One resident. Raises NotFound."""
        with self._app.database.reading() as session:
            return self._info(session, lifecycle.resident(session, name))

    def admit(self, key: str | None, resident: str) -> Admission:
        """Admit one request and count it."""
        return self._app.access.check(key, resident)

    def awake(self, resident: str) -> AbstractAsyncContextManager[Awake]:
        """Hold a resident awake; the gateway itself bounds how long a caller waits."""
        return self._app.awake(resident, wait_s=self._limits.stream_wake_timeout_s)

    def meter(self, admission: Admission, tokens: Tokens | None) -> None:
        """Record what a request used."""
        self._app.access.meter(admission, tokens)

    def _info(self, session: Session, view: lifecycle.ResidentView) -> ModelInfo:
        now = self._app.acts.now
        timeline = lifecycle.timeline(session, view.name, now)
        tier = access.access_state(session, view.name, now).tier
        standing = tier.standing if tier else Standing()
        answers = standing.may_answer(datetime.fromisoformat(now))
        dates = {event.state: event.date for event in timeline.events if not event.superseded}
        return ModelInfo(
            name=view.name,
            title=view.title,
            owned_by=self._app.settings.organisation,
            created=datetime.fromisoformat(view.registered_at),
            tier=standing.tier,
            offering=timeline.offering.state if timeline.offering else "active",
            access=standing.access,
            preservation=timeline.preservation.state if timeline.preservation else "none",
            reachable=standing.access != "none" and answers.now,
            hours=standing.hours,
            reachable_at=answers.next_at if standing.access != "none" else None,
            weights_digest=view.weights_digest,
            deprecated=_moment(dates.get("deprecated")),
            retires=_moment(dates.get("retired")),
            page=f"{self._base_url}/residents/{view.name}" if self._base_url else "",
        )


def _moment(date: str | None) -> datetime | None:
    """The first instant of a day; None for none."""
    return None if date is None else datetime.fromisoformat(date).replace(tzinfo=UTC)
