"""What the site reads from, as a protocol: `app` gives the real one, tests a filled one. Nothing here writes.

Knows no backend: the ledger, journals and payloads arrive as the few calls pages need.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.orm import Session
from starlette.requests import Request

from emeritus.settings import Settings


class LedgerView(Protocol):
    """The ledger, as far as a page shows it."""

    @property
    def size(self) -> int:
        """How many entries it has."""

    def checkpoint(self) -> bytes:
        """The signed checkpoint (C2SP tlog-checkpoint) exactly as stored."""

    def statement(self, seq: int) -> dict[str, Any]:
        """The statement of an entry, its signature verified. Raises NotFound."""

    def envelope(self, seq: int) -> bytes:
        """The signed DSSE envelope of an entry, exactly as logged. Raises NotFound."""

    def proof(self, seq: int) -> bytes:
        """A file that proves the entry's place offline, checkpoint included (C2SP tlog-proof). Raises NotFound."""


class SiteReader(Protocol):
    """Everything the site reads. Calls may block and may come from several threads at once."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def ledger(self) -> LedgerView:
        """The ledger."""

    def now(self) -> str:
        """The time, RFC 3339, UTC."""

    def session(self) -> AbstractContextManager[Session]:
        """A transaction to read with: one consistent view of the rows."""

    def journal(self, path: str) -> Path:
        """The file of a session's journal, given its path under the journals folder. Raises NotFound."""

    def payload(self, sha256: str) -> bytes:
        """Payload bytes by digest, verified. Raises NotFound or IntegrityError."""

    def ledger_file(self, key: str) -> bytes:
        """A file of the log as stored (`checkpoint`, `vkey`, `tile/...`), for third-party clients. Raises NotFound."""


def reader_of(request: Request) -> SiteReader:
    """The reader the site was built with."""
    reader: SiteReader = request.app.state.reader
    return reader


def base_url(request: Request) -> str:
    """The site's public address without a trailing slash: the setting, or the address the request came to."""
    return (reader_of(request).settings.base_url or str(request.base_url)).rstrip("/")
