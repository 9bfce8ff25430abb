"""Who is at work in a vault: a preservation leaves a mark while it runs, a sweep leaves another; neither begins beside
the other. Packs a preservation relies on may belong to nothing yet; only its mark tells a sweep so.

Each puts its mark first and looks for the others' afterwards, so that of two that begin at once at least one sees the
other. A mark is renewed while work goes on; one that is old is that of a process that died.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, StoreError, StoreUnavailable
from emeritus.vault.sealed import seal, unseal

PREFIX = "locks/"
LEFTOVERS = "leftovers.json"  # since when each pack that nothing needs has been known
PRESERVING: Literal["preserve"] = "preserve"
SWEEPING: Literal["sweep"] = "sweep"
RENEW_S = 600.0  # a mark is renewed when it is that old and work goes on
STALE_S = 24 * 3600.0  # a mark that old counts no more
Clock = Callable[[], float]


class Busy:
    """A mark in a store, for the length of the block. `clock` gives seconds since 1970."""

    def __init__(self, store: BlobStore, what: Literal["preserve", "sweep"], clock: Clock = time.time) -> None:
        self._store = store
        self._what = what
        self._clock = clock
        self.key = f"{PREFIX}{what}.{secrets.token_hex(8)}.json"
        self._at = 0.0

    def __enter__(self) -> Busy:
        """Raises StoreUnavailable when a sweep is under way, or this is one and a preservation or a sweep is."""
        self._mark()
        other = self._other()
        if other is not None:
            self._store.delete(self.key)
            raise StoreUnavailable(
                f"the vault is in use: {other}",
                remedy="Run the command again when that has ended. What a process that died left counts for a day; "
                f"if nothing runs, delete the objects under {PREFIX} in the vault.",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._store.delete(self.key)
        elif issubclass(kind, (Exception, KeyboardInterrupt)):
            with contextlib.suppress(StoreError):  # what went wrong before is what is to be told
                self._store.delete(self.key)

    def renew(self) -> None:
        """Say that work goes on. Raises StoreUnavailable when this stood still too long to be sure of the vault."""
        since = self._clock() - self._at
        if since > STALE_S / 2:
            raise StoreUnavailable(
                f"this stood still for {since / 3600:.0f} hours, and others may have swept the vault since",
                remedy="Run the command again; what is stored already is reused.",
            )
        if since > RENEW_S:
            self._mark()

    def _mark(self) -> None:
        self._at = self._clock()
        self._store.put(self.key, seal("lock", {"what": self._what, "at": int(self._at)}))

    def _other(self) -> str | None:
        for key in self._store.list(PREFIX):
            if key == self.key:
                continue
            try:
                body = unseal("lock", self._store.get(key), key)
                what, at = str(body["what"]), float(body["at"])
            except NotFound:
                continue  # it has ended
            except (IntegrityError, KeyError, TypeError, ValueError):
                what, at = SWEEPING, self._clock()  # nobody can say what it is
            if self._clock() - at < STALE_S and SWEEPING in (what, self._what):
                return f"{key} says that a {what} began or went on {max(0.0, self._clock() - at) / 60:.0f} minutes ago"
        return None
