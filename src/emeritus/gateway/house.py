"""The gateway's backend over an opened home: lists from records, admission by `access`, waking by `residency`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from emeritus.access.policy import Admission, Tokens
from emeritus.app import App
from emeritus.engines.base import Awake
from emeritus.gateway.backend import Limits, ModelInfo
from emeritus.gateway.listing import Listing


class House:
    """A `GatewayBackend` over an App."""

    def __init__(self, app: App, base_url: str) -> None:
        self._app = app
        self._listing = Listing(app.database, app.settings.organisation, base_url.rstrip("/"))
        self._limits = Limits.of(app.settings)

    def models(self) -> Sequence[ModelInfo]:
        """Every resident, in the order of their names."""
        return self._listing.all(self._app.acts.now, self._app.states())

    def model(self, name: str) -> ModelInfo:
        """One resident. Raises NotFound."""
        return self._listing.one(name, self._app.acts.now, self._app.states())

    def admit(self, key: str | None, resident: str) -> Admission:
        """Admit one request and count it."""
        return self._app.access.check(key, resident)

    def awake(self, resident: str) -> AbstractAsyncContextManager[Awake]:
        """Hold a resident awake; the gateway itself bounds how long a caller waits."""
        return self._app.awake(resident, wait_s=self._limits.stream_wake_timeout_s)

    def meter(self, admission: Admission, tokens: Tokens | None) -> None:
        """Record what a request used."""
        self._app.access.meter(admission, tokens)
