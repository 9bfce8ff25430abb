"""Making parity: while packs are still in memory, afterwards from the store, or more of it for packs others rest on.

A pack is read once and forgotten: kept in memory are the shards alone, each as long as the longest pack. Knows no
manifests; who calls decides which packs share a group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from emeritus.blobs.base import BlobStore
from emeritus.errors import InputError
from emeritus.vault.codec.reed_solomon import MOST_SHARDS, Buffer, cauchy, combine
from emeritus.vault.digests import Blake3, blake3_of
from emeritus.vault.hashing import Sha256, update_both
from emeritus.vault.packs.pack import damaged, pack_key
from emeritus.vault.pages import pages
from emeritus.vault.parity.form import (
    BLOCK,
    Description,
    around,
    digests_of,
    parity_object,
    read_description,
    room_around,
    shard_key,
)
from emeritus.vault.progress import Progress, silent

SHARDS = 2  # so many packs of a group may be lost, or blocks of a column
PACKS = 16  # in a group: two shards of sixteen packs take an eighth of them
STRIP = 8 * BLOCK  # bytes hashed and multiplied while they lie in the cache


class Encoder:
    """The shards of these numbers over packs given one by one; the order of the packs is that of the columns.

    `expected_bytes`: about how long the longest is. `rooms`: what another encoder of as many `left`.
    """

    def __init__(
        self, numbers: Sequence[int], expected_bytes: int = 0, rooms: tuple[list[memoryview], int, int] | None = None
    ) -> None:
        self.numbers = tuple(numbers)
        self.columns: list[Column] = []
        self._expected = expected_bytes
        # memory of each shard, with room before and behind for what is told of the group; where parity begins in it;
        # how long it may become there: packs of one act differ little in length
        self._rooms, self._before, self._most = rooms or ([pages(0) for _ in self.numbers], 0, 0)
        self._length = 0

    def add(self, name: str, data: Buffer) -> None:
        """Take one pack in. `name` is its sha256 in hex, which the caller has proven."""
        column = Column(self)
        with memoryview(data) as view:
            self.grow(len(view))
            for at in range(0, len(view), STRIP):
                column.take(view[at : at + STRIP])
        column.name = name

    def grow(self, length: int) -> None:
        """Have memory for shards of that length."""
        if length > self._most:
            most = max(length + length // 4, self._expected)
            before, behind = room_around(PACKS, max(self.numbers, default=0) + 1, most)
            grown = [pages(before + most + behind) for _ in self.numbers]
            for room, shard in zip(grown, self._shards(), strict=True):
                room[before : before + len(shard)] = shard
            self._rooms, self._before, self._most = grown, before, most

    def combine(self, number: int, at: int, data: memoryview) -> None:
        """Add what the pack of that number has at this place to the shards, which may hold anything beyond `length`."""
        matrix = cauchy(self.numbers, [number])
        self.grow(at + len(data))
        there = min(len(data), max(0, self._length - at))
        for begin, end in ((0, there), (there, len(data))):
            if begin < end:
                first, last = self._before + at + begin, self._before + at + end
                combine(matrix, [data[begin:end]], [room[first:last] for room in self._rooms], add=end == there)
        self._length = max(self._length, at + len(data))

    def left(self) -> tuple[list[memoryview], int, int]:
        """The memory of one whose objects are stored, for another."""
        return self._rooms, self._before, self._most

    def finish(self, before: Sequence[bytes] = ()) -> tuple[Description, list[memoryview]]:
        """(what every shard of the group tells, the shards). `before`: digests of the shards that are there already."""
        shards = self._shards()
        ours = tuple(map(digests_of, shards))
        packs = tuple((column.name, column.length) for column in self.columns)
        return Description(packs, tuple(column.digests() for column in self.columns), (*before, *ours)), shards

    def objects(self, before: Sequence[bytes] = ()) -> list[tuple[str, memoryview]]:
        """(key, bytes) of each shard's object, made where the shards lie. Use once, at the end; `before` as above."""
        description, shards = self.finish(before)
        made = []
        for number, room in zip(self.numbers, self._rooms, strict=True):
            told, end = around(description, number)
            start, behind = self._before - len(told), self._before + self._length
            if start < 0 or behind + len(end) > len(room):  # of more packs or shards than groups have as a rule
                return [parity_object(description, *each) for each in zip(self.numbers, shards, strict=True)]
            room[start : self._before] = told
            room[behind : behind + len(end)] = end
            made.append(room[start : behind + len(end)])
        return [
            (shard_key(description, number, digest), data)
            for number, digest, data in zip(self.numbers, _sha256_of_each(made), made, strict=True)
        ]

    def _shards(self) -> list[memoryview]:
        return [room[self._before : self._before + self._length] for room in self._rooms]


