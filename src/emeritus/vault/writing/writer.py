"""Segments into packs, packs into the store: one pack is filled while the one before it becomes durable.

Knows no manifests. Memory: two packs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound
from emeritus.vault.hashing import Hasher
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import Encoded, PackBuilder, pack_key

PATIENCE_S = 0.25  # for the sha256 of a full pack to be taken beside that of the file being read
Protect = Callable[[str, memoryview], None]  # a pack's sha256 (hex) and bytes, once it is in the store


class PackWriter:
    """Writes packs of `target_bytes`. A context: on leaving, what is under way ends; call `flush` to have it kept."""

    def __init__(
        self,
        store: BlobStore,
        index: SegmentIndex,
        target_bytes: int,
        protect: Protect | None = None,
        hasher: Hasher | None = None,
    ) -> None:
        self._store = store
        self._index = index
        self._protect = protect
        self._thread = ThreadPoolExecutor(1)
        self._filling, self._other = (PackBuilder(target_bytes, hasher) for _ in range(2))
        self._under_way: Future[None] | None = None
        self.written: set[str] = set()  # packs (sha256 hex) that are in the store because of this

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    def add(self, new: Encoded) -> None:
        """Take one segment; its bytes are copied. Raises what storing an earlier pack raised."""
        self._filling.add(new)
        if self._filling.full:
            self._close(PATIENCE_S)

    def flush(self) -> None:
        """Return once every segment taken is durable, and the index knows where it lies."""
        if self._filling.entries:
            self._close()
        self._settle()

    def _close(self, patience_s: float = 0.0) -> None:
        self._settle()
        full, self._filling = self._filling, self._other
        self._other = full
        self._under_way = self._thread.submit(self._store_pack, full, patience_s)

    def _settle(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def _store_pack(self, builder: PackBuilder, patience_s: float) -> None:
        name, data = builder.finish(patience_s)
        key = pack_key(name)
        with data:
            if not self._store.put_if_absent(key, data) and not self._stored_soundly(name):
                self._store.put(key, data)  # a damaged pack under its own name: only these bytes can be right there
                self._index.forget(name)
            if self._protect is not None:
                self._protect(name, data)
        self._index.add(name, builder.entries)
        self.written.add(name)
        builder.clear()

    def _stored_soundly(self, name: str) -> bool:
        try:
            return hashlib.sha256(self._store.get(pack_key(name))).hexdigest() == name
        except (IntegrityError, NotFound):  # the disk cannot read it, or it has gone meanwhile
            return False
