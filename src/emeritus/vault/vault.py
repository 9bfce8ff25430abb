"""The vault's door: create, open, preserve, restore, verify, repair, rebuild. Each act lives in a module of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from emeritus.blobs.base import BlobStore
from emeritus.blobs.disk import Disk
from emeritus.errors import AlreadyExists, IntegrityError, NotFound, UnknownFormat
from emeritus.vault.keys.cipher import CIPHER, Secret, SecretSource
from emeritus.vault.keys.keyring import Keyring
from emeritus.vault.manifest import FORMAT, Manifest
from emeritus.vault.mending.proof import look_at
from emeritus.vault.mending.repair import Repair
from emeritus.vault.mending.repaired import RepairReport
from emeritus.vault.mending.replicas import ReplicaReport, Replication
from emeritus.vault.mending.scrub import Scrub, VerifyReport
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.parity.dependants import reinforce_bases
from emeritus.vault.progress import Progress
from emeritus.vault.prune import Prune, Removal, dependants
from emeritus.vault.reading.opened import OpenResident
from emeritus.vault.reading.restore import read_file, restore
from emeritus.vault.sealed import Json, seal, unseal
from emeritus.vault.shelf import Shelf
from emeritus.vault.writing.ingest import Ingest
from emeritus.vault.writing.sketches import Sketches

MARKER = "vault.json"
STANDALONE = (
    "README.txt",
    "FORMAT.txt",
    "restore.py",
    "decode_numbers.py",
    "decode_difference.py",
    "decode_encrypted.py",
)


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What `rebuild_manifests` did: keys made again, and keys of which the packs hold several different copies."""

    rebuilt: tuple[str, ...]
    undecided: tuple[str, ...]