class Column:
    """One pack of a group while its bytes come, one after another; `name` (sha256 hex) is known when they all have."""

    def __init__(self, encoder: Encoder) -> None:
        self.name = ""
        self.length = 0
        self._encoder = encoder
        self._number = len(encoder.columns)
        self._digests: list[bytes] = []  # of its blocks
        self._block = Blake3()  # of the one that is not full
        encoder.columns.append(self)

    def take(self, data: memoryview) -> None:
        """Take more bytes."""
        begin, at = self.length, 0
        while at < len(data):
            held = self.length % BLOCK
            count = min(BLOCK - held, len(data) - at)
            if count == BLOCK:
                self._digests.append(blake3_of(data[at : at + BLOCK]))
            else:
                self._block.update(data[at : at + count])
                if held + count == BLOCK:
                    self._digests.append(self._block.digest())
                    self._block = Blake3()
            self.length += count
            at += count
        self._encoder.combine(self._number, begin, data)  # last: hashing brings the bytes into the cache, and faster

    def digests(self) -> bytes:
        """The BLAKE3 of each block, joined."""
        last = [self._block.digest()] if self.length % BLOCK else []
        return b"".join([*self._digests, *last])


def _sha256_of_each(objects: Sequence[memoryview]) -> list[str]:
    """In hex; two side by side, which takes less time than one after the other."""
    digests = [Sha256() for _ in objects]
    for at in range(0, len(objects) - 1, 2):
        update_both(digests[at], objects[at], digests[at + 1], objects[at + 1])
    if len(objects) % 2:
        digests[-1].update(objects[-1])
    return [digest.hexdigest() for digest in digests]


class GroupBuilder:
    """Parity for packs as they are written: `add` each, or `begin` and `end` it, then `finish`. A full group is stored
    when its last pack ends.

    Memory: `shards` times the longest pack, of about `expected_bytes`; twice that where a pack of the next group begins
    before the last one's end.
    """

    def __init__(self, store: BlobStore, shards: int = SHARDS, expected_bytes: int = 0) -> None:
        _check(shards)
        self._store = store
        self._shards = shards
        self._expected = expected_bytes
        self._filling: Encoder | None = None
        self._open: dict[Column, Encoder] = {}
        self._left: list[tuple[list[memoryview], int, int]] = []
        self.keys: list[str] = []  # of the parity objects stored

    def begin(self) -> Column | None:
        """A pack's place in the group: give it the pack's bytes as they come. None where no parity is wanted."""
        if not self._shards:
            return None
        if self._filling is None or len(self._filling.columns) == PACKS:
            self._filling = Encoder(range(self._shards), self._expected, self._left.pop() if self._left else None)
        column = Column(self._filling)
        self._open[column] = self._filling
        return column

    def end(self, column: Column, name: str) -> None:
        """Say that a pack is in the store, and its sha256 (hex), which the caller has proven."""
        column.name = name
        encoder = self._open.pop(column)
        if len(encoder.columns) == PACKS and all(each.name for each in encoder.columns):
            self._close(encoder)

    def add(self, name: str, data: Buffer) -> None:
        """Take in a pack that is in the store, by the sha256 (hex) of its bytes, which the caller has proven."""
        column = self.begin()
        if column is not None:
            with memoryview(data) as view:
                for at in range(0, len(view), STRIP):
                    column.take(view[at : at + STRIP])
            self.end(column, name)

    def finish(self) -> list[str]:
        """Store the last group; the keys of all parity objects stored by this builder. All packs must have ended."""
        if self._filling is not None and len(self._filling.columns) < PACKS:
            self._close(self._filling)
        self._filling = None
        return self.keys

    def _close(self, encoder: Encoder) -> None:
        self.keys += store_shards(self._store, encoder.objects())
        self._left.append(encoder.left())


def protect(
    store: BlobStore, packs: Sequence[str], shards: int = SHARDS, progress: Progress | None = None
) -> list[str]:
    """Make parity for packs (sha256 hex) that lie in the store, in groups of up to 16 in the order given.

    The same packs again give the same objects. Progress counts packs. Raises NotFound, and IntegrityError for a pack
    that is not its name's: what is damaged is repaired first, never protected.
    """
    builder = GroupBuilder(store, shards)
    for done, name in enumerate(packs, 1):
        builder.add(name, sound_pack(store, name))
        (progress or silent)(pack_key(name), done, len(packs))
    return builder.finish()


def strengthen(store: BlobStore, key: str, shards: int) -> list[str]:
    """Give the group of the parity object at `key` as many `shards`; the keys of those added, none when it has them.

    Raises NotFound, IntegrityError.
    """
    _check(shards)
    there = read_description(store, key)
    if len(there.shard_digests) >= shards:
        return []
    encoder = Encoder(range(len(there.shard_digests), shards))
    for name in there.names:
        encoder.add(name, sound_pack(store, name))
    return store_shards(store, encoder.objects(there.shard_digests))


def store_shards(store: BlobStore, objects: Sequence[tuple[str, memoryview]]) -> list[str]:
    """Make shards durable; their keys. What lies damaged under such a name is replaced: only these bytes fit it."""
    keys = []
    for key, data in objects:
        if not store.put_if_absent(key, data) and store.get(key) != data:
            store.put(key, data)
        keys.append(key)
    return keys


def sound_pack(store: BlobStore, name: str) -> bytes:
    """A whole pack, proven by its name. Raises NotFound, IntegrityError."""
    data = store.get(pack_key(name))
    if hashlib.sha256(data).hexdigest() != name:
        raise damaged(pack_key(name), "its sha256 is not its name")
    return data


def _check(shards: int) -> None:
    if not 0 <= shards <= MOST_SHARDS:
        raise InputError(f"a group has 0 to {MOST_SHARDS} shards, not {shards}")
