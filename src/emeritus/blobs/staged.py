"""An object gathered in memory before it is put, for stores that take whole objects only. Knows no store's own ways."""

from __future__ import annotations

from emeritus.blobs.base import BlobStore


class StagedBytes:
    """See base.Staged."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._data = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """Append a copy of `data`."""
        self._data += data

    def put(self, key: str) -> None:
        """Store all that was written under `key`, replacing what is there."""
        with memoryview(self._data) as view:
            self._store.put(key, view)

    def put_if_absent(self, key: str) -> bool:
        """Store all that was written unless `key` exists; False when it does."""
        with memoryview(self._data) as view:
            return self._store.put_if_absent(key, view)

    def close(self) -> None:
        """Give the memory back."""
        self._data = bytearray()
