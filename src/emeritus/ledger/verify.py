"""Checking a whole log: every entry's signature, every tile, the root, and that its past is the one seen last time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from emeritus.blobs.base import BlobStore
from emeritus.errors import LedgerBroken, NotFound
from emeritus.ledger import envelope, tree
from emeritus.ledger.checkpoint import Checkpoint, open_checkpoint
from emeritus.ledger.keys import VerifyKey
from emeritus.ledger.seen import Seen
from emeritus.ledger.tiles import Tiles


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What a check of the whole log found. `size` is the checkpoint's, 0 when that does not hold."""

    size: int
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.problems


def verify_log(store: BlobStore, key: VerifyKey, seen_at: Path | None = None) -> LedgerReport:
    """Read and check every file of the log at `store` against `key`; never raises for what is wrong with the log.

    With `seen_at`, the key and checkpoint in that file must be this log's past; when all holds the file is renewed.
    """
    problems: list[str] = []
    try:
        note = store.get("checkpoint")
        checkpoint = open_checkpoint(note, key)
    except (NotFound, LedgerBroken) as error:
        return LedgerReport(0, [f"checkpoint: {error.message}"])
    levels = _Check(Tiles(store), key, problems).run(checkpoint)
    if seen_at is not None:
        _compare(Seen.read(seen_at), checkpoint, key, levels, problems)
        if not problems:
            Seen(key.line, note).write(seen_at)
    return LedgerReport(checkpoint.size, problems)


class _Check:
    """One pass over the tiles, entries first; where a bundle is unreadable, the hashes stored for it stand in."""

    def __init__(self, tiles: Tiles, key: VerifyKey, problems: list[str]) -> None:
        self._tiles = tiles
        self._key = key
        self._problems = problems

    def run(self, checkpoint: Checkpoint) -> list[list[bytes]]:
        """The hashes of every level as the entries give them, level 0 first; problems are noted on the way."""
        levels: list[list[bytes]] = []
        hashes = self._leaves(checkpoint.size)
        while hashes:
            levels.append(hashes)
            full = len(hashes) // tree.WIDTH
            hashes = [tree.fold(hashes[at * tree.WIDTH : (at + 1) * tree.WIDTH]) for at in range(full)]
            for index in range(-(-full // tree.WIDTH)):
                own = hashes[index * tree.WIDTH : (index + 1) * tree.WIDTH]
                stored = self._hashes(len(levels), index, len(own))
                if stored is not None and list(stored) != own:
                    self._problems.append(
                        f"{tree.tile_key(len(levels), index, len(own))} does not match the tiles below it"
                    )
        root = _root(levels, checkpoint.size)
        if root != checkpoint.root:
            self._problems.append(
                f"{checkpoint.size} entries give the root {root.hex()}, the checkpoint signs {checkpoint.root.hex()}"
            )
        return levels

    def _leaves(self, size: int) -> list[bytes]:
        leaves: list[bytes] = []
        for first in range(0, size, tree.WIDTH):
            index, width = first // tree.WIDTH, min(tree.WIDTH, size - first)
            stored = self._hashes(0, index, width)
            try:
                entries = self._tiles.entries(index, width)
            except LedgerBroken as error:
                self._problems.append(error.message)
                leaves += stored if stored is not None else [tree.EMPTY_ROOT] * width
                continue
            own = [tree.leaf_hash(entry) for entry in entries]
            for position, entry in enumerate(entries):
                if stored is not None and stored[position] != own[position]:
                    self._problems.append(
                        f"entry {first + position} does not match its hash in {tree.tile_key(0, index, width)}"
                    )
                try:
                    envelope.unseal(entry, self._key)
                except LedgerBroken as error:
                    self._problems.append(f"entry {first + position}: {error.message}")
            leaves += own
        return leaves

    def _hashes(self, level: int, index: int, width: int) -> tuple[bytes, ...] | None:
        try:
            return self._tiles.hashes(level, index, width)
        except LedgerBroken as error:
            self._problems.append(error.message)
            return None


def _root(levels: list[list[bytes]], size: int) -> bytes:
    """Root over the first `size` leaves."""

    def subtree(height: int, index: int) -> bytes:
        level, tile, start, end = tree.subtree_tile(height, index)
        return tree.fold(levels[level][tile * tree.WIDTH + start : tile * tree.WIDTH + end])

    return tree.range_root(0, size, subtree)


def _compare(
    seen: Seen | None, now: Checkpoint, key: VerifyKey, levels: list[list[bytes]], problems: list[str]
) -> None:
    if seen is None:
        return
    if seen.vkey != key.line:
        problems.append(f"the ledger's key is {key.line}; when it was last seen it was {seen.vkey}")
        return
    try:
        before = open_checkpoint(seen.checkpoint, key)
    except LedgerBroken as error:
        problems.append(f"the checkpoint seen before: {error.message}")
        return
    if before.size > now.size:
        problems.append(f"the ledger has {now.size} entries; {before.size} were seen before")
    elif _root(levels, before.size) != before.root:
        problems.append(f"the first {before.size} entries are not those seen before")