class Vault:
    """An archive of residents in a store. Safe in threads and beside other processes; everything blocks."""

    def __init__(self, store: BlobStore, standalone: dict[str, str], keys: Keyring, disk: Disk | None = None) -> None:
        """Use `create` or `at`."""
        self.store = store
        self._standalone = standalone
        self._disk = disk or Disk()
        self.keys = keys
        self._index = SegmentIndex(store, keys)
        self._shelf = Shelf(store)

    @classmethod
    def create(cls, store: BlobStore, disk: Disk | None = None, secret: Secret | None = None) -> Vault:
        """Make a vault in `store`, or open the one that is there. The marker that makes it one is written last.

        With a `secret` it is an encrypted one. Raises AlreadyExists where a vault without keys lies, VaultLocked where
        one under another secret does.
        """
        source = None if secret is None else lambda: secret
        keys = Keyring(store, secret is not None, source)
        try:
            found = cls.at(store, disk, source)
        except NotFound:
            pass
        else:
            if secret is not None and not found.keys.encrypted:
                raise AlreadyExists(
                    f"the vault at {store.url} is not encrypted, and cannot become so",
                    remedy="Make another home with `emeritus init --encrypt`, and preserve there what is to be kept.",
                )
            if secret is not None:
                keys.make_first(secret)
            return found
        if secret is not None:
            keys.make_first(secret)
        digests = {}
        for key in STANDALONE:
            data = files("emeritus.vault.standalone").joinpath(key).read_bytes()
            digests[key] = hashlib.sha256(data).hexdigest()
            store.put(key, data)
        body: Json = {"format": FORMAT, "standalone": digests}
        if secret is not None:
            body["cipher"] = CIPHER
        store.put_if_absent(MARKER, seal("emeritus_vault", body))
        return cls.at(store, disk, source)

    @classmethod
    def at(cls, store: BlobStore, disk: Disk | None = None, secret: SecretSource | None = None) -> Vault:
        """The vault in `store`. `secret` gives what opens an encrypted one, and is asked when that is needed.

        Raises NotFound when there is none, UnknownFormat, IntegrityError.
        """
        try:
            data = store.get(MARKER)
        except NotFound as error:
            raise NotFound(
                f"there is no vault at {store.url}", remedy="Make one with `emeritus init`, or correct the address."
            ) from error
        body = unseal("emeritus_vault", data, MARKER)
        if body.get("format") != FORMAT:
            raise UnknownFormat(f"the vault at {store.url} is of format {body.get('format')!r}; known: {FORMAT}")
        if body.get("cipher", CIPHER) != CIPHER:
            raise UnknownFormat(f"the vault at {store.url} is encrypted by {body['cipher']!r}; known: {CIPHER}")
        return cls(store, _digests(body), Keyring(store, "cipher" in body, secret), disk)

    def preserve(
        self,
        source: Path,
        name: str,
        *,
        role: str = "weights",
        progress: Progress | None = None,
        avoid: Collection[str] = (),
    ) -> Manifest:
        """Keep every file of the folder `source` as `name`; progress counts bytes. See `ingest.Ingest.run`.

        `avoid` names residents that nothing is to be kept as a difference from: those that are to be removed.
        """
        return Ingest(self.store, self._index, progress, avoid).run(Path(source), name, role)

    def manifest(self, name: str, role: str = "weights", version: int | None = None) -> Manifest:
        """A manifest, the newest version when none is named. Raises NotFound, BadName, IntegrityError."""
        return self._shelf.get(name, role, version)

    def manifests(self) -> list[Manifest]:
        """Every manifest of every resident, by name, role and version. Raises IntegrityError at a damaged one."""
        return [self._shelf.read(key) for key in self._shelf.all_keys()]

    def manifests_of(self, name: str) -> list[Manifest]:
        """Every manifest of one resident, by role and version. Raises BadName, IntegrityError at a damaged one."""
        return [self._shelf.read(key) for key in self._shelf.all_keys(name)]

    def restore(
        self,
        name: str,
        dest: Path,
        *,
        role: str = "weights",
        version: int | None = None,
        progress: Progress | None = None,
    ) -> Manifest:
        """Write a resident's files to `dest` (absent or empty), every byte verified; progress counts bytes."""
        manifest = self.manifest(name, role, version)
        restore(self._index, manifest, Path(dest), self._disk, progress)
        return manifest

    def open(self, name: str, *, role: str = "weights", version: int | None = None) -> OpenResident:
        """A resident's tensors by name, to be read straight into memory. Raises NotFound, BadName, IntegrityError."""
        return OpenResident(self._index, self.manifest(name, role, version))

    def look_nearby(self, find: Callable[[bytes], bytes | None]) -> None:
        """Have differences decoded against bases that `find` knows by their BLAKE3, where it gives bytes.

        These need not be right: every segment decoded is verified, and decoded again from the vault's own where it is
        wrong.
        """
        self._index.nearby = find

    def read_file(self, name: str, path: str, *, role: str = "weights", version: int | None = None) -> bytes:
        """One file's bytes, verified; held in memory whole. Raises NotFound, IntegrityError."""
        manifest = self.manifest(name, role, version)
        file = manifest.file(path)
        if file is None:
            raise NotFound(f"{manifest.key} lists no file {path!r}", name=name, path=path)
        return read_file(self._index, manifest, file)

    def verify(self, name: str | None = None, *, deep: bool = True, progress: Progress | None = None) -> VerifyReport:
        """Check the whole vault, or what one resident needs; progress counts packs. Damage is reported, not raised."""
        return Scrub(self.store, self._index, progress).run(name, deep, self._standalone)

    def look_at(self, key: str) -> tuple[int, str | None]:
        """Read one object whole: (bytes, what is wrong with it or None). For scrubs that read a part each time."""
        return look_at(self.store, key, self._standalone, self.keys)

    def repair(
        self,
        replicas: Sequence[BlobStore] = (),
        *,
        expected: Mapping[str, str] | None = None,
        only: Iterable[str] | None = None,
        progress: Progress | None = None,
    ) -> RepairReport:
        """Bring back what is damaged or missing, from parity first, then from replicas. See `repair.Repair`.

        `only`: the keys known to be damaged, else every object is read; progress counts objects.
        """
        return Repair(self.store, self._index, self._standalone, replicas, expected).run(progress, only)

    def reinforce(self) -> list[str]:
        """Give packs that other residents' differences rest on more parity; the keys of the objects added.

        One shard more than others for the first dependant, another for each doubling. Raises IntegrityError for a
        damaged pack: repair first.
        """
        self._index.refresh()
        return reinforce_bases(self.store, self._index, self.manifests())

    def make_sketches(self) -> list[str]:
        """Make the sketches that are missing beside weights; the residents whose sketches were made.

        Those whose packs cannot be read are passed over. Raises StoreFull, StoreUnavailable.
        """
        self._index.refresh()
        sketches = Sketches(self.store, self._index)
        return [name for name in sketches.missing() if sketches.make(name)]

    def replicate(self, to: BlobStore, *, deep: bool = True, progress: Progress | None = None) -> ReplicaReport:
        """Copy every object that is missing or different in another store; progress counts objects.

        `deep` reads what is there and compares; without it the packs' lengths do. See `replicas.Replication`.
        """
        return Replication(self.store, to, self._standalone).run(deep, progress)

    def dependants(self, name: str) -> tuple[str, ...]:
        """The residents that cannot be restored without that one's weights, sorted. Raises IntegrityError."""
        return dependants(self.manifests(), name)

    def prune(
        self,
        residents: Collection[str] = (),
        *,
        dry_run: bool = False,
        expected: Iterable[str] | None = None,
        grace_days: float = 2.0,
        progress: Progress | None = None,
    ) -> Removal:
        """Remove the weights of these residents for ever, and packs that nothing has needed for so long.

        `expected`: keys of the manifests that the ledger names. See `prune.Prune`; progress counts objects.
        """
        return Prune(self.store, self._index, expected, grace_days).run(residents, dry_run, progress)

    def rebuild_manifests(self, trusted: Collection[str] = ()) -> RebuildReport:
        """Make missing or damaged manifests again from their copies in the packs.

        Where the packs hold different copies for one key (of two attempts, one was never made visible), only a copy
        whose sha256 is in `trusted` is taken: the ledger names the right one.
        """
        self._index.refresh()
        candidates: dict[str, set[bytes]] = {}
        for pack, data in self._index.copies():
            candidates.setdefault(Manifest.from_bytes(data, f"the copy in {pack}").key, set()).add(data)
        rebuilt, undecided = [], []
        for key, copies in sorted(candidates.items()):
            if self._is_sound(key):
                continue
            chosen = {data for data in copies if hashlib.sha256(data).hexdigest() in trusted} or copies
            if len(chosen) == 1:
                self.store.put(key, chosen.pop())
                rebuilt.append(key)
            else:
                undecided.append(key)
        return RebuildReport(tuple(rebuilt), tuple(undecided))

    def _is_sound(self, key: str) -> bool:
        try:
            self._shelf.read(key)
        except (NotFound, IntegrityError):
            return False
        return True


def _digests(body: Json) -> dict[str, str]:
    standalone = body.get("standalone")
    if not isinstance(standalone, dict):
        raise IntegrityError(f"{MARKER} does not name the files that explain the vault", key=MARKER)
    return {str(key): str(digest) for key, digest in standalone.items()}
