"""Which tensors of the vault a new model's tensors may be kept as differences from: found by sketches, chosen by gain.

No label of descent is asked for or believed. First the words of all sketches are compared, a few instructions a pair;
then the sampled numbers of those few that look alike; then segments themselves, whose differences are measured against
what the numbers take by themselves. Only segments that stand alone become bases.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, UnknownFormat
from emeritus.vault.codec import difference, numbers
from emeritus.vault.formats.cut import SEGMENT_BYTES, Cut
from emeritus.vault.manifest import Manifest
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.shelf import Shelf
from emeritus.vault.writing import sketch
from emeritus.vault.writing.flow import changed
from emeritus.vault.writing.sketch import Stretch, Values
from emeritus.vault.writing.sketches import Sketches
from emeritus.vault.writing.source import SourceFile

LIKELY, TRIED = 8, 2  # tensors whose samples are compared, and whose segments are measured, for each of ours
WORTH = 0.95  # what a difference may take of the numbers by themselves, to be worth needing another resident
CLOSE = 0.25  # bits a number by which a base may be worse if the model needs that resident anyway
SAMPLE = 1 << 20  # bytes of a segment that are measured

Plan = list[tuple[SourceFile, list[Cut]]]


@dataclass(frozen=True, slots=True)
class _Near:
    """The segments of a tensor of the resident `name`, and about how many bits one of our numbers takes against it."""

    name: str
    segments: tuple[bytes, ...]
    bits: float


class BaseFinder:
    """Chooses bases for one preservation, and keeps the new resident's sketch. Use once.

    `avoid` names residents that nothing new may rest on.
    """

    def __init__(self, store: BlobStore, index: SegmentIndex, avoid: Collection[str] = ()) -> None:
        self._avoid = set(avoid)
        self._index = index
        self._shelf = Shelf(store)
        self._sketches = Sketches(store, index)
        self._manifests: dict[str, Manifest | None] = {}
        self._owners: dict[bytes, str] = {}  # of the segments chosen as bases
        self._samples: dict[tuple[int, int], Values] = {}
        self._tensors: list[list[Stretch]] = []

    def choose(self, plan: Plan, name: str) -> Plan:
        """The plan of the resident `name`, with a base named in the cuts of every tensor that gains by one.

        Raises InputError when the source changed. What of the vault cannot be read is not used.
        """
        self._sketches.load(without={name, *self._avoid})
        self._tensors = [sketch.tensors(cuts) for _, cuts in plan]
        found: dict[tuple[int, int], list[_Near]] = {}
        for number, (file, _) in enumerate(plan):
            for stretch, sampled in _sample(file, self._tensors[number]):
                self._samples[number, stretch.offset] = sampled
                found[number, stretch.offset] = self._near(sampled, stretch.layout)
        needed = Counter(near[0].name for near in found.values() if near)
        bases: list[dict[int, _Near]] = [{} for _ in plan]
        for number, (file, _) in enumerate(plan):
            for stretch in self._tensors[number]:
                near = _in_order(found[number, stretch.offset], needed)
                best = self._best(file, stretch, near) if near else None
                if best is not None:
                    bases[number][stretch.offset] = best
        return [
            (file, [self._with_base(cut, known) for cut in cuts])
            for (file, cuts), known in zip(plan, bases, strict=True)
        ]

    def owners(self, bases: Iterable[bytes]) -> dict[bytes, str]:
        """A resident that holds each of these segments. Those this run did not choose are looked for everywhere."""
        wanted = set(bases)
        found = {base: self._owners[base] for base in wanted if base in self._owners}
        missing = {base.hex() for base in wanted - found.keys()}
        for key in self._shelf.all_keys() if missing else ():  # a segment of ours was held already, as a difference
            try:
                files = self._shelf.read(key).files
            except (NotFound, IntegrityError, UnknownFormat):
                continue
            there = missing & {digest for file in files for digest, _ in file.segments}
            found |= {bytes.fromhex(digest): key.split("/")[1] for digest in there}
            missing -= there
        return found

    def dependants(self, name: str) -> int:
        """How many residents of the vault rest on that one, as far as sketches tell."""
        return self._sketches.dependants(name)

    def keep(self, manifest: Manifest) -> None:
        """Store the sketch of what was just preserved."""
        self._sketches.keep(manifest, self._tensors, self._samples)

    def _near(self, sampled: Values, layout: int) -> list[_Near]:
        """The tensors of the vault whose sampled numbers are near, the nearest first."""
        if len(sampled) < sketch.LEAST:
            return []
        found = []
        for each in self._sketches.alike(sampled, layout, LIKELY):
            bits = sketch.bits_apart(sampled, each.sampled)
            if bits < sketch.FAR - 1 and (segments := self._segments(each.name, each.file, each.offset, each.length)):
                found.append(_Near(each.name, segments, bits))
        return sorted(found, key=lambda near: near.bits)

    def _segments(self, name: str, number: int, offset: int, length: int) -> tuple[bytes, ...]:
        """The segments of a tensor of the vault; none where the manifest does not have it so."""
        if name not in self._manifests:
            try:
                self._manifests[name] = self._shelf.get(name, "weights")
            except (NotFound, IntegrityError, UnknownFormat):
                self._manifests[name] = None
        manifest = self._manifests[name]
        segments = manifest.files[number].segments if manifest and number < len(manifest.files) else ()
        starts = list(accumulate((length for _, length in segments), initial=0))
        if offset not in starts:
            return ()
        first = starts.index(offset)
        return tuple(bytes.fromhex(digest) for digest, _ in segments[first : first + -(-length // SEGMENT_BYTES)])

    def _best(self, file: SourceFile, stretch: Stretch, near: Sequence[_Near]) -> _Near | None:
        """The one that saves most, measured on the beginning of a segment in the middle, if one saves enough."""
        best, least = None, 0.0
        for each in near:
            last = min(len(each.segments), -(-stretch.length // SEGMENT_BYTES)) - 1
            which = last // 2
            try:
                base = memoryview(self._index.base(each.segments[which]))
            except IntegrityError:
                continue  # damaged, or stored as a difference only
            begin = which * SEGMENT_BYTES
            ours = _read(file, stretch.offset + begin, min(SAMPLE, stretch.length - begin))
            if best is None:
                least = WORTH * 8 * stretch.layout * min(1.0, len(numbers.encode(ours, stretch.layout)) / len(ours))
            bits = difference.estimate(ours, base[: len(ours)], stretch.layout)
            if bits < least:
                best, least = each, bits - CLOSE
        return best

    def _with_base(self, cut: Cut, bases: dict[int, _Near]) -> Cut:
        near = bases.get(cut.start)
        number = (cut.offset - cut.start) // SEGMENT_BYTES
        if near is None or number >= len(near.segments) or not self._index.stands_alone(near.segments[number]):
            return cut
        self._owners.setdefault(near.segments[number], near.name)
        return replace(cut, base=near.segments[number])


def _in_order(near: list[_Near], needed: Counter[str]) -> list[_Near]:
    """Those to be measured; first, if it is close to the best, that of the resident which most tensors are near to."""
    if not near:
        return []
    close = [each for each in near if each.bits <= near[0].bits + CLOSE]
    close.sort(key=lambda each: (-needed[each.name], each.bits))
    return (close + [each for each in near if each not in close])[:TRIED]


def _sample(file: SourceFile, tensors: Sequence[Stretch]) -> Iterable[tuple[Stretch, Values]]:
    if not tensors:
        return
    try:
        with file.real.open("rb", buffering=0) as opened:
            fd = opened.fileno()

            def read(offset: int, length: int) -> bytes:
                found = os.pread(fd, length, offset)
                if len(found) < length:
                    raise changed(file)
                return found

            for stretch in tensors:
                yield stretch, sketch.take(stretch, read)
    except FileNotFoundError as error:
        raise changed(file) from error


def _read(file: SourceFile, offset: int, length: int) -> bytes:
    try:
        with file.real.open("rb", buffering=0) as opened:
            found = os.pread(opened.fileno(), length, offset)
    except FileNotFoundError as error:
        raise changed(file) from error
    if len(found) < length:
        raise changed(file)
    return found
