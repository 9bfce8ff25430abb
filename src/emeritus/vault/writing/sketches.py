"""The sketches of a vault: one object beside each resident's weights, read to find near tensors, made again when lost.

Derived from manifests and packs, so nothing rests on them: a wrong one costs a worse choice, never a byte. Knows how to
compare sketches, not what is done with those that are alike.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from emeritus.blobs.base import BlobStore
from emeritus.errors import BadTensorFile, IntegrityError, NotFound, UnknownFormat, VaultLocked
from emeritus.vault.formats.cut import SEGMENT_BYTES
from emeritus.vault.formats.table import structured
from emeritus.vault.keys.keyring import SealedObjects
from emeritus.vault.manifest import FileEntry, Manifest, parse_key
from emeritus.vault.packs.index import READERS, SegmentIndex
from emeritus.vault.reading.opened import OpenResident
from emeritus.vault.shelf import Shelf
from emeritus.vault.writing import sketch
from emeritus.vault.writing.sketch import Head, Stretch, Values

ALIKE = 12  # bits of 64 in which the words of near tensors may differ; of unrelated ones, 1 in 4 million do not
FIRST_READ = 64 << 10  # bytes of a sketch read at once: the whole head of most

Samples = Mapping[tuple[int, int], Values]  # a file's number in the manifest and a tensor's offset -> what was sampled


@dataclass(frozen=True, slots=True)
class Alike:
    """A tensor of the vault: in which file of whose manifest, and the numbers sampled of it."""

    name: str
    file: int
    offset: int
    length: int
    sampled: Values


class Sketches:
    """The sketches in a store. `load` before use. Memory: some 80 bytes for each tensor of the vault."""

    def __init__(self, store: BlobStore, index: SegmentIndex) -> None:
        locked = index.keys is not None and index.keys.encrypted
        self._store = SealedObjects(store, index.keys) if index.keys and locked else store
        self._index = index
        self._shelf = Shelf(store)
        self._names: list[str] = []
        self._heads: list[Head] = []

    def load(self, without: Collection[str]) -> None:
        """Read the heads of all but those residents'; those missing or damaged are made again, where packs allow."""
        there = {name for key in self._store.list("sketches/") if (name := sketch.sketch_name(key))}
        names = [where[0] for key in self._shelf.all_keys() if (where := parse_key(key)) and where[1] == "weights"]
        names = [name for name in names if name not in without]
        with ThreadPoolExecutor(READERS) as pool:
            heads = pool.map(lambda name: self._head(name) if name in there else None, names)
            found = dict(zip(names, heads, strict=True))
        for name in names:
            head = found[name] or (self._head(name) if self.make(name) else None)
            if head is not None:
                self._names.append(name)
                self._heads.append(head)
        self._dependants = Counter(base for head in self._heads for base in head.bases)
        rows = [head.rows for head in self._heads]
        self._words = np.concatenate([each["words"].T for each in rows], axis=1) if rows else _NO_WORDS
        self._layouts = np.concatenate([each["layout"] for each in rows]) if rows else _NO_WORDS[0]
        self._owners = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
        self._firsts = np.array([0, *accumulate(len(each) for each in rows)])

    def missing(self) -> list[str]:
        """The residents with weights and without a sketch, by name."""
        there = {name for key in self._store.list("sketches/") if (name := sketch.sketch_name(key))}
        held = {where[0] for key in self._shelf.all_keys() if (where := parse_key(key)) and where[1] == "weights"}
        return sorted(held - there)

    def dependants(self, name: str) -> int:
        """How many residents rest on that one."""
        return self._dependants[name]

    def alike(self, sampled: Values, layout: int, most: int) -> list[Alike]:
        """At most so many tensors whose words are like those of what was sampled, each tensor once."""
        ours = sketch.words(sampled)
        apart = np.full(len(self._owners), 64, np.uint8)
        for number in np.flatnonzero(ours):
            # a word that tells nothing is 0, which differs from any other in 16 bits and more
            np.minimum(apart, np.bitwise_count(self._words[number] ^ ours[number]), out=apart)
        places = np.flatnonzero((apart <= ALIKE) & (self._layouts == layout))
        found: list[Alike] = []
        seen: set[int] = set()
        for place in places[np.argsort(apart[places], kind="stable")].tolist():
            owner = int(self._owners[place])
            row = self._heads[owner].rows[place - int(self._firsts[owner])]
            if int(row["segment"]) in seen:
                continue
            seen.add(int(row["segment"]))
            values = self._values(owner, place - int(self._firsts[owner]))
            where = int(row["file"]), int(row["offset"]), int(row["length"])
            found.append(Alike(self._names[owner], *where, values))
            if len(found) == most:
                break
        return found

    def keep(self, manifest: Manifest, tensors: Sequence[Sequence[Stretch]], samples: Samples) -> None:
        """Store the sketch of a resident: of the tensors, by file, that stand alone and were sampled."""
        rows, values = [], []
        for number, (file, stretches) in enumerate(zip(manifest.files, tensors, strict=True)):
            starts = {start: at for at, start in enumerate(accumulate((n for _, n in file.segments), initial=0))}
            for stretch in stretches:
                sampled, at = samples.get((number, stretch.offset), _NOTHING), starts.get(stretch.offset)
                if len(sampled) < sketch.LEAST or at is None:
                    continue
                count = -(-stretch.length // SEGMENT_BYTES)
                digests = [bytes.fromhex(digest) for digest, _ in file.segments[at : at + count]]
                if all(map(self._index.stands_alone, digests)):
                    first, told = int.from_bytes(digests[0][:8], "little"), sketch.words(sampled).tolist()
                    taken = len(sampled) // sketch.RUN
                    rows.append((stretch.offset, stretch.length, first, told, number, stretch.layout, taken, 0))
                    values.append(sampled)
        table = np.array([tuple(row) for row in rows], sketch.ROW)
        data = sketch.pack(bytes.fromhex(manifest.sha256), manifest.bases, table, values)
        self._store.put(sketch.sketch_key(manifest.name), data)

    def make(self, name: str) -> bool:
        """Make a resident's sketch from its packs; False where these cannot be read."""
        try:
            manifest = self._shelf.get(name, "weights")
            resident = OpenResident(self._index, manifest)
            tensors: list[list[Stretch]] = []
            samples: dict[tuple[int, int], Values] = {}
            for number, file in enumerate(manifest.files):
                tensors.append(sketch.tensors(structured(resident.file(file.path), file.size, file.path)))
                parts = _Parts(self._index, file)
                for stretch in tensors[-1]:
                    samples[number, stretch.offset] = sketch.take(stretch, parts.read)
        except (NotFound, IntegrityError, UnknownFormat, BadTensorFile, VaultLocked):
            return False  # `verify` names the damage
        self.keep(manifest, tensors, samples)
        return True

    def _head(self, name: str) -> Head | None:
        key = sketch.sketch_key(name)
        try:
            first = self._store.get(key, 0, min(FIRST_READ, self._store.size(key) or 0))
            size = sketch.head_size(first, key)
            return sketch.parse_head(first if size <= len(first) else self._store.get(key, 0, size), key)
        except (NotFound, IntegrityError):
            return None

    def _values(self, owner: int, row: int) -> Values:
        """The sampled numbers of a tensor of the vault; none where they cannot be read."""
        taken = self._heads[owner].rows["stretches"]
        before, count = int(taken[:row].sum(dtype=np.int64)), int(taken[row])
        start = self._heads[owner].size + 2 * sketch.RUN * before
        try:
            data = self._store.get(sketch.sketch_key(self._names[owner]), start, 2 * sketch.RUN * count)
        except (NotFound, IntegrityError):
            return _NOTHING
        return np.frombuffer(data, "<u2")


class _Parts:
    """Ranges of a file of the vault, the last segments kept at hand."""

    def __init__(self, index: SegmentIndex, file: FileEntry) -> None:
        self._index = index
        self._file = file
        self._starts = np.fromiter(accumulate((n for _, n in file.segments), initial=0), np.int64)
        self._last: deque[tuple[int, memoryview]] = deque(maxlen=2)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file. Raises IntegrityError."""
        found = b""
        while len(found) < length:
            number = int(np.searchsorted(self._starts, offset + len(found), "right")) - 1
            if number >= len(self._file.segments):
                raise IntegrityError(f"{self._file.path} ends before its tensors do")
            begin = offset + len(found) - int(self._starts[number])
            found += bytes(self._segment(number)[begin : begin + length - len(found)])
        return found

    def _segment(self, number: int) -> memoryview:
        for which, data in self._last:
            if which == number:
                return data
        data = memoryview(self._index.read(bytes.fromhex(self._file.segments[number][0])))
        self._last.append((number, data))
        return data


_NOTHING: Values = np.empty(0, "<u2")
_NO_WORDS: npt.NDArray[np.uint64] = np.empty((sketch.WORDS, 0), np.uint64)
