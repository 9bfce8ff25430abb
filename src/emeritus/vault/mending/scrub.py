"""Verifying a vault: packs, segments, parity read again, and what each damage takes named exactly. Changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, UnknownFormat
from emeritus.vault.keys.keyring import key_key
from emeritus.vault.manifest import FileEntry, Manifest, parse_key
from emeritus.vault.mending.proof import fault, look_at
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import Entry, check_pack, pack_key, read_index
from emeritus.vault.parity.form import parse_key as parse_shard
from emeritus.vault.parity.form import read_description
from emeritus.vault.parity.groups import Groups
from emeritus.vault.progress import Progress, silent
from emeritus.vault.shelf import Shelf
from emeritus.vault.workers import THREADS
from emeritus.vault.writing.sketch import sketch_key, sketch_name


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

    `touches` is empty when every segment concerned is sound elsewhere, or no manifest needs it. `segments` are those
    (BLAKE3, hex) that this object held and that are sound nowhere, as far as an index still tells.
    """

    key: str
    what: str
    touches: tuple[Touched, ...] = ()
    segments: tuple[str, ...] = ()

    def __str__(self) -> str:
        lost = ", ".join(f"{each.name}/{each.role}/{each.path or '(all files)'}" for each in self.touches)
        return f"{self.key}: {self.what}" + (f"; cannot be restored: {lost}" if lost else "")


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was read and what was found.

    `unused` names packs that no manifest needs, `unlisted` manifests that only a copy in a pack tells of. An
    interrupted preservation leaves either until it is repeated; a lost manifest leaves the latter, and
    `rebuild_manifests` brings it back. `uncovered` names needed packs without parity: `repair` makes it.
    `unsketched` names residents whose sketch is missing or damaged: nothing is lost by that, and `repair` makes it.
    `locked`: no key was at hand, so encrypted segments were judged by the sha256 of their packs alone.
    """

    deep: bool
    manifests: int
    packs: int
    segments: int
    bytes_read: int
    damages: tuple[Damage, ...]
    unused: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()
    locked: bool = False
    unsketched: tuple[str, ...] = ()

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


@dataclass(eq=False, slots=True)
class _Shard:
    """One parity object: what is wrong with it, and how many shards of its group it tells of."""

    key: str
    wrong: str | None = None
    described: int = 0
    bytes_read: int = 0


class Scrub:
    """One verification of the whole vault, or of one resident. Use once."""

    def __init__(self, store: BlobStore, index: SegmentIndex, progress: Progress | None) -> None:
        self._store = store
        self._index = index
        self._shelf = Shelf(store)
        self._progress = progress or silent

    def run(self, name: str | None, deep: bool | Collection[str], standalone: dict[str, str]) -> VerifyReport:
        """Check everything, or what `name` needs. `deep` reads every byte, else indexes and presence only.

        `deep` may also name the packs (sha256 hex) that are to be read whole. `standalone`: sha256 hex of the files
        that explain the vault, by key. Raises NotFound for an unknown resident.
        """
        whole = (lambda pack: deep) if isinstance(deep, bool) else frozenset(deep).__contains__
        keys = self._shelf.all_keys(name)
        if name is not None and not keys:
            raise NotFound(f"the vault holds nothing of {name!r}", name=name)
        manifests, damages = self._manifests(keys)
        listed = self._index.refresh()
        copies = {pack: Manifest.from_bytes(data, pack_key(pack)).key for pack, data in self._index.copies()}
        unlisted = set(copies.values()) - set(keys)
        needed = {pack for manifest in manifests for pack in packs_needed(self._index, manifest)}
        groups = Groups(self._store).refresh()
        told = {pack for group in groups.all() for pack in group.packs}  # what is removed is freed from its group first
        packs = sorted(needed | listed | told if name is None else needed)
        shards = [key for group in groups.all() for key in group.keys] if name is None else []
        in_all = len(packs) + len(shards)
        with ThreadPoolExecutor(THREADS) as pool:
            checked: dict[str, _Checked] = {}
            for result in pool.map(lambda pack: self._check_deep(pack) if whole(pack) else self._check(pack), packs):
                checked[result.name] = result
                self._progress(pack_key(result.name), len(checked), in_all)
            damages += self._blame(manifests, checked)
            found = [_Shard(key) for key in shards]
            for done, shard in enumerate(pool.map(partial(self._check_shard, deep=deep is True), found), 1):
                self._progress(shard.key, len(packs) + done, in_all)
        used = needed | {pack for pack, key in copies.items() if key in keys} | (told - listed)
        damages += _blame_parity(
            found, {group.name for group in groups.all() if not group.packs or used & set(group.packs)}
        )
        damages += self._check_keys(manifests)
        if name is None:
            damages += self._check_standalone(standalone)
        return VerifyReport(
            deep is True,
            len(keys),
            len(packs),
            sum(result.segments for result in checked.values()),
            sum(result.bytes_read for result in checked.values()) + sum(shard.bytes_read for shard in found),
            tuple(damages),
            tuple(sorted(pack_key(pack) for pack in listed - needed - copies.keys())) if name is None else (),
            tuple(sorted(unlisted)) if name is None else (),
            tuple(sorted(map(pack_key, groups.uncovered(sorted((needed | copies.keys()) & listed))))),
            bool(self._index.key_numbers) and not (self._index.keys and self._index.keys.at_hand),
            self._unsketched(manifests, deep is True) if name is None else (),
        )

    def _unsketched(self, manifests: list[Manifest], deep: bool) -> tuple[str, ...]:
        """The residents whose weights have no sound sketch; not deep, no sketch at all."""
        names = sorted({manifest.name for manifest in manifests if manifest.role == "weights"})
        there = {name for key in self._store.list("sketches/") if (name := sketch_name(key))}
        return tuple(name for name in names if name not in there or (deep and self._is_wrong(sketch_key(name))))

    def _is_wrong(self, key: str) -> bool:
        return look_at(self._store, key, {}, self._index.keys)[1] is not None

    def _check_shard(self, shard: _Shard, deep: bool) -> _Shard:
        """One parity object; not deep, only what it says of its group is read."""
        try:
            if deep:
                data = self._store.get(shard.key)
                shard.bytes_read, shard.wrong = len(data), fault(shard.key, data, {})
            shard.described = len(read_description(self._store, shard.key).shard_digests)
        except NotFound:
            shard.wrong = "it is missing"
        except (IntegrityError, UnknownFormat) as error:
            shard.wrong = shard.wrong or error.message.removeprefix(f"{shard.key}: ")
        return shard

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
        except IntegrityError as error:
            result.wrong = result.wrong or [error.message.removeprefix(f"{pack_key(name)}: ")]
            result.broken, result.sound = result.sound, set()  # a restore may still read some of them
            return result
        good: list[Entry]
        good, result.wrong = check_pack(pack_key(name), data, self._index.base, self._index.keys)
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
        gone: dict[str, set[bytes]] = {name: set() for name in touched}
        nowhere: dict[str, list[Touched]] = {}
        for manifest in manifests:
            damaged = [
                p for p in manifest.packs if p in touched
            ]  # or another pack lies there, with an index of its own
            unreadable = [p for p in damaged if not checked[p].readable] or damaged
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
                    gone[name] |= lost & checked[name].broken
                    gone[name] |= lost - located if name in unreadable else set()
                if not blamed:
                    nowhere.setdefault(manifest.key, []).append(mark)
        damages = [
            Damage(
                pack_key(name),
                "; ".join(checked[name].wrong),
                tuple(marks),
                tuple(sorted(digest.hex() for digest in gone[name])),
            )
            for name, marks in touched.items()
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

    def _check_keys(self, manifests: list[Manifest]) -> list[Damage]:
        """Data keys that are missing or damaged, as they lie: no secret is needed for that."""
        damages = []
        keys = self._index.keys
        for number in keys.expected(self._index.key_numbers) if keys else sorted(self._index.key_numbers):
            key = key_key(number)
            try:
                wrong = fault(key, self._store.get(key), {})
            except NotFound:
                wrong = "it is missing"
            if wrong is not None:
                under = [m for m in manifests if number in keys_needed(self._index, m)]
                damages.append(Damage(key, wrong, tuple(Touched(m.name, m.role, m.version, None) for m in under)))
        return damages

    def _check_standalone(self, standalone: dict[str, str]) -> list[Damage]:
        damages = []
        for key, digest in sorted(standalone.items()):
            try:
                if hashlib.sha256(self._store.get(key)).hexdigest() != digest:
                    damages.append(Damage(key, "its sha256 differs from the one it was written with"))
            except NotFound:
                damages.append(Damage(key, "it is missing"))
        return damages


def keys_needed(index: SegmentIndex, manifest: Manifest) -> set[int]:
    """The numbers of the data keys that a manifest's segments are encrypted under."""
    digests = {bytes.fromhex(digest) for file in manifest.files for digest, _ in file.segments}
    return {entry.key for digest in digests for _, entry in index.places(digest) if entry.key}


