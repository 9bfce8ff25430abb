"""Preserving a folder: cut, encode, prove, pack; the manifest, written last, makes it visible.

Order of truth: segments proven in memory -> packs durable -> their parity -> a copy of the manifest in a pack of its
own, with parity -> the manifest. A crash before the last step leaves packs that nobody refers to, which the next
attempt finds and uses. Memory: a few segments and the parity of two groups, however large the model.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emeritus.blobs.base import BlobStore
from emeritus.errors import AlreadyExists, IntegrityError, NotFound, StoreError
from emeritus.vault.busy import PRESERVING, Busy
from emeritus.vault.codec.table import DIFFERENCE, encode
from emeritus.vault.digests import blake3_of
from emeritus.vault.formats.cut import SEGMENT_BYTES, Cut
from emeritus.vault.formats.table import cuts
from emeritus.vault.hashing import Hasher
from emeritus.vault.manifest import FileEntry, Manifest, check_name, check_role
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import MANIFEST, Encoded, Entry, target
from emeritus.vault.pages import pages
from emeritus.vault.parity.build import SHARDS, GroupBuilder, sound_pack
from emeritus.vault.parity.groups import Groups, reinforce, wanted_shards
from emeritus.vault.parity.mend import remake
from emeritus.vault.progress import Progress, silent
from emeritus.vault.shelf import Shelf
from emeritus.vault.workers import THREADS, Workers
from emeritus.vault.writing.basefinder import BaseFinder, Plan
from emeritus.vault.writing.flow import Whole, flow
from emeritus.vault.writing.source import SourceFile, Tree, scan
from emeritus.vault.writing.writer import PackWriter

_HELD = -1  # in place of an encoding: the vault holds these bytes


class Ingest:
    """One preservation. Use once."""

    def __init__(
        self, store: BlobStore, index: SegmentIndex, progress: Progress | None, avoid: Collection[str] = ()
    ) -> None:
        self._store = store
        self._index = index
        self._shelf = Shelf(store)
        self._finder = BaseFinder(store, index, avoid)
        self._busy = Busy(store, PRESERVING)
        self._progress = progress or silent
        self._kept: set[bytes] = set()  # segments this run has put into packs
        self._protected: set[str] = set()  # packs this run has written, with their parity
        self._rests_on: dict[str, set[str]] = {}  # residents whose segments are bases, and the packs of these

    def run(self, source: Path, name: str, role: str) -> Manifest:
        """Preserve `source` as `name` in `role`; the same bytes again give the manifest that exists.

        Raises what `source.scan` does, BadTensorFile, AlreadyExists (weights of that name with other bytes), StoreFull.
        """
        check_name(name)
        check_role(role)
        tree = scan(source, role)
        plan = [(file, _cuts(file)) for file in tree.files]  # before anything is stored: a bad shard leaves nothing
        with self._busy:
            return self._run(tree, plan, name, role)

    def _run(self, tree: Tree, plan: Plan, name: str, role: str) -> Manifest:
        self._index.refresh()
        self._index.forget_bases()  # a difference is never made from what cannot be read any more
        existing = self._shelf.newest(name, role)
        if existing is not None and self._holds(existing, tree, role):
            return existing
        if role == "weights":
            plan = self._finder.choose(plan, name)
        files = self._store_files(plan, tree.total_bytes)
        while True:
            manifest = self._manifest(name, role, files, tree, 1 if existing is None else existing.version + 1)
            self._protect(manifest)
            self._reinforce(manifest)
            if existing is not None and existing.same_tree(manifest):
                return existing  # its lost packs are stored again, or another process was first
            if existing is not None and role == "weights":
                raise _taken(existing, "other files")
            self._store_copy(manifest)
            self._busy.renew()
            if self._shelf.add(manifest):
                if role == "weights":
                    with contextlib.suppress(StoreError):  # what is visible is kept: `verify` names a sketch that is
                        self._finder.keep(manifest)  # missing, and a scrub, a repair or the next preservation makes it
                return manifest
            existing = self._shelf.get(name, role)

    def _holds(self, existing: Manifest, tree: Tree, role: str) -> bool:
        """Whether the vault holds these very bytes already. Raises AlreadyExists for other weights of the same name."""
        difference = self._difference(existing, tree)
        if difference is not None:
            if role == "weights":
                raise _taken(existing, difference)
            return False
        digests = {bytes.fromhex(digest) for file in existing.files for digest, _ in file.segments}
        if not all(self._place(digest) for digest in digests):
            return False
        with ThreadPoolExecutor(THREADS) as pool:  # who hears "held" may delete the source: so it is read, not believed
            return all(pool.map(self._is_sound, sorted(digests)))

    def _is_sound(self, digest: bytes) -> bool:
        try:
            self._index.read(digest)
        except IntegrityError:
            return False
        return True

    def _difference(self, existing: Manifest, tree: Tree) -> str | None:
        """The first thing in which the folder differs from what is held, or None."""
        held = {file.path: file for file in existing.files}
        there = {file.path: file for file in tree.files}
        for path in sorted(held.keys() ^ there.keys()):
            return f"{path} is only in the {'vault' if path in held else 'folder'}"
        if tree.folders != existing.folders:
            return "the empty folders differ"
        for path, file in there.items():
            if (file.size, file.executable) != (held[path].size, held[path].executable):
                return f"{path} differs"
        done = 0
        room = pages(SEGMENT_BYTES)
        for path, file in there.items():
            digest = hashlib.sha256()
            with file.real.open("rb", buffering=0) as opened:
                while count := opened.readinto(room):
                    digest.update(room[:count])
                    done += count
                    self._progress(path, done, tree.total_bytes)
            if digest.hexdigest() != held[path].sha256:
                return f"{path} differs"
        return None

    def _store_files(self, plan: Plan, total: int) -> tuple[FileEntry, ...]:
        files: list[FileEntry] = []
        segments: list[tuple[str, int]] = []
        done = 0
        most = target(total)
        parity = GroupBuilder(self._store, expected_bytes=most + min(most, SEGMENT_BYTES))
        workers = Workers()
        hasher = Hasher(workers)
        with workers, PackWriter(self._store, self._index, most, parity, hasher) as writer:
            for each in flow(plan, self._encode, hasher):
                if isinstance(each, Whole):
                    file = each.file
                    files.append(FileEntry(file.path, file.size, each.sha256, file.executable, tuple(segments)))
                    segments = []
                    continue
                encoded = each.encoded
                done += encoded.length
                writer.left = total - done
                if encoded.encoding != _HELD and encoded.blake3 not in self._kept:
                    self._kept.add(encoded.blake3)
                    writer.add(encoded, each.done)
                else:
                    each.done()
                segments.append((encoded.blake3.hex(), encoded.length))
                self._progress(each.file.path, done, total)
                self._busy.renew()
            writer.flush()
            self._protected = writer.written
        parity.finish()
        return tuple(files)

    def _encode(self, data: memoryview, cut: Cut, room: memoryview) -> Encoded:
        """Encode one segment, or find that the vault holds it, which is proven by reading it back."""
        blake3 = blake3_of(data)
        if blake3 in self._kept or self._is_held(blake3):
            return Encoded(blake3, len(data), _HELD, b"")
        base = None
        if cut.base is not None and not self._index.is_base(blake3):  # a base must not need another
            with contextlib.suppress(IntegrityError):  # damaged since it was chosen: do without
                base = self._index.base(cut.base)
        encoding, stored = encode(data, cut.layout, base, room)
        key, stored = self._index.keys.seal(blake3, stored) if self._index.keys else (0, stored)
        return Encoded(blake3, len(data), encoding, stored, base=cut.base if encoding == DIFFERENCE else None, key=key)

    def _is_held(self, blake3: bytes) -> bool:
        if not self._index.places(blake3):
            return False
        try:
            (self._index.read_alone if self._index.is_base(blake3) else self._index.read)(blake3)
        except IntegrityError:
            return False  # what is stored is damaged: store it again, beside
        return True

    def _manifest(self, name: str, role: str, files: tuple[FileEntry, ...], tree: Tree, version: int) -> Manifest:
        packs: set[str] = set()
        needed: set[bytes] = set()
        stored = 0
        for digest in {digest for file in files for digest, _ in file.segments}:
            place = self._place(bytes.fromhex(digest))
            if place is None:
                raise IntegrityError(f"segment {digest} was stored, and is in no pack", segment=digest)
            pack, entry = place
            packs.add(pack)
            stored += entry.stored
            if entry.base is not None:
                needed.add(entry.base)
                packs.add(self._base_pack(entry.base))
        self._rests_on = {}
        for base, owner in self._finder.owners(needed).items():
            if owner != name:
                self._rests_on.setdefault(owner, set()).add(self._base_pack(base))
        bases = tuple(sorted(self._rests_on))
        held = tuple(sorted(packs))
        return Manifest(name, role, version, files, tree.folders, tree.left_out, held, stored, bases)

    def _place(self, blake3: bytes) -> tuple[str, Entry] | None:
        """(pack, entry) of a segment: what this run wrote, else what it read and found sound; with its base."""
        places = [
            place
            for place in self._index.sound_places(blake3)
            if place[1].base is None or self._index.stands_alone(place[1].base)
        ]
        written = [place for place in places if place[0] in self._protected]
        return written[-1] if written else places[-1] if places else None

    def _base_pack(self, base: bytes) -> str:
        """The pack where a base stands alone: of several, the one from which it was read."""
        return [name for name, entry in self._index.sound_places(base) if entry.base is None][-1]

    def _reinforce(self, manifest: Manifest) -> None:
        """Give the packs of the bases more parity, the more residents rest on them."""
        for resident, packs in self._rests_on.items():
            shards = wanted_shards(self._finder.dependants(resident) + 1)
            with contextlib.suppress(IntegrityError, NotFound):  # what is damaged is repaired first, never protected
                reinforce(self._store, packs, shards)

    def _protect(self, manifest: Manifest) -> None:
        """See to it that no pack is without parity: those that an interrupted run left have none, or half of it."""
        if set(manifest.packs) <= self._protected:
            return
        groups = Groups(self._store).refresh()
        parity = GroupBuilder(self._store)
        for name in groups.uncovered(manifest.packs):
            with contextlib.suppress(IntegrityError, NotFound):  # `verify` names it; what is used of it was proven
                parity.add(name, sound_pack(self._store, name))
        parity.finish()
        for group in groups.covering(manifest.packs):
            if group.shards < SHARDS:
                with contextlib.suppress(IntegrityError, NotFound):
                    remake([self._store], group, group.keys)

    def _store_copy(self, manifest: Manifest) -> None:
        """Keep the manifest in a pack too, so that losing every manifest loses nothing."""
        data = manifest.to_bytes()
        parity = GroupBuilder(self._store)
        with PackWriter(self._store, self._index, 0, parity) as writer:
            writer.add(Encoded(blake3_of(data), len(data), *encode(data, 0), kind=MANIFEST))
            writer.flush()
        parity.finish()


def _cuts(file: SourceFile) -> list[Cut]:
    with file.real.open("rb") as opened:
        return cuts(opened, file.size, file.path)


def _taken(existing: Manifest, difference: str) -> AlreadyExists:
    return AlreadyExists(
        f"the vault holds other weights as {existing.name!r}: {difference}",
        remedy="Preserve these under another name; weights are never replaced.",
        name=existing.name,
    )
