"""Segments into packs, packs into the store: one pack is filled while those before it become durable.

The packs of a group share its parity, which is as long as the longest of them: what is left for the last group is
shared out among sixteen packs too, so that it takes no more parity than the others and little is left to do at the end.
Knows no manifests. Memory: five packs.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound
from emeritus.vault.hashing import Hasher
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import PACKS, Encoded, PackBuilder, pack_key, share

PATIENCE_S = 0.25  # for the sha256 of a full pack to be taken beside that of the file being read
UNDER_WAY = 3  # so many full packs, one hashed, one stored, one given parity, or as much in smaller ones
Protect = Callable[[str, memoryview], None]  # a pack's sha256 (hex) and bytes, once it is in the store


class PackWriter:
    """Writes packs of `most_bytes` at most, and a segment.

    A context: on leaving, what is under way ends; call `flush` to have it kept.
    """

    def __init__(
        self,
        store: BlobStore,
        index: SegmentIndex,
        most_bytes: int,
        protect: Protect | None = None,
        hasher: Hasher | None = None,
    ) -> None:
        self._store = store
        self._index = index
        self._most = most_bytes
        self._protect = protect
        self._hasher = hasher
        self._storing, self._protecting = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._filling = PackBuilder(most_bytes, hasher)
        self._free: list[PackBuilder] = []
        self._under_way: deque[tuple[PackBuilder, Future[Future[None]]]] = deque()
        self._closed = 0  # packs
        self._taken = self._stored = 0  # bytes of segments, decoded and as they are stored
        self.left = 0  # bytes of segments, decoded, that are still to come at most: the caller says
        self.written: set[str] = set()  # packs (sha256 hex) that are in the store because of this

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._storing.shutdown()
        self._protecting.shutdown()

    def add(self, new: Encoded) -> None:
        """Take one segment; its bytes are copied. Raises what storing an earlier pack raised."""
        self._filling.add(new)
        self._taken += new.length
        self._stored += len(new.stored)
        if self._filling.used >= self._enough():
            self._close(PATIENCE_S)

    def flush(self) -> None:
        """Return once every segment taken is durable, and the index knows where it lies."""
        if self._filling.entries:
            self._close()
        while self._under_way:
            self._settle()

    def _enough(self) -> int:
        """Bytes that close the pack: an equal share of what is still to come, as far as one group takes it."""
        packs = PACKS - self._closed % PACKS
        if packs == 1:
            return self._most
        return share(self._filling.used + self.left * self._stored // max(1, self._taken), packs, self._most)

    def _close(self, patience_s: float = 0.0) -> None:
        full = self._filling
        self._under_way.append((full, self._storing.submit(self._store_pack, full, patience_s)))
        self._closed += 1
        while (
            len(self._under_way) > UNDER_WAY and sum(each.used for each, _ in self._under_way) > UNDER_WAY * self._most
        ):
            self._settle()
        self._filling = self._free.pop() if self._free else PackBuilder(self._most, self._hasher)

    def _settle(self) -> None:
        """Wait for the first of the packs under way."""
        builder, stored = self._under_way.popleft()
        if self._hasher is not None and not stored.done():
            self._hasher.hurry()
        stored.result().result()
        self._free.append(builder)

    def _store_pack(self, builder: PackBuilder, patience_s: float) -> Future[None]:
        name, data = builder.finish(patience_s)
        key = pack_key(name)
        if not self._store.put_if_absent(key, data) and not self._stored_soundly(name):
            self._store.put(key, data)  # a damaged pack under its own name: only these bytes can be right there
            self._index.forget(name)
        return self._protecting.submit(self._protect_pack, builder, name, data)

    def _protect_pack(self, builder: PackBuilder, name: str, data: memoryview) -> None:
        with data:
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
