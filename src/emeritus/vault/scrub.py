"""Verifying a vault: every pack and segment read again, and what each damage touches named exactly. Changes nothing."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, UnknownFormat
from emeritus.vault.index import SegmentIndex
from emeritus.vault.manifest import FileEntry, Manifest, parse_key
from emeritus.vault.pack import Entry, check_pack, pack_key, read_index
from emeritus.vault.progress import Progress, silent
from emeritus.vault.shelf import Shelf
from emeritus.vault.workers import THREADS


@dataclass(frozen=True, slots=True)
class Touched:
    """A file that cannot be restored; `path` is None when the manifest itself is lost, and with it all files."""

    name: str
    role: str
    version: int
    path: str | None


@dataclass(frozen=True, slots=True)
class Damage:
    """One damaged or missing object, what is wrong with it, and what can no longer be restored because of it.

    `touches` is empty when every segment concerned is sound elsewhere, or no manifest needs it.
    """

    key: str
    what: str
    touches: tuple[Touched, ...] = ()

    def __str__(self) -> str:
        lost = ", ".join(f"{each.name}/{each.role}/{each.path or '(all files)'}" for each in self.touches)
        return f"{self.key}: {self.what}" + (f"; cannot be restored: {lost}" if lost else "")


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was read and what was found.

    `unused` names packs that no manifest needs, `unlisted` manifests that only a copy in a pack tells of. An
    interrupted preservation leaves either until it is repeated; a lost manifest leaves the latter, and
    `rebuild_manifests` brings it back.
    """

    deep: bool
    manifests: int
    packs: int
    segments: int
    bytes_read: int
    damages: tuple[Damage, ...]
    unused: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged or missing."""
        return not self.damages

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each damage: the object, what is wrong with it, and which files it takes with it."""
        return tuple(str(damage) for damage in self.damages)


@dataclass(slots=True)
class _Checked:
    """One pack: the digests of its sound and of its broken segments, and what is wrong with it."""

    name: str
    sound: set[bytes] = field(default_factory=set)
    broken: set[bytes] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    segments: int = 0
    bytes_read: int = 0
    readable: bool = True