def packs_needed(index: SegmentIndex, manifest: Manifest) -> set[str]:
    """The packs a manifest names, and those where its segments and their bases lie now."""
    digests = {bytes.fromhex(digest) for file in manifest.files for digest, _ in file.segments}
    digests |= {entry.base for digest in digests for _, entry in index.places(digest) if entry.base}
    lying = {pack for digest in digests for pack, _ in index.places(digest)}
    named = {pack for pack in manifest.packs if pack not in lying}
    # a pack it names but does not find may be gone for good and its segments stored again elsewhere
    found = all(index.places(digest) for digest in digests)
    return lying if found else lying | named


def _blame_parity(shards: list[_Shard], used: Collection[str]) -> list[Damage]:
    """One Damage for each damaged parity object, and one for each shard that others of its group tell of.

    Of the `used` groups, that is: an interrupted preservation leaves packs nobody needs, and half of their parity.
    """
    damages = [Damage(shard.key, shard.wrong) for shard in shards if shard.wrong]
    groups: dict[str, list[tuple[int, int]]] = {}
    for shard in shards:
        if where := parse_shard(shard.key):
            groups.setdefault(where.group, []).append((where.shard, max(shard.described, where.shard + 1)))
    for group, found in groups.items():
        missing = set(range(max(described for _, described in found))) - {number for number, _ in found}
        missing = missing if group in used else set()
        damages += [Damage(f"parity/{group}/{number}", "the shard is missing") for number in sorted(missing)]
    return damages
