"""Bringing packs back from their group's parity, block by block, and making lost parity again from its packs.

A block counts only when its BLAKE3 is the one a sound description names, a pack only when its sha256 is its name.
Several stores may hold the same objects: a block is taken from the first that has it sound. Writes nothing but parity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, StoreUnavailable, UnknownFormat
from emeritus.vault.codec.reed_solomon import combine, recovery
from emeritus.vault.digests import SIZE, blake3_of
from emeritus.vault.packs.pack import pack_key
from emeritus.vault.parity.build import Encoder, sound_pack
from emeritus.vault.parity.form import (
    BLOCK,
    Description,
    blocks_in,
    parity_object,
    parse_key,
    read_description,
)
from emeritus.vault.parity.groups import Group

_SPAN = 16  # columns worked on at once: 1 MiB of each pack
_AT_ONCE = 2  # packs brought back in one pass; each is held whole


@dataclass(frozen=True, slots=True)
class Mended:
    """A pack brought back (`data`), or where it cannot be: the columns with more bad blocks than sound shards."""

    name: str
    data: bytearray | None
    beyond: tuple[int, ...] = ()


@dataclass(slots=True)
class _Span:
    """Some blocks of one member: their bytes, one after another, and which of them are sound."""

    data: memoryview
    sound: list[bool]


@dataclass(slots=True)
class _Member:
    """A pack or a shard: where its blocks lie in its object, and what they are known to be."""

    key: str
    start: int
    length: int
    digests: bytes
    stores: Sequence[BlobStore]
    _sizes: dict[int, int | None] = field(default_factory=dict)
    _rooms: dict[int, bytearray] = field(default_factory=dict)

    def read(self, first: int, last: int) -> _Span:
        """Blocks `first` up to `last`, as far as this member has so many, from whichever stores have them sound.

        What is given back is good until the next call.
        """
        last = min(last, blocks_in(self.length))
        begin, end = first * BLOCK, min(last * BLOCK, self.length)
        if begin >= end:
            return _Span(memoryview(b""), [])
        span = _Span(memoryview(b""), [False] * (last - first))
        for number in range(len(self.stores)):
            found = self._get(number, begin, end)
            fits = [
                blake3_of(found[at : at + min(BLOCK, end - begin - at)]) == self._digest(first + block)
                for block, at in enumerate(range(0, end - begin, BLOCK))
            ]
            if not any(span.sound) and len(found) == end - begin:
                span = _Span(found, fits)
            elif any(fits):
                merged = bytearray(span.data).ljust(end - begin, b"\0")
                for block, fit in enumerate(fits):
                    if fit and not span.sound[block]:
                        merged[block * BLOCK : (block + 1) * BLOCK] = found[block * BLOCK : (block + 1) * BLOCK]
                span = _Span(memoryview(merged), [a or b for a, b in zip(span.sound, fits, strict=True)])
            if all(span.sound):
                break
        return span

    def peek(self, first: int, last: int) -> memoryview | None:
        """The first store's bytes of these blocks, unproven, good until the next call; None: it has not all of them."""
        begin, end = first * BLOCK, min(last * BLOCK, self.length)
        found = self._get(0, begin, end) if begin < end else memoryview(b"")
        return found if len(found) == max(0, end - begin) else None

    def fits(self, first: int, last: int, whole: bytearray) -> bool:
        """Whether `whole`, which is this member from its beginning, has these blocks as they are known to be."""
        view = memoryview(whole)
        blocks = range(first, min(last, blocks_in(self.length)))
        return all(blake3_of(view[block * BLOCK : (block + 1) * BLOCK]) == self._digest(block) for block in blocks)

    def _digest(self, block: int) -> bytes:
        return self.digests[block * SIZE : (block + 1) * SIZE]

    def _get(self, number: int, begin: int, end: int) -> memoryview:
        """What one store has of these bytes; nothing when it has no such object or does not answer for it."""
        store = self.stores[number]
        try:
            if number not in self._sizes:
                self._sizes[number] = store.size(self.key)
            there = min(self.start + end, self._sizes[number] or 0) - (self.start + begin)
            if there <= 0:
                return memoryview(b"")
            found = memoryview(self._rooms.setdefault(number, bytearray(_SPAN * BLOCK)))[:there]
            store.read_into(self.key, self.start + begin, found)
        except (NotFound, IntegrityError):
            return memoryview(b"")
        except StoreUnavailable:
            if number == 0:  # the vault's own store: nothing can be said of it
                raise
            return memoryview(b"")
        return found