class Scrub:
    """One verification of the whole vault, or of one resident. Use once."""

    def __init__(self, store: BlobStore, index: SegmentIndex, progress: Progress | None) -> None:
        self._store = store
        self._index = index
        self._shelf = Shelf(store)
        self._progress = progress or silent

    def run(self, name: str | None, deep: bool, standalone: dict[str, str]) -> VerifyReport:
        """Check everything, or what `name` needs. `deep` reads every byte, else indexes and presence only.

        `standalone`: sha256 hex of the files that explain the vault, by key. Raises NotFound for an unknown resident.
        """
        keys = self._shelf.all_keys(name)
        if name is not None and not keys:
            raise NotFound(f"the vault holds nothing of {name!r}", name=name)
        manifests, damages = self._manifests(keys)
        listed = self._index.refresh()
        copies = dict(self._index.copies())
        unlisted = {Manifest.from_bytes(data, pack_key(pack)).key for pack, data in copies.items()} - set(keys)
        needed = {pack for manifest in manifests for pack in self._needs(manifest)}
        packs = sorted(needed | listed if name is None else needed)
        with ThreadPoolExecutor(THREADS) as pool:
            checked: dict[str, _Checked] = {}
            for done, result in enumerate(pool.map(self._check_deep if deep else self._check, packs), 1):
                checked[result.name] = result
                self._progress(pack_key(result.name), done, len(packs))
        damages += self._blame(manifests, checked)
        if name is None:
            damages += self._check_standalone(standalone)
        return VerifyReport(
            deep,
            len(keys),
            len(packs),
            sum(result.segments for result in checked.values()),
            sum(result.bytes_read for result in checked.values()),
            tuple(damages),
            tuple(sorted(pack_key(pack) for pack in listed - needed - copies.keys())) if name is None else (),
            tuple(sorted(unlisted)) if name is None else (),
        )

    def _manifests(self, keys: list[str]) -> tuple[list[Manifest], list[Damage]]:
        manifests, damages = [], []
        for key in keys:
            try:
                manifests.append(self._shelf.read(key))
            except (IntegrityError, UnknownFormat) as error:
                parsed = parse_key(key)
                touched = (Touched(*parsed, None),) if parsed else ()
                damages.append(Damage(key, error.message.removeprefix(f"{key} "), touched))
        return manifests, damages

    def _needs(self, manifest: Manifest) -> set[str]:
        """The packs a manifest names, and those where its segments and their bases lie now."""
        digests = {bytes.fromhex(digest) for file in manifest.files for digest, _ in file.segments}
        digests |= {entry.base for digest in digests for _, entry in self._index.places(digest) if entry.base}
        lying = {pack for digest in digests for pack, _ in self._index.places(digest)}
        named = {pack for pack in manifest.packs if pack not in lying}
        # a pack it names but does not find may be gone for good and its segments stored again elsewhere
        found = all(self._index.places(digest) for digest in digests)
        return lying if found else lying | named

    def _check(self, name: str) -> _Checked:
        """The pack's index only."""
        result = _Checked(name)
        try:
            entries = read_index(self._store, pack_key(name))
        except NotFound:
            result.wrong, result.readable = ["it is missing"], False
        except (IntegrityError, UnknownFormat) as error:
            result.wrong, result.readable = [error.message.removeprefix(f"{pack_key(name)}: ")], False
        else:
            result.sound, result.segments = {entry.blake3 for entry in entries}, len(entries)
        return result

    def _check_deep(self, name: str) -> _Checked:
        """Every byte of the pack."""
        result = self._check(name)
        try:
            data = self._store.get(pack_key(name))
        except NotFound:
            return result
        good: list[Entry]
        good, result.wrong = check_pack(pack_key(name), data, self._index.base)
        listed = result.sound
        result.sound = {entry.blake3 for entry in good}
        result.broken = listed - result.sound
        result.bytes_read = len(data)
        return result

    def _blame(self, manifests: list[Manifest], checked: dict[str, _Checked]) -> list[Damage]:
        """One Damage per damaged pack, and one per manifest whose segments are in no pack at all."""
        sound = {digest for result in checked.values() for digest in result.sound}
        located = {digest for result in checked.values() if result.readable for digest in result.sound | result.broken}
        touched: dict[str, list[Touched]] = {name: [] for name, result in checked.items() if result.wrong}
        nowhere: dict[str, list[Touched]] = {}
        for manifest in manifests:
            unreadable = [p for p in manifest.packs if p in checked and not checked[p].readable]
            for file in manifest.files:
                lost = self._with_bases(file, checked) - sound
                if not lost:
                    continue
                mark = Touched(manifest.name, manifest.role, manifest.version, file.path)
                blamed = [name for name in touched if lost & checked[name].broken]
                if lost - located:  # listed by no index that can be read: by one that cannot
                    blamed += unreadable
                for name in blamed:
                    touched[name].append(mark)
                if not blamed:
                    nowhere.setdefault(manifest.key, []).append(mark)
        damages = [
            Damage(pack_key(name), "; ".join(checked[name].wrong), tuple(marks)) for name, marks in touched.items()
        ]
        damages += [Damage(key, "segments it needs are in no pack", tuple(marks)) for key, marks in nowhere.items()]
        return damages

    def _with_bases(self, file: FileEntry, checked: dict[str, _Checked]) -> set[bytes]:
        """The file's segments, and the bases of those that lie soundly nowhere by themselves."""
        needed = set()
        for digest in (bytes.fromhex(digest) for digest, _ in file.segments):
            needed.add(digest)
            places = [(checked[pack], entry) for pack, entry in self._index.places(digest) if pack in checked]
            if not any(entry.base is None and digest in pack.sound for pack, entry in places):
                needed |= {entry.base for _, entry in places if entry.base}
        return needed

    def _check_standalone(self, standalone: dict[str, str]) -> list[Damage]:
        damages = []
        for key, digest in sorted(standalone.items()):
            try:
                if hashlib.sha256(self._store.get(key)).hexdigest() != digest:
                    damages.append(Damage(key, "its sha256 differs from the one it was written with"))
            except NotFound:
                damages.append(Damage(key, "it is missing"))
        return damages
