"""Segments into packs, packs into the store: each segment is written, hashed and given parity where it was encoded.

The packs of a group share its parity, which is as long as the longest of them: what is left for the last group is
shared out among sixteen packs too, so that it takes no more parity than the others and little is left to do at the end.
Knows no manifests, and holds no pack: only whoever gives a segment does, until all three are done.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from threading import Lock
from types import TracebackType

from emeritus.blobs.base import BlobStore, Staged
from emeritus.errors import IntegrityError, NotFound
from emeritus.vault.codec.numbers import Data
from emeritus.vault.hashing import Hasher, Sha256
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import MAGIC, PACKS, Encoded, Layout, pack_key, share
from emeritus.vault.parity.build import STRIP, Column, GroupBuilder

UNDER_WAY = 3  # full packs that are not durable yet: fewer than a group has, so that no more than two groups are held
Done = Callable[[], object]


@dataclass(slots=True, eq=False)
class _Pack:
    """A pack on its way. `kept`: what its bytes still wait for."""

    staged: Staged
    column: Column | None
    layout: Layout = field(default_factory=Layout)
    digest: Sha256 = field(default_factory=Sha256)
    kept: deque[Future[None]] = field(default_factory=deque)


class PackWriter:
    """Writes packs of `most_bytes` at most, and a segment; `parity` takes each in.

    A context: on leaving, what is under way ends; call `flush` to have it kept.
    """

    def __init__(
        self,
        store: BlobStore,
        index: SegmentIndex,
        most_bytes: int,
        parity: GroupBuilder | None = None,
        hasher: Hasher | None = None,
    ) -> None:
        """`hasher`: takes the packs' sha256, and its workers write them; without it, whoever adds does both."""
        self._store = store
        self._index = index
        self._most = most_bytes
        self._parity = parity
        self._hasher = hasher
        self._keeping = hasher.workers.chain() if hasher is not None else None
        self._storing = ThreadPoolExecutor(1)
        self._filling: _Pack | None = None
        self._under_way: deque[tuple[_Pack, Future[None]]] = deque()
        self._closed = 0  # packs
        self._taken = self._stored = 0  # bytes of segments, decoded and as they are stored
        self.left = 0  # bytes of segments, decoded, that are still to come at most: the caller says
        self.written: set[str] = set()  # packs (sha256 hex) that are in the store because of this

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hasher is not None:
            self._hasher.hurry()
        self._storing.shutdown(cancel_futures=True)
        for pack, _ in self._under_way:
            pack.staged.close()
        if self._filling is not None:
            self._filling.staged.close()

    def add(self, new: Encoded, done: Done | None = None) -> None:
        """Take one segment, whose bytes must not change until `done` is called. Raises what an earlier one raised."""
        if self._filling is None:
            self._filling = _Pack(self._store.stage(), self._parity.begin() if self._parity else None)
            self._take(self._filling, MAGIC)
        pack = self._filling
        while pack.kept and pack.kept[0].done():
            pack.kept.popleft().result()
        pack.layout.place(new)
        self._take(pack, new.stored, done)
        self._taken += new.length
        self._stored += len(new.stored)
        if pack.layout.used >= self._enough(pack):
            self._close(pack)

    def flush(self) -> None:
        """Return once every segment taken is durable, and the index knows where it lies."""
        if self._filling is not None:
            self._close(self._filling)
        while self._under_way:
            self._settle()

    def _enough(self, pack: _Pack) -> int:
        """Bytes that close the pack: an equal share of what is still to come, as far as one group takes it."""
        packs = PACKS - self._closed % PACKS
        if packs == 1:
            return self._most
        return share(pack.layout.used + self.left * self._stored // max(1, self._taken), packs, self._most)

    def _close(self, pack: _Pack) -> None:
        self._take(pack, pack.layout.end())
        self._filling = None
        self._under_way.append((pack, self._storing.submit(self._store_pack, pack)))
        self._closed += 1
        while len(self._under_way) > UNDER_WAY:
            self._settle()

    def _settle(self) -> None:
        """Wait for the first of the packs under way."""
        _, stored = self._under_way[0]
        if self._hasher is not None and not stored.done():
            self._hasher.hurry()
        stored.result()
        self._under_way.popleft()

    def _take(self, pack: _Pack, data: Data, done: Done | None = None) -> None:
        """Have bytes of a pack written, and hashed beside that."""
        view = memoryview(data)
        if self._hasher is None or self._keeping is None:
            pack.digest.update(view)
            self._keep(pack, view)
            if done is not None:
                done()
            return
        ways = [self._keeping.submit(self._keep, pack, view), self._hasher.later(pack.digest, view)]
        pack.kept += ways
        if done is not None:
            _when_all(ways, done)

    def _keep(self, pack: _Pack, data: memoryview) -> None:
        """A strip at a time, which is read once and then lies in the cache."""
        for at in range(0, len(data), STRIP):
            strip = data[at : at + STRIP]
            if pack.column is not None:
                pack.column.take(strip)
            pack.staged.write(strip)

    def _store_pack(self, pack: _Pack) -> None:
        for each in pack.kept:
            each.result()  # a pack of which a byte was not written has no name
        name = pack.digest.hexdigest()
        with closing(pack.staged) as staged:
            if not staged.put_if_absent(pack_key(name)) and not self._stored_soundly(name):
                staged.put(pack_key(name))  # a damaged pack under its own name: only these bytes can be right there
                self._index.forget(name)
        if pack.column is not None and self._parity is not None:
            self._parity.end(pack.column, name)
        self._index.add(name, pack.layout.entries)
        self.written.add(name)

    def _stored_soundly(self, name: str) -> bool:
        try:
            return hashlib.sha256(self._store.get(pack_key(name))).hexdigest() == name
        except (IntegrityError, NotFound):  # the disk cannot read it, or it has gone meanwhile
            return False


def _when_all(ways: list[Future[None]], done: Done) -> None:
    """Call `done` once, after the last of these has ended, however it did."""
    lock, left = Lock(), len(ways)

    def one(_: Future[None]) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = not left
        if last:
            done()

    for each in ways:
        each.add_done_callback(one)
