"""Preserving a folder: cut, encode, prove, pack; the manifest, written last, makes it visible.

Order of truth: segments proven in memory -> packs durable -> a copy of the manifest in a pack of its own -> the
manifest. A crash before the last step leaves packs that nobody refers to, which the next attempt finds and uses.
Memory: at most two segments per thread and one pack, however large the model.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from emeritus.blobs.base import BlobStore
from emeritus.errors import AlreadyExists, InputError, IntegrityError
from emeritus.vault.codec.table import encode
from emeritus.vault.digests import blake3_of
from emeritus.vault.formats.cut import SEGMENT_BYTES, Cut
from emeritus.vault.formats.table import cuts
from emeritus.vault.index import SegmentIndex
from emeritus.vault.manifest import FileEntry, Manifest, check_name, check_role
from emeritus.vault.pack import MANIFEST, Encoded, PackBuilder, pack_key, target
from emeritus.vault.progress import Progress, silent
from emeritus.vault.shelf import Shelf
from emeritus.vault.source import SourceFile, Tree, scan
from emeritus.vault.workers import THREADS


class Ingest:
    """One preservation. Use once."""

    def __init__(self, store: BlobStore, index: SegmentIndex, progress: Progress | None) -> None:
        self._store = store
        self._index = index
        self._shelf = Shelf(store)
        self._progress = progress or silent
        self._target = 0
        self._builder = PackBuilder()
        self._kept: set[bytes] = set()  # segments this run has put into packs

    def run(self, source: Path, name: str, role: str) -> Manifest:
        """Preserve `source` as `name` in `role`; the same bytes again give the manifest that exists.

        Raises what `source.scan` does, BadTensorFile, AlreadyExists (weights of that name with other bytes), StoreFull.
        """
        check_name(name)
        check_role(role)
        tree = scan(source, role)
        self._target = target(tree.total_bytes)
        self._builder = PackBuilder(self._target)
        plan = [(file, _cuts(file)) for file in tree.files]  # before anything is stored: a bad shard leaves nothing
        self._index.refresh()
        existing = self._shelf.newest(name, role)
        if existing is not None and self._holds(existing, tree, role):
            return existing
        files = self._store_files(plan, tree.total_bytes)
        while True:
            manifest = self._manifest(name, role, files, tree, 1 if existing is None else existing.version + 1)
            if existing is not None and existing.same_tree(manifest):
                return existing  # its lost packs are stored again, or another process was first
            if existing is not None and role == "weights":
                raise _taken(existing, "other files")
            self._store_copy(manifest)
            if self._shelf.add(manifest):
                return manifest
            existing = self._shelf.get(name, role)

    def _holds(self, existing: Manifest, tree: Tree, role: str) -> bool:
        """Whether the vault holds these very bytes already. Raises AlreadyExists for other weights of the same name."""
        difference = self._difference(existing, tree)
        if difference is not None:
            if role == "weights":
                raise _taken(existing, difference)
            return False
        return all(self._index.places(bytes.fromhex(d)) for file in existing.files for d, _ in file.segments)

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
        for path, file in there.items():
            digest = hashlib.sha256()
            for data in _read(file, [Cut(at, min(SEGMENT_BYTES, file.size - at)) for at in _starts(file.size)]):
                digest.update(data)
                done += len(data)
                self._progress(path, done, tree.total_bytes)
            if digest.hexdigest() != held[path].sha256:
                return f"{path} differs"
        return None

    def _store_files(self, plan: list[tuple[SourceFile, list[Cut]]], total: int) -> tuple[FileEntry, ...]:
        files: list[FileEntry] = []
        done = 0
        with ThreadPoolExecutor(THREADS) as pool:
            for file, its_cuts in plan:
                digest = hashlib.sha256()
                segments: list[tuple[str, int]] = []
                for encoded in self._encoded(pool, file, its_cuts, digest.update):
                    self._keep(encoded)
                    segments.append((encoded.blake3.hex(), encoded.length))
                    done += encoded.length
                    self._progress(file.path, done, total)
                entry = FileEntry(file.path, file.size, digest.hexdigest(), file.executable, tuple(segments))
                files.append(entry)
            self._commit()
        return tuple(files)

    def _encoded(
        self,
        pool: ThreadPoolExecutor,
        file: SourceFile,
        its_cuts: list[Cut],
        digest: Callable[[bytes], None],
    ) -> Iterator[Encoded]:
        """The file's segments in order, encoded by the pool while the next are read."""
        waiting: deque[Future[Encoded]] = deque()
        for cut, data in zip(its_cuts, _read(file, its_cuts), strict=True):
            digest(data)
            waiting.append(pool.submit(self._encode, data, cut.layout))
            if len(waiting) >= 2 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _encode(self, data: bytes, layout: int) -> Encoded:
        """Encode one segment, or find that the vault holds it, which is proven by reading it back."""
        blake3 = blake3_of(data)
        if self._index.places(blake3):
            try:
                if self._index.read(blake3) == data:
                    return Encoded(blake3, len(data), -1, b"")
            except IntegrityError:
                pass  # what is stored is damaged: store it again, beside
        encoding, stored = encode(data, layout)
        return Encoded(blake3, len(data), encoding, stored)

    def _keep(self, encoded: Encoded) -> None:
        if encoded.encoding < 0 or encoded.blake3 in self._kept:
            return
        self._kept.add(encoded.blake3)
        self._builder.add(encoded)
        if self._builder.full:
            self._commit()

    def _commit(self) -> None:
        """Make the pack under construction durable, and begin another."""
        if not self._builder.entries:
            return
        name, data = self._builder.finish()
        key = pack_key(name)
        if not self._store.put_if_absent(key, data) and self._store.get(key) != data:
            self._store.put(key, data)  # a damaged pack under its own name: only these bytes can be right there
        self._index.add(name, self._builder.entries)
        self._builder = PackBuilder(self._target)

    def _manifest(self, name: str, role: str, files: tuple[FileEntry, ...], tree: Tree, version: int) -> Manifest:
        packs: set[str] = set()
        stored = 0
        for digest in {digest for file in files for digest, _ in file.segments}:
            pack, entry = self._index.places(bytes.fromhex(digest))[-1]  # the newest known: one stored again is sound
            packs.add(pack)
            stored += entry.stored
            if entry.base is not None:
                packs.add(self._index.places(entry.base)[-1][0])
        return Manifest(name, role, version, files, tree.folders, tree.left_out, tuple(sorted(packs)), stored)

    def _store_copy(self, manifest: Manifest) -> None:
        """Keep the manifest in a pack too, so that losing every manifest loses nothing."""
        data = manifest.to_bytes()
        encoding, stored = encode(data, 0)
        self._builder.add(Encoded(blake3_of(data), len(data), encoding, stored, MANIFEST))
        self._commit()


