"""The gateway's backend over an opened home: lists from records, admission by `access`, waking by `residency`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress

from emeritus.access.policy import Admission, Decision, Tokens
from emeritus.app import App
from emeritus.engines.base import Awake
from emeritus.errors import BrownedOut, EmeritusError
from emeritus.gateway.announced import Announced
from emeritus.gateway.backend import Limits, ModelInfo
from emeritus.gateway.listing import Listing

AHEAD_S = 0.2  # what was read so long ago is read again while calls still use it: the least of what is kept lasts 0.5
MOST_AHEAD = 10_000  # residents


class House:
    """A `GatewayBackend` over an App."""

    def __init__(self, app: App, base_url: str) -> None:
        self._app = app
        self._base_url = base_url.rstrip("/")
        self._listing = Listing(app.database, app.settings.organisation, self._base_url)
        self._limits = Limits.of(app.settings)
        self._announced = Announced(app.database, lambda: app.acts.now)
        self._ahead: dict[str, float] = {}  # resident -> when to look ahead again, monotonic seconds

    def models(self) -> Sequence[ModelInfo]:
        """Every resident, in the order of their names."""
        return self._listing.all(self._app.acts.now, self._app.reviving.states())

    def model(self, name: str) -> ModelInfo:
        """One resident. Raises NotFound."""
        return self._listing.one(name, self._app.acts.now, self._app.reviving.states())

    def admit(self, key: str | None, resident: str) -> Admission:
        """Admit one request and count it."""
        admission = self._app.access.check(key, resident)
        self._refuse_brown_out(admission)
        return admission

    def decide_person(self, account: str | None, resident: str) -> Decision:
        """Whether someone may call a resident, limits aside; counts nothing."""
        return self._app.access.decide_person(account, resident)

    def admit_person(self, account: str | None, resident: str) -> Admission:
        """Admit someone signed in, or (None) a reader who is not, as `admit` does."""
        access = self._app.access
        admission = access.check(None, resident) if account is None else access.check_person(account, resident)
        self._refuse_brown_out(admission)
        return admission

    def admit_at_once(self, key: str | None, resident: str) -> tuple[ModelInfo, Admission, str] | None:
        """All of it from memory, where what was read less than a second ago suffices."""
        if not self._announced.fresh(resident):
            return None
        info = self._listing.one_at_once(resident, self._app.acts.now, self._app.reviving.state_of(resident))
        admission = None if info is None else self._app.access.check_at_once(key, resident)
        if info is None or admission is None:
            return None
        self._look_ahead(resident)
        self._refuse_brown_out(admission)
        return info, admission, self.note(admission)

    def note(self, admission: Admission) -> str:
        """What a caller who has not acknowledged an announcement is told."""
        return self._announced.note(
            admission.resident, admission.grant or admission.prefix, self._page(admission.resident)
        )

    def awake(self, resident: str) -> AbstractAsyncContextManager[Awake]:
        """Hold a resident awake; the gateway itself bounds how long a caller waits."""
        return self._app.awake(resident, wait_s=self._limits.stream_wake_timeout_s)

    def meter(self, admission: Admission, tokens: Tokens | None) -> None:
        """Record what a request used."""
        self._app.access.meter(admission, tokens)

    def _look_ahead(self, resident: str) -> None:
        """Have read anew in a thread what calls are admitted by, before it is too old and all of them wait for it."""
        now = time.monotonic()
        if now < self._ahead.get(resident, 0.0):
            return
        if len(self._ahead) >= MOST_AHEAD:
            self._ahead.clear()
        self._ahead[resident] = now + AHEAD_S
        asyncio.get_running_loop().run_in_executor(None, self._look, resident)

    def _look(self, resident: str) -> None:
        with suppress(EmeritusError):  # whoever needs it next asks again, and is told
            self._app.access.look(AHEAD_S)
            self._listing.look(self._app.acts.now)
            self._announced.look(resident)

    def _refuse_brown_out(self, admission: Admission) -> None:
        """Raises BrownedOut, and gives the request back."""
        try:
            self._announced.check(admission.resident, self._page(admission.resident))
        except BrownedOut:
            self._app.access.meter(admission, None)
            raise

    def _page(self, name: str) -> str:
        return f"{self._base_url}/residents/{name}" if self._base_url else ""
