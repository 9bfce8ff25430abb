"""The ledger: an append-only log of signed statements in a blob store, laid out as C2SP tlog-tiles.

An append writes the bundle of entries, then the hash tiles, then the checkpoint. Until the checkpoint is replaced the
old one stays valid, and whatever a crash left beside it is overwritten by the next append. `docs/ledger.md` gives every
byte. Knows nothing of what the statements say.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from emeritus.blobs.base import BlobStore
from emeritus.errors import (
    AlreadyExists,
    LedgerBroken,
    LedgerError,
    NotFound,
    SigningKeyUnusable,
    StatementTooLarge,
    StoreError,
)
from emeritus.ledger import envelope, tree
from emeritus.ledger.checkpoint import Checkpoint, open_checkpoint
from emeritus.ledger.keys import SigningKey, VerifyKey
from emeritus.ledger.lock import FileLock
from emeritus.ledger.proof import Proof
from emeritus.ledger.tiles import MAX_ENTRY, Tiles, pack
from emeritus.ledger.verify import LedgerReport, verify_log

CHECKPOINT = "checkpoint"
VKEY = "vkey"  # the verifier key line; who checks the log pins it from elsewhere
_LOCK_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Head:
    """A checkpoint with what an append needs: the tree's right edge and the entries of the last, partial bundle."""

    note: bytes
    checkpoint: Checkpoint
    edge: tree.Edge
    tail: tuple[bytes, ...]


