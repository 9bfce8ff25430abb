"""Repairing a vault: what is damaged, truncated, swapped or missing brought back, from parity first, then replicas.

What is written is proven before: a pack and a parity object by the sha256 in their names, a manifest by its seal and,
where the ledger names one, that digest. It takes the place of the damaged bytes under the same name, atomically; those
are not kept, only their sha256 is reported. What cannot be proven is left as it lies, for its sound segments can still
be read, and is named exactly: the object, its segments, the files and residents that go with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, StoreUnavailable
from emeritus.vault.busy import PREFIX as LOCKS
from emeritus.vault.codec.table import encode
from emeritus.vault.digests import blake3_of
from emeritus.vault.keys.keyring import key_key, parse_key_key
from emeritus.vault.manifest import Manifest
from emeritus.vault.manifest import parse_key as parse_manifest_key
from emeritus.vault.mending.proof import fault, named_digest
from emeritus.vault.mending.repaired import Repaired, RepairReport
from emeritus.vault.mending.scrub import Damage, Scrub, Touched, packs_needed
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import MANIFEST, Encoded, pack_key, pack_name
from emeritus.vault.parity.build import protect
from emeritus.vault.parity.dependants import missing_shards, reinforce_bases
from emeritus.vault.parity.form import parse_key as parse_shard
from emeritus.vault.parity.groups import Group, Groups
from emeritus.vault.parity.mend import mend, remake
from emeritus.vault.progress import Progress, silent
from emeritus.vault.workers import THREADS
from emeritus.vault.writing.sketch import sketch_key, sketch_name
from emeritus.vault.writing.sketches import Sketches
from emeritus.vault.writing.writer import PackWriter

MISSING = "it is missing"
ANOTHERS = "; a replica has it under another secret than the one given, as it was before the secret was changed"
OTHER = "it is not the manifest that the ledger names"


@dataclass(slots=True)
class _Found:
    """What was seen of the store: faults by key, the sha256 of damaged bytes, and where named bytes lie astray."""

    wrong: dict[str, str] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)  # damaged key -> sha256 of what lies there
    examined: int = 0
    bytes_read: int = 0


class Repair:
    """One repair of a whole vault. Use once.

    `expected`: the sha256 (hex) of the manifests that the ledger names, by key: of those that are missing, only these
    are brought back. None: there is no ledger to ask, and every manifest that a copy or a replica tells of is.
    `explaining`: the sha256 of the files that explain the vault, by key.
    """

    def __init__(
        self,
        store: BlobStore,
        index: SegmentIndex,
        explaining: dict[str, str],
        replicas: Sequence[BlobStore] = (),
        expected: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._index = index
        self._explaining = explaining
        self._replicas = list(replicas)
        self._expected = dict(expected or {})
        self._ledger_tells = expected is not None
        self._seen = _Found()
        self._repaired: list[Repaired] = []
        self._unreachable: list[str] = []

    def run(self, progress: Progress | None = None, only: Iterable[str] | None = None) -> RepairReport:
        """Examine every object, or only these keys, and bring back what is damaged. Progress counts objects.

        What is missing is always noticed, as far as a manifest, the ledger, parity or a replica tells of it.
        """
        self._examine(self._keys(only), progress or silent)
        covered = self._bring_back()
        return RepairReport(
            self._seen.examined,
            self._seen.bytes_read,
            tuple(self._repaired),
            tuple(self._lost()),
            tuple(covered),
            tuple(self._unreachable),
        )

    def _bring_back(self) -> list[str]:
        """Everything that can be; the parity objects made. What `only` left out and proves damaged is seen to, too."""
        while True:
            try:
                while self._pass() or self._copy_manifests():
                    pass
                self._index.refresh()
                self._sketches()
                return self._cover()
            except (IntegrityError, NotFound) as error:
                key = str(error.facts.get("key"))
                if key in self._seen.wrong or pack_name(key) is None:
                    raise
                self._examine([key], silent)
                if key not in self._seen.wrong:
                    raise

    def _pass(self) -> bool:
        """Bring back what can be brought back now; whether anything was, so that more may follow from it."""
        before = len(self._repaired)
        self._explain()
        self._index.refresh()
        self._manifests()
        self._note_missing()
        self._astray()
        self._from_groups([self._store])
        self._from_replicas()
        if self._replicas:
            self._from_groups([self._store, *self._replicas])
        self._parity()
        return len(self._repaired) > before

    # -- what is wrong --------------------------------------------------------------------------------------------

    def _keys(self, only: Iterable[str] | None) -> list[str]:
        """What to read; of the keys named, those that are there: the others are missing, and noticed as such."""
        there = [key for key in self._store.list() if not key.startswith(LOCKS)]  # those come and go
        named = set(there if only is None else only)
        return [key for key in there if key in named]

    def _examine(self, keys: list[str], progress: Progress) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for done, (key, size, wrong, holds) in enumerate(pool.map(self._look_at, keys), 1):
                self._seen.examined += 1
                self._seen.bytes_read += size
                if wrong is not None:
                    self._seen.wrong[key] = wrong
                if holds is not None:
                    self._seen.holds[key] = holds
                progress(key, done, len(keys))

    def _look_at(self, key: str) -> tuple[str, int, str | None, str | None]:
        try:
            data = self._store.get(key)
        except NotFound:
            return key, 0, MISSING, None
        except IntegrityError as error:  # the disk cannot read it
            return key, 0, error.message, None
        wrong = self._fault(key, data)
        return key, len(data), wrong, hashlib.sha256(data).hexdigest() if wrong else None

    def _fault(self, key: str, data: bytes | bytearray | memoryview) -> str | None:
        wrong = fault(key, data, self._explaining, self._index.keys)
        if wrong is None and key in self._expected and hashlib.sha256(data).hexdigest() != self._expected[key]:
            return OTHER
        return wrong

    def _note_missing(self) -> None:
        """Packs that a manifest or a group needs, and explaining files, that are not there at all."""
        there = {name for key in self._store.list("packs/") if (name := pack_name(key))}
        needed = {pack for group in Groups(self._store).refresh().all() for pack in group.packs}
        for manifest in self._sound_manifests():
            needed |= packs_needed(self._index, manifest)
        for name in needed - there:
            self._seen.wrong.setdefault(pack_key(name), MISSING)
        keys, used = self._index.keys, self._index.key_numbers
        for key in map(key_key, keys.expected(used) if keys else used):
            if self._store.size(key) is None:
                self._seen.wrong.setdefault(key, MISSING)

    def _sound_manifests(self) -> list[Manifest]:
        found = []
        for key in self._store.list("manifests/"):
            if parse_manifest_key(key) and key not in self._seen.wrong:
                try:
                    found.append(Manifest.from_bytes(self._store.get(key), key))
                except (NotFound, IntegrityError):
                    continue  # changed since it was examined: the next repair sees it
        return found

    def _wrong_packs(self) -> list[str]:
        return sorted(name for key in self._seen.wrong if (name := pack_name(key)))

    # -- bringing back ----------------------------------------------------------------------------------------------

    def _put(self, key: str, data: bytes | bytearray | memoryview, how: str) -> bool:
        """Put proven bytes in their place; False, and nothing done, when they are not what belongs there."""
        if self._fault(key, data) is not None:
            return False
        self._store.put(key, memoryview(data))
        self._index.forget(pack_name(key) or "")
        was = self._seen.wrong.pop(key, MISSING)
        self._repaired.append(Repaired(key, was, how, self._seen.holds.pop(key, None)))
        return True

    def _astray(self) -> None:
        """Packs and parity whose bytes lie whole under another's name, as after two were swapped."""
        lying = {digest: key for key, digest in self._seen.holds.items()}
        held: dict[str, bytes] = {}
        wanted = {digest: key for key in self._seen.wrong if (digest := named_digest(key)) in lying}
        for digest, key in wanted.items():
            if digest is None or key not in self._seen.wrong:
                continue
            held[key] = self._store.get(lying[digest])
            while held:  # what lies in the way may belong elsewhere itself
                place, data = held.popitem()
                inside = self._seen.holds.get(place)
                if inside in wanted and wanted[inside] != place and wanted[inside] in self._seen.wrong:
                    held.setdefault(wanted[inside], self._store.get(place))
                self._put(place, data, "moved")

    def _from_groups(self, stores: list[BlobStore]) -> None:
        """Packs, by the parity here or in any of the stores."""
        for number, store in enumerate(stores):
            if number and not self._wrong_packs():
                return
            for group in self._groups(store).covering(self._wrong_packs()):
                for mended in mend(stores, group, set(self._wrong_packs()) & set(group.packs)):
                    if mended.data is not None:
                        self._put(pack_key(mended.name), mended.data, "parity")

    def _groups(self, store: BlobStore) -> Groups:
        try:
            return Groups(store).refresh()
        except StoreUnavailable:
            if store is self._store:
                raise
            self._give_up(store)
            return Groups(self._store).refresh()

    def _from_replicas(self) -> None:
        """Whole objects, from the first replica that has the right bytes. Parity is made again here if it can be."""
        for key in sorted(self._seen.wrong):
            if parse_shard(key) is None:
                self._copy(key)

    def _copy(self, key: str) -> bool:
        for replica in list(self._replicas):
            try:
                data = replica.get(key)
                if self._is_locked(key, data):
                    continue
                if self._put(key, data, replica.url):
                    return True
            except (NotFound, IntegrityError):
                continue
            except StoreUnavailable:
                self._give_up(replica)
        return False

    def _is_locked(self, key: str, data: bytes) -> bool:
        """Whether this is a data key wrapped under another secret than this vault's: one that opens nothing here."""
        number, keys = parse_key_key(key), self._index.keys
        if number is None or keys is None or self._fault(key, data) is not None or keys.accepts(data, number):
            return False
        self._seen.wrong[key] = self._seen.wrong[key].removesuffix(ANOTHERS) + ANOTHERS
        return True

    def _give_up(self, replica: BlobStore) -> None:
        if replica in self._replicas:
            self._replicas.remove(replica)
            self._unreachable.append(replica.url)

    def _parity(self) -> None:
        """Parity objects that are damaged or missing, from packs that are all sound; else from replicas."""
        wrong = set(self._wrong_packs())
        for group in Groups(self._store).refresh().all():
            broken = [key for key in group.keys if key in self._seen.wrong]
            for key in broken if not group.packs or wrong & set(group.packs) else ():
                self._copy(key)
            if group.packs and not wrong & set(group.packs):
                self._remake(group, broken)

    def _remake(self, group: Group, broken: list[str]) -> None:
        for key, old in remake([self._store], group, set(group.keys) - set(broken)).items():
            was = self._seen.wrong.pop(old or key, MISSING)
            self._repaired.append(Repaired(key, was, "packs", self._seen.holds.pop(old or key, None)))

    def _manifests(self) -> None:
        """Manifests, from their copies in packs, then from replicas."""
        copies: dict[str, set[bytes]] = {}
        for pack, data in self._index.copies():
            copies.setdefault(Manifest.from_bytes(data, f"the copy in {pack}").key, set()).add(data)
        there = set(self._store.list("manifests/"))
        known = self._expected.keys() if self._ledger_tells else copies.keys() | self._elsewhere()
        for key in sorted(known - there):
            self._seen.wrong.setdefault(key, MISSING)
        for key in [key for key in sorted(self._seen.wrong) if parse_manifest_key(key)]:
            right = [data for data in copies.get(key, ()) if self._fault(key, data) is None]
            if len(right) == 1:  # of several, one is of an attempt that never became visible
                self._put(key, right[0], "copy")

    def _elsewhere(self) -> set[str]:
        """The manifests that replicas have."""
        found = set()
        for replica in list(self._replicas):
            try:
                found |= {key for key in replica.list("manifests/") if parse_manifest_key(key)}
            except StoreUnavailable:
                self._give_up(replica)
        return found

    def _explain(self) -> None:
        """The files that explain the vault, from this program where it is of the same version."""
        from importlib.resources import files

        there = set(self._store.list())
        for key in self._explaining:
            if key not in there:
                self._seen.wrong.setdefault(key, MISSING)
            if key in self._seen.wrong:
                self._put(key, files("emeritus.vault.standalone").joinpath(key).read_bytes(), "package")

    # -- afterwards -------------------------------------------------------------------------------------------------

    def _copy_manifests(self) -> bool:
        """A copy in a pack for each manifest that has none there any more; whether that brought a lost pack back."""
        self._index.refresh()
        copied = {Manifest.from_bytes(data, pack_key(pack)).key for pack, data in self._index.copies()}
        for manifest in self._sound_manifests():
            if manifest.key not in copied:
                with PackWriter(self._store, self._index, 0) as writer:
                    data = manifest.to_bytes()
                    writer.add(Encoded(blake3_of(data), len(data), *encode(data, 0), kind=MANIFEST))
                    writer.flush()
        back = [key for key in map(pack_key, self._wrong_packs()) if self._look_at(key)[2] is None]
        for key in back:
            self._repaired.append(Repaired(key, self._seen.wrong.pop(key), "copy", self._seen.holds.pop(key, None)))
        return bool(back)

    def _cover(self) -> list[str]:
        """Parity for sound packs that a manifest needs, or that hold a manifest's copy; more for bases.

        Damaged parity that cannot be made again is removed once that is done: it covers nothing.
        """
        needed = {pack for pack, _ in self._index.copies()}
        for manifest in self._sound_manifests():
            needed |= packs_needed(self._index, manifest)
        wrong = set(self._wrong_packs())
        there = {pack for key in self._store.list("packs/") if (pack := pack_name(key))}
        groups = Groups(self._store).refresh()
        covered = protect(self._store, groups.uncovered(sorted((needed & there) - wrong)))
        for group in groups.all():
            if not group.packs and not wrong:
                for key in group.keys:
                    if key not in self._seen.wrong and self._look_at(key)[2] is None:
                        continue  # whole, and of a later format: it covers packs that only a later version knows
                    if key not in covered:
                        self._store.delete(key)
                    was = self._seen.wrong.pop(key, "it cannot be read")
                    self._repaired.append(Repaired(key, was, "packs", self._seen.holds.pop(key, None)))
        if not self._wrong_packs():
            covered += reinforce_bases(self._store, self._index, self._sound_manifests())
        return covered

    def _sketches(self) -> None:
        """Damaged sketches, and those that are missing, made again from packs; one that cannot be is removed."""
        sketches = Sketches(self._store, self._index)
        broken = {name: key for key in self._seen.wrong if (name := sketch_name(key))}
        for name in sorted({*broken, *sketches.missing()}):
            key = sketch_key(name)
            if sketches.make(name):
                how = "packs"
            elif name in broken:  # derived: nothing is lost with it, and it is made once its packs are sound
                self._store.delete(key)
                how = "removed"
            else:
                continue
            self._repaired.append(
                Repaired(key, self._seen.wrong.pop(key, MISSING), how, self._seen.holds.pop(key, None))
            )

    def _lost(self) -> list[Damage]:
        """What is still wrong, with the segments and files that go with it."""
        blamed = Scrub(self._store, self._index, None).run(None, self._wrong_packs(), {}).damages
        named = {damage.key for damage in blamed}
        left = [key for key in sorted(self._seen.wrong) if key not in named]
        told = {key: what for key, what in self._seen.wrong.items() if what.endswith(ANOTHERS)}
        blamed = tuple(replace(damage, what=told.get(damage.key, damage.what)) for damage in blamed)
        found = [*blamed, *(Damage(key, self._seen.wrong[key], _all_of(key)) for key in left)]
        if found:  # else bases have their further shards by now
            short = missing_shards(self._store, self._index, self._sound_manifests())
            found += [Damage(key, "the shard is missing") for key in short if key not in named]
        return found


def _all_of(key: str) -> tuple[Touched, ...]:
    parsed = parse_manifest_key(key)
    return (Touched(*parsed, None),) if parsed else ()
