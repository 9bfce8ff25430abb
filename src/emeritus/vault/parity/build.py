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
_STRIP = 8 * BLOCK  # bytes hashed and then multiplied while they lie in the cache


class Encoder:
    """The shards of these numbers over packs given one by one; the order of the packs is that of the columns."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = tuple(numbers)
        self.packs: list[tuple[str, int]] = []
        self._digests: list[bytes] = []
        self._rooms = [pages(0) for _ in self.numbers]  # each with room before and behind for what is told of the group
        self._before = 0  # where parity begins in its room
        self._most = 0  # how long it may become there: packs of one act differ little in length
        self._length = 0

    def add(self, name: str, data: Buffer) -> None:
        """Take one pack in. `name` is its sha256 in hex, which the caller has proven."""
        matrix = cauchy(self.numbers, [len(self.packs)])
        with memoryview(data) as view:
            self._grow(len(view))
            shards = self._shards()
            digests = []
            for at in range(0, len(view), _STRIP):
                strip = view[at : at + _STRIP]
                digests.append(digests_of(strip))
                combine(matrix, [strip], [shard[at : at + len(strip)] for shard in shards], add=True)
            self.packs.append((name, len(view)))
        self._digests.append(b"".join(digests))

    def finish(self, before: Sequence[bytes] = ()) -> tuple[Description, list[memoryview]]:
        """(what every shard of the group tells, the shards). `before`: digests of the shards that are there already."""
        shards = self._shards()
        ours = tuple(map(digests_of, shards))
        return Description(tuple(self.packs), tuple(self._digests), (*before, *ours)), shards

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

    def _grow(self, length: int) -> None:
        if length > self._most:
            most = length + length // 4
            before, behind = room_around(PACKS, max(self.numbers, default=0) + 1, most)
            grown = [pages(before + most + behind) for _ in self.numbers]
            for room, shard in zip(grown, self._shards(), strict=True):
                room[before : before + len(shard)] = shard
            self._rooms, self._before, self._most = grown, before, most
        self._length = max(self._length, length)


def _sha256_of_each(objects: Sequence[memoryview]) -> list[str]:
    """In hex; two side by side, which takes less time than one after the other."""
    digests = [Sha256() for _ in objects]
    for at in range(0, len(objects) - 1, 2):
        update_both(digests[at], objects[at], digests[at + 1], objects[at + 1])
    if len(objects) % 2:
        digests[-1].update(objects[-1])
    return [digest.hexdigest() for digest in digests]


class GroupBuilder:
    """Parity for packs as they are written: `add` each, then `finish`. A full group is stored at once.

    Memory: `shards` times the longest pack.
    """

    def __init__(self, store: BlobStore, shards: int = SHARDS) -> None:
        _check(shards)
        self._store = store
        self._shards = shards
        self._encoder = Encoder(range(shards))
        self.keys: list[str] = []  # of the parity objects stored

    def add(self, name: str, data: Buffer) -> None:
        """Take in a pack that is in the store, by the sha256 (hex) of its bytes, which the caller has proven."""
        if not self._shards:
            return
        self._encoder.add(name, data)
        if len(self._encoder.packs) == PACKS:
            self._close()

    def finish(self) -> list[str]:
        """Store the last group; the keys of all parity objects stored by this builder."""
        if self._encoder.packs:
            self._close()
        return self.keys

    def _close(self) -> None:
        self.keys += store_shards(self._store, self._encoder.objects())
        self._encoder = Encoder(range(self._shards))


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