def _cuts(file: SourceFile) -> list[Cut]:
    with file.real.open("rb") as opened:
        return cuts(opened, file.size, file.path)


def _starts(size: int) -> range:
    return range(0, size, SEGMENT_BYTES)


def _read(file: SourceFile, its_cuts: list[Cut]) -> Iterator[bytes]:
    """The bytes of each cut. By read, not by mmap: a file cut short under a mapping kills the process.

    Raises InputError when the file is not the one that was planned, or changes meanwhile.
    """
    with file.real.open("rb") as opened:
        before = os.fstat(opened.fileno())
        for cut in its_cuts:
            data = os.pread(opened.fileno(), cut.length, cut.offset)
            while len(data) < cut.length:
                more = os.pread(opened.fileno(), cut.length - len(data), cut.offset + len(data))
                if not more:
                    raise _changed(file)
                data += more
            yield data
        after = os.fstat(opened.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or before.st_size != file.size:
        raise _changed(file)


def _changed(file: SourceFile) -> InputError:
    return InputError(
        f"{file.path} changed while it was being preserved",
        remedy="Wait until nothing writes to the folder and run the command again; what is stored already is reused.",
    )


def _taken(existing: Manifest, difference: str) -> AlreadyExists:
    return AlreadyExists(
        f"the vault holds other weights as {existing.name!r}: {difference}",
        remedy="Preserve these under another name; weights are never replaced.",
        name=existing.name,
    )
