"""What every store of bytes must do. Backends are one module each, held to it by `emeritus.testing.blob_contract`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class Staged(Protocol):
    """An object on its way into a store, under a key that is known at its end. One thread at a time.

    Raises what the store's `put` does. Nothing is visible before one of the puts, and `close` removes what then is not.
    """

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`, which may change afterwards."""

    def put(self, key: str) -> None:
        """Store all that was written under `key`, replacing what is there."""

    def put_if_absent(self, key: str) -> bool:
        """Store all that was written unless `key` exists; False when it does: `put` may follow."""

    def close(self) -> None:
        """Let go of it, put or not."""


class BlobStore(Protocol):
    """Named bytes. Keys are relative POSIX paths of [A-Za-z0-9._-] segments, never '.' or '..' (else BadName).

    A backend's duties:
    - `put*` return only when the bytes are durable and visible whole; a crash leaves the old object or the new, never
      a part.
    - `get` returns exactly what was put, or raises NotFound.
    - A full store raises StoreFull and an unreachable one StoreUnavailable; neither leaves anything visible.
    - Every call may be repeated safely. Retrying lost responses is the backend's own work.
    """

    url: str
    readers: int  # how many reads at once it takes to keep it busy

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Store `data` under `key`, replacing what is there."""

    def put_if_absent(self, key: str, data: bytes | memoryview) -> bool:
        """Store `data` unless `key` exists; False when it does (the stored bytes then stay)."""

    def put_if_match(self, key: str, data: bytes | memoryview, version: str | None) -> str | None:
        """Replace `key` only while its version is `version` (None: only while absent).

        Returns the new version, or None if the key had moved on. Raises StoreUnavailable where the answer was lost and
        the key was written again since, so that nobody can tell whether this call's bytes lay there in between.
        """

    def stage(self) -> Staged:
        """Begin an object that is written piece by piece, and named afterwards."""

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's bytes without holding them all in memory. The file may be moved away by this."""

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of `key`, or `length` of them from `start`. NotFound; IntegrityError for a range past the end."""

    def read_into(self, key: str, start: int, out: memoryview) -> None:
        """Fill `out` with the bytes of `key` from `start` on. Raises as `get` does; `out` is then of no worth."""

    def prefetch(self, key: str, start: int, length: int) -> None:
        """A hint that this range will be read soon; returns at once, and says nothing of a key that is not there."""

    def version(self, key: str) -> str | None:
        """An opaque mark of what `key` holds: other bytes, another mark (the same may keep it). None: no such key."""

    def size(self, key: str) -> int | None:
        """Length in bytes; None when `key` does not exist."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """All keys that begin with `prefix`, sorted."""

    def delete(self, key: str) -> None:
        """Remove `key`; no error when it is gone already."""