def describe(stores: Sequence[BlobStore], group: Group) -> Description | None:
    """What the group's shards tell, from all that are sound: the one that knows most shards. None: none is sound."""
    best: Description | None = None
    for store in stores:
        for key in group.keys:
            try:
                found = read_description(store, key)
            except (NotFound, IntegrityError, UnknownFormat):
                continue
            except StoreUnavailable:
                if store is stores[0]:
                    raise
                continue
            if best is None or len(found.shard_digests) > len(best.shard_digests):
                best = found
    return best


def mend(stores: Sequence[BlobStore], group: Group, wanted: Collection[str]) -> Iterator[Mended]:
    """Bring the `wanted` packs of the group back, a few at a time; the first of `stores` is the vault's own.

    What is given back is proven by its name. Nothing is written: put each pack back before asking for the next, and
    what it gives counts as sound for those that follow.
    """
    description = describe(stores, group)
    if description is None:
        yield from (Mended(name, None) for name in wanted)
        return
    order = [j for j, name in enumerate(description.names) if name in set(wanted)]
    for at in range(0, len(order), _AT_ONCE):
        yield from _Work(stores, group, description).run(order[at : at + _AT_ONCE])


class _Work:
    """One pass over a group's columns."""

    def __init__(self, stores: Sequence[BlobStore], group: Group, description: Description) -> None:
        self._told = description
        self._packs = [
            _Member(pack_key(name), 0, length, digests, stores)
            for (name, length), digests in zip(description.packs, description.pack_digests, strict=True)
        ]
        self._shards: dict[int, _Member] = {}
        for key in group.keys:
            where = parse_key(key)
            if where is not None and where.shard < len(description.shard_digests):
                start = _start(stores, key, description, where.shard)
                digests = description.shard_digests[where.shard]
                self._shards.setdefault(where.shard, _Member(key, start, description.length, digests, stores))

    def run(self, wanted: list[int]) -> Iterator[Mended]:
        """Bring these packs back."""
        data = {j: bytearray(self._packs[j].length) for j in wanted}
        beyond: dict[int, list[int]] = {j: [] for j in wanted}
        columns = max(blocks_in(self._packs[j].length) for j in wanted)
        for first in range(0, columns, _SPAN):
            self._span(first, min(first + _SPAN, columns), data, beyond)
        for j in wanted:
            name = self._told.names[j]
            proven = not beyond[j] and hashlib.sha256(data[j]).hexdigest() == name
            yield Mended(name, data.pop(j) if proven else None, tuple(beyond[j]))

    def _span(self, first: int, last: int, data: dict[int, bytearray], beyond: dict[int, list[int]]) -> None:
        """Fill in columns `first` up to `last`: what is sound as it is, the rest solved, like columns at once."""
        packs = {j: self._packs[j].read(first, last) for j in data}
        if not all(all(span.sound) for span in packs.values()) and self._quickly(first, last, packs, data):
            packs = {j: span for j, span in packs.items() if all(span.sound)}
        for j, span in packs.items():
            if any(span.sound):
                data[j][first * BLOCK : first * BLOCK + len(span.data)] = span.data
        if all(all(span.sound) for span in packs.values()):
            return
        packs = {j: packs[j] if j in packs else member.read(first, last) for j, member in enumerate(self._packs)}
        shards = {i: member.read(first, last) for i, member in sorted(self._shards.items())}
        self._carefully((first, last), packs, shards, data, beyond)

    def _quickly(self, first: int, last: int, packs: dict[int, _Span], data: dict[int, bytearray]) -> bool:
        """Solve as though every block elsewhere were sound, and prove the blocks this gives; False when one is wrong.

        A wrong source gives a wrong result, which its own BLAKE3 shows: hashing sixteen to prove two can be spared.
        """
        bad = tuple(j for j, span in packs.items() if not all(span.sound))
        using = tuple(sorted(self._shards))[: len(bad)]
        others = [member.peek(first, last) for j, member in enumerate(self._packs) if j not in bad]
        sources = [*others, *(self._shards[i].peek(first, last) for i in using)]
        if len(using) < len(bad) or any(source is None for source in sources):
            return False
        self._solve((bad, using), [source for source in sources if source is not None], first * BLOCK, data)
        return all(self._packs[j].fits(first, last, data[j]) for j in bad)

    def _carefully(
        self,
        columns: tuple[int, int],
        packs: dict[int, _Span],
        shards: dict[int, _Span],
        data: dict[int, bytearray],
        beyond: dict[int, list[int]],
    ) -> None:
        """Solve with blocks that are each proven, each run of columns by what is sound there."""
        first, last = columns

        def pattern(column: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
            at = column - first
            bad = tuple(j for j, span in packs.items() if at < len(span.sound) and not span.sound[at])
            return bad, tuple(i for i, span in shards.items() if span.sound[at])[: len(bad)]

        for (bad, using), run in groupby(range(first, last), pattern):
            here = list(run)
            wanted = [j for j in bad if j in data]
            if len(using) < len(bad):
                for j in wanted:
                    beyond[j] += here
            elif wanted:
                begin, end = (here[0] - first) * BLOCK, (here[-1] + 1 - first) * BLOCK
                sources = [span.data[begin:end] for j, span in packs.items() if j not in bad]
                sources += [shards[i].data[begin:end] for i in using]
                self._solve((bad, using), sources, first * BLOCK + begin, data)

    def _solve(
        self,
        pattern: tuple[tuple[int, ...], tuple[int, ...]],
        sources: list[memoryview],
        at: int,
        data: dict[int, bytearray],
    ) -> None:
        """Write the blocks that `sources` give for the wanted packs to their place, which begins at byte `at`."""
        bad, using = pattern
        rows = recovery(len(self._packs), bad, using)
        wanted = [(row, j) for row, j in zip(rows, bad, strict=True) if j in data]
        targets = [bytearray(len(sources[-1])) for _ in wanted]
        combine([row for row, _ in wanted], sources, targets)
        for (_, j), target in zip(wanted, targets, strict=True):
            room = min(len(target), len(data[j]) - at)
            data[j][at : at + room] = memoryview(target)[:room]


def _start(stores: Sequence[BlobStore], key: str, description: Description, shard: int) -> int:
    """Where the parity begins in an object: behind a description that names the shards there were when it was made."""
    for store in stores:
        try:
            return len(read_description(store, key).to_bytes(shard))
        except (NotFound, IntegrityError, UnknownFormat, StoreUnavailable):
            continue
    return len(description.to_bytes(shard))  # both copies of its own are damaged: as those written with it


def remake(stores: Sequence[BlobStore], group: Group, sound: Collection[str]) -> dict[str, str | None]:
    """Make the group's shards again that are not among the `sound` keys; {key written: damaged key it stands for}.

    All packs must be sound in the vault's own store. An object comes back under its own name where anything still tells
    what it held; where nothing does, one of the same worth is written and the damaged one removed.
    Raises NotFound, IntegrityError.
    """
    store = stores[0]
    each = [describe(stores[:1], Group(group.name, group.packs, (key,))) for key in group.keys]
    told = [found for found in each if found is not None]
    best = max(told, key=lambda found: len(found.shard_digests), default=None) or describe(stores, group)
    broken = {where.shard: key for key in group.keys if key not in sound and (where := parse_key(key))}
    there = {where.shard for key in sound if (where := parse_key(key))}
    written: dict[str, str | None] = {}
    for (
        key
    ) in group.keys:  # a shard that lies there twice, described with more shards and with fewer, as of two writers
        twin = next((each for each in sound if _number(each) == _number(key)), None)
        if key not in sound and twin is not None:
            store.delete(key)
            written[twin] = key
    known = range(len(best.shard_digests) if best else 0)
    numbers = sorted({*known, *range(max(broken, default=-1) + 1)} - there)
    if not numbers:
        return written
    encoder = Encoder(numbers)
    for name in group.packs:
        encoder.add(name, sound_pack(store, name))
    made, parity = encoder.finish()
    digests = dict(enumerate(best.shard_digests if best else ()))
    digests.update(zip(numbers, made.shard_digests, strict=True))
    for number, shard in zip(numbers, parity, strict=True):
        key, data = _as_it_was(made, digests, (number, broken.get(number)), shard, told)
        store.put(key, data)
        written[key] = broken.get(number)
        if (old := broken.get(number)) is not None and old != key:
            store.delete(old)
    return written


def _number(key: str) -> int | None:
    where = parse_key(key)
    return where.shard if where else None


def _as_it_was(
    made: Description,
    digests: dict[int, bytes],
    which: tuple[int, str | None],
    parity: memoryview,
    told: Collection[Description],
) -> tuple[str, memoryview]:
    """The shard's object, knowing as many shards as it did when it was first written, as far as can be told."""
    number, key = which
    ends = [len(each.shard_digests) for each in told]
    likely = [*sorted(set(ends)), *range(max(digests) + 1, number, -1)]
    first: tuple[str, memoryview] | None = None
    for end in dict.fromkeys(end for end in likely if end > number):
        known = tuple(digests[i] for i in range(end))
        found = parity_object(Description(made.packs, made.pack_digests, known), number, parity)
        if key is None or found[0] == key:
            return found
        first = first or found
    if first is None:  # `digests` holds the shard itself, so there is at least one
        raise IntegrityError(f"shard {number} of group {made.group} cannot be described", key=key)
    return first
