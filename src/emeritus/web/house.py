"""The site's reader over an opened home."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy.orm import Session

from emeritus.app import App
from emeritus.errors import NotFound
from emeritus.settings import Settings
from emeritus.web.reader import LedgerView


class House:
    """A `SiteReader` over an App."""

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._app.settings

    @property
    def ledger(self) -> LedgerView:
        """The ledger."""
        return self._app.ledger

    def now(self) -> str:
        """The time as records write it."""
        return self._app.acts.now

    def session(self) -> AbstractContextManager[Session]:
        """A session that only reads."""
        return self._app.database.reading()

    def journal(self, path: str) -> Path:
        """A journal's file. Raises NotFound for a path that leaves the journals' folder or is not there."""
        root = self._app.settings.home / "journals"
        found = (root / path).resolve()
        if not found.is_relative_to(root.resolve()) or not found.is_file():
            raise NotFound("there is no such journal")
        return found

    def payload(self, sha256: str) -> bytes:
        """Payload bytes by digest, verified."""
        return self._app.acts.payload(sha256)

    def ledger_file(self, key: str) -> bytes:
        """A file of the log as stored."""
        return self._app.ledger_store.get(key)
