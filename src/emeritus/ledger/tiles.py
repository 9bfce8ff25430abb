"""The log's files in a store: hash tiles and bundles of entries, every length checked. Knows no signatures."""

from __future__ import annotations

from collections.abc import Sequence

from emeritus.blobs.base import BlobStore
from emeritus.errors import LedgerBroken, NotFound, StatementTooLarge
from emeritus.ledger.tree import HASH_SIZE, WIDTH, entries_key, tile_key

MAX_ENTRY = 0xFFFF  # bytes: tlog-tiles prefixes each entry with its length in 16 bits


def pack(entries: Sequence[bytes]) -> bytes:
    """A bundle's bytes: each entry behind its length, 16 bits, big-endian. Raises StatementTooLarge."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise StatementTooLarge(
                f"a signed statement of {len(entry)} bytes does not fit in a log entry of {MAX_ENTRY} bytes",
                size=len(entry),
            )
        parts.append(len(entry).to_bytes(2, "big") + entry)
    return b"".join(parts)


def unpack(data: bytes, key: str) -> list[bytes]:
    """The entries in a bundle's bytes. Raises LedgerBroken naming the file when the lengths do not add up."""
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        if start > len(data) or position > len(data):
            raise LedgerBroken(f"{key} ends in the middle of entry {len(entries)}", file=key)
        entries.append(data[start:position])
    return entries


class Tiles:
    """Reads tiles of a log. A partial tile may be cleaned away once the full one exists: then that one is read."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def hashes(self, level: int, index: int, width: int = WIDTH) -> tuple[bytes, ...]:
        """The first `width` hashes of a hash tile. Raises LedgerBroken naming a file that is missing or too short."""
        key, data = self._read(tile_key(level, index, width), tile_key(level, index))
        expected = (WIDTH if key == tile_key(level, index) else width) * HASH_SIZE
        if len(data) != expected:
            raise LedgerBroken(f"{key} is {len(data)} bytes long, not {expected}", file=key)
        return tuple(data[at : at + HASH_SIZE] for at in range(0, width * HASH_SIZE, HASH_SIZE))

    def entries(self, index: int, width: int = WIDTH) -> tuple[bytes, ...]:
        """The first `width` entries of a bundle. Raises LedgerBroken naming a file that is missing or broken."""
        key, data = self._read(entries_key(index, width), entries_key(index))
        entries = unpack(data, key)
        expected = WIDTH if key == entries_key(index) else width
        if len(entries) != expected:
            raise LedgerBroken(f"{key} holds {len(entries)} entries, not {expected}", file=key)
        return tuple(entries[:width])

    def _read(self, partial: str, full: str) -> tuple[str, bytes]:
        for key in (partial, full):
            try:
                return key, self._store.get(key)
            except NotFound:
                continue
        raise LedgerBroken(f"{partial} is missing", file=partial)