class Ledger:
    """The log. Safe in threads, and beside other processes that use the same lock file."""

    def __init__(self, store: BlobStore, verify_key: VerifyKey, key: SigningKey | None, lock: FileLock) -> None:
        """Use `create` or `open`."""
        self.verify_key = verify_key
        self._store = store
        self._key = key
        self._lock = lock
        self._tiles = Tiles(store)
        self._moving = threading.Lock()
        self._entries = lru_cache(maxsize=8)(self._checked_entries)  # of one size a bundle never changes
        self._head = self._load(None)

    @classmethod
    def create(
        cls, store: BlobStore, key: SigningKey, origin: str, lock_path: Path, lock_wait_s: float = _LOCK_WAIT_S
    ) -> Ledger:
        """Begin an empty log. Raises AlreadyExists where one is, LedgerBroken where one has lost its checkpoint."""
        if key.verify_key.name != origin:
            raise SigningKeyUnusable(
                f"the key is named {key.verify_key.name!r}, the ledger {origin!r}; they must be the same"
            )
        lock = FileLock(lock_path, lock_wait_s)
        with lock.hold():
            if store.size(CHECKPOINT) is not None:
                raise AlreadyExists(f"there is a ledger at {store.url} already")
            if next(iter(store.list("tile/")), None) is not None:
                raise LedgerBroken(f"{store.url} holds a ledger's tiles but no checkpoint")
            store.put(VKEY, f"{key.verify_key.line}\n".encode())
            store.put(CHECKPOINT, Checkpoint(origin, 0, tree.EMPTY_ROOT).sign(key))
            return cls(store, key.verify_key, key, lock)

    @classmethod
    def open(
        cls, store: BlobStore, key: SigningKey | None, lock_path: Path, lock_wait_s: float = _LOCK_WAIT_S
    ) -> Ledger:
        """Open a log; without a key it can only be read. Raises NotFound, SigningKeyUnusable or LedgerBroken."""
        if store.size(CHECKPOINT) is None:
            if next(iter(store.list("tile/")), None) is not None:
                raise LedgerBroken(f"{store.url} holds a ledger's tiles but no checkpoint")
            raise NotFound(f"there is no ledger at {store.url}", remedy="Begin one with `emeritus init`.")
        try:
            verify_key = VerifyKey.parse(store.get(VKEY).decode())
        except (NotFound, UnicodeDecodeError) as error:
            raise LedgerBroken(f"the ledger's verifier key ({VKEY}) is missing or unreadable") from error
        if key is not None and key.verify_key != verify_key:
            raise SigningKeyUnusable(
                f"the signing key is {key.verify_key.line}, the ledger was begun with {verify_key.line}"
            )
        return cls(store, verify_key, key, FileLock(lock_path, lock_wait_s))

    # -- writing

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer. Re-entrant in one thread; raises HomeBusy when another holds it for too long."""
        nested = self._lock.held
        with self._lock.hold():
            if not nested:
                self._refresh()
            yield

    def seal(self, statement: dict[str, Any]) -> bytes:
        """The entry `append` would write, without writing. Raises SigningKeyUnusable or StatementTooLarge."""
        if self._key is None:
            raise SigningKeyUnusable("the ledger was opened without its signing key, so it cannot be added to")
        entry = envelope.seal(statement, self._key)
        if len(entry) > MAX_ENTRY:
            raise StatementTooLarge(
                f"the signed statement is {len(entry)} bytes long, more than the {MAX_ENTRY} of a log entry",
                size=len(entry),
            )
        return entry

    def append(self, statement: dict[str, Any]) -> int:
        """Sign a statement and make it the next entry; returns its index. It is durable when this returns.

        Only while holding `lock()`. After an error the statement is in the log or it is not: `lock()` again and look.
        """
        if not self._lock.held or self._key is None:
            raise LedgerError("an append needs the ledger's lock and its signing key")
        entry = self.seal(statement)
        head = self._head
        seq = head.checkpoint.size
        edge, tiles = tree.extend(head.edge, seq, tree.leaf_hash(entry))
        bundle = (*head.tail, entry)
        self._store.put(tree.entries_key(seq // tree.WIDTH, len(bundle)), pack(bundle))
        for tile in tiles:
            self._store.put(tile.key, tile.data)
        checkpoint = Checkpoint(head.checkpoint.origin, seq + 1, tree.edge_root(edge))
        note = checkpoint.sign(self._key)
        self._store.put(CHECKPOINT, note)
        full = len(bundle) == tree.WIDTH
        with self._moving:
            self._head = _Head(note, checkpoint, edge, () if full else bundle)
        if full:
            self._clean(tiles, seq // tree.WIDTH)
        return seq

    def _clean(self, tiles: list[tree.Tile], bundle: int) -> None:
        """Remove the partial forms of tiles that are full now. What an interruption leaves of them does no harm."""
        folders = [f"{tree.entries_key(bundle)}.p/"]
        folders += [f"{tile.key}.p/" for tile in tiles if len(tile.hashes) == tree.WIDTH]
        with suppress(StoreError):
            for folder in folders:
                for key in list(self._store.list(folder)):
                    self._store.delete(key)

    # -- reading

    @property
    def size(self) -> int:
        """How many entries there are now, those of other processes included."""
        return self._current().checkpoint.size

    @property
    def origin(self) -> str:
        """The log's name, the first line of its checkpoint."""
        return self._head.checkpoint.origin

    def checkpoint(self) -> bytes:
        """The current checkpoint, a signed note."""
        return self._current().note

    def envelope(self, seq: int) -> bytes:
        """The exact bytes of entry `seq`, a DSSE envelope. Raises NotFound beyond the end."""
        size = self._size_for(seq)
        index, position = divmod(seq, tree.WIDTH)
        return self._entries(index, min(tree.WIDTH, size - index * tree.WIDTH))[position]

    def statement(self, seq: int) -> dict[str, Any]:
        """The statement of entry `seq`, its signature verified. Raises NotFound or LedgerBroken."""
        return self._open(seq, self.envelope(seq))

    def statements(self, start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """Index and statement of every entry from `start` to the end there is now, signatures verified."""
        size = self.size
        seq = start
        while seq < size:
            index, position = divmod(seq, tree.WIDTH)
            for entry in self._entries(index, min(tree.WIDTH, size - index * tree.WIDTH))[position:]:
                yield seq, self._open(seq, entry)
                seq += 1

    def inclusion_proof(self, seq: int, size: int | None = None) -> list[bytes]:
        """Hashes that lead from entry `seq` to the root over the first `size` entries (default: all). NotFound."""
        total = self.size
        size = total if size is None else size
        if not 0 <= seq < size <= total:
            raise NotFound(f"entry {seq} is not in a tree of {size} entries; the ledger has {total}")
        return tree.inclusion_proof(seq, size, self._subtree)

    def consistency_proof(self, old: int, new: int | None = None) -> list[bytes]:
        """Hashes that show the first `old` entries to be a prefix of the first `new` (default: all). NotFound."""
        total = self.size
        new = total if new is None else new
        if not 0 <= old <= new <= total:
            raise NotFound(f"there is no proof from {old} to {new} entries; the ledger has {total}")
        return tree.consistency_proof(old, new, self._subtree)

    def proof(self, seq: int) -> bytes:
        """A file that proves entry `seq` offline, with the current checkpoint inside (C2SP tlog-proof)."""
        head = self._current()
        if not 0 <= seq < head.checkpoint.size:
            raise NotFound(f"the ledger has no entry {seq}")
        hashes = tree.inclusion_proof(seq, head.checkpoint.size, self._subtree)
        return Proof(seq, tuple(hashes), head.note).data

    def verify(self, seen: Path | None = None) -> LedgerReport:
        """Check every signature, tile and the root; with `seen`, also against the checkpoint kept in that file."""
        return verify_log(self._store, self.verify_key, seen)

    # -- inside

    def _current(self) -> _Head:
        """The head now. While this thread holds the lock nobody can have moved it."""
        return self._head if self._lock.held else self._refresh()

    def _refresh(self) -> _Head:
        """Take up the store's head. The mutex keeps a slow reader from putting an old head over a writer's new one."""
        with self._moving:
            self._head = self._load(self._head)
            return self._head

    def _size_for(self, seq: int) -> int:
        """A size that includes `seq`: the one known already where it suffices."""
        size = self._head.checkpoint.size
        if seq >= size:
            size = self.size
        if not 0 <= seq < size:
            raise NotFound(f"the ledger has {size} entries and no entry {seq}", entry=seq)
        return size

    def _load(self, known: _Head | None) -> _Head:
        """The head the store holds. Reads O(log n) files, and none but the checkpoint when that is the known one."""
        try:
            note = self._store.get(CHECKPOINT)
        except NotFound as error:
            raise LedgerBroken(f"the ledger at {self._store.url} has lost its checkpoint") from error
        if known is not None and note == known.note:
            return known
        checkpoint = open_checkpoint(note, self.verify_key)
        size = checkpoint.size
        if known is not None and size <= known.checkpoint.size:
            raise LedgerBroken(
                f"the ledger went from {known.checkpoint.size} entries back to {size}, or changed at that size"
            )
        edge = tuple(
            self._tiles.hashes(level, index, width) if width else ()
            for level, (index, width) in enumerate(tree.edge_shape(size))
        )
        if tree.edge_root(edge) != checkpoint.root:
            raise LedgerBroken(
                f"the tiles at the end of the ledger do not lead to the root its checkpoint signs (size {size})"
            )
        index, width = divmod(size, tree.WIDTH)
        return _Head(note, checkpoint, edge, self._checked_entries(index, width) if width else ())

    def _checked_entries(self, index: int, width: int) -> tuple[bytes, ...]:
        """A bundle's entries, compared with their hashes in the tree."""
        entries = self._tiles.entries(index, width)
        for position, (entry, digest) in enumerate(zip(entries, self._tiles.hashes(0, index, width), strict=True)):
            if tree.leaf_hash(entry) != digest:
                seq = index * tree.WIDTH + position
                raise LedgerBroken(
                    f"entry {seq} does not match its hash in {tree.tile_key(0, index, width)}", entry=seq
                )
        return entries

    def _open(self, seq: int, entry: bytes) -> dict[str, Any]:
        try:
            return envelope.unseal(entry, self.verify_key)
        except LedgerBroken as error:
            raise LedgerBroken(f"entry {seq}: {error.message}", entry=seq) from error

    def _subtree(self, height: int, index: int) -> bytes:
        level, tile, start, end = tree.subtree_tile(height, index)
        total = self._head.checkpoint.size // tree.WIDTH**level  # complete subtrees of that level
        return tree.fold(self._tiles.hashes(level, tile, min(tree.WIDTH, total - tile * tree.WIDTH))[start:end])
