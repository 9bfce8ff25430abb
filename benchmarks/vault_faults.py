"""A thousand faults in vaults with and without replicas: what parity and replicas bear comes back, the rest is named.

Bits flipped, sectors zeroed, objects cut short, lengthened, lost and swapped, one to eight at a time and seeded, in
packs, parity and manifests. After each handful the vault repairs itself; then every file of every resident is read. A
fault counts as wrong when any byte comes back other than it was, when something within the budget does not come back,
or when what is lost is not named exactly: the objects and the files. What must come back, and which files can be read
from what is left, is worked out by `vault_truth` from the undamaged bytes and the format's document alone. Run by
`python -m benchmarks vault`.
"""

from __future__ import annotations

import hashlib
import random
import struct
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.metric import RAM_DISK, Metric, Options, table
from benchmarks.vault_truth import BLOCK, File, Truth
from emeritus.blobs.local import LocalStore
from emeritus.errors import EmeritusError
from emeritus.vault.mending.repaired import RepairReport
from emeritus.vault.parity.build import protect
from emeritus.vault.parity.groups import Groups
from emeritus.vault.vault import Vault

FAULTS = 1000
SEED = 20260401
WEIGHTS = 9_000_000
MOST_AT_ONCE = 8
SECTOR = 4096


def measure(options: Options) -> list[Metric]:
    """Faults injected and faults that ended in a wrong byte, a needless loss or an unnamed one."""
    wanted = options.of(FAULTS, 20)
    with tempfile.TemporaryDirectory(prefix="faults-", dir=RAM_DISK if RAM_DISK.is_dir() else None) as folder:
        trial = Trial(Path(folder), options.of(WEIGHTS, 200_000))
        while trial.count["faults"] < wanted:
            trial.run(min(wanted - trial.count["faults"], trial.chance.randint(1, MOST_AT_ONCE)))
    count = trial.count
    beside = {
        "by kind": dict(sorted(trial.kinds.items())),
        "by object": dict(sorted(trial.hit.items())),
        "rounds": {name: count[name] for name in ("rounds", "with replica", "all came back", "beyond the budget")},
        "objects": {name: count[name] for name in ("brought back", "named lost")},
        "files named lost": count["files lost"],
        "segments stored as differences": trial.differences,
        "wrong": trial.wrong[:5],
    }
    return [
        Metric("faults_injected", count["faults"], low=wanted, high=wanted, beside=beside),
        Metric("faults_wrong_bytes", count["wrong"], high=0),
    ]


class Trial:
    """One vault, its replica, and what both were before anything happened to them."""

    def __init__(self, folder: Path, weights: int, seed: int = SEED) -> None:
        self.chance = random.Random(seed)
        self.count: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.hit: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._store, self._replica = LocalStore(folder / "vault"), LocalStore(folder / "replica")
        vault = Vault.create(self._store)
        for name, share, step in (("alder", 1, 0.0), ("birch", 5, 0.0), ("cedar", 1, 5e-5)):
            make_model(folder / name, weights // share, seed + share, step)  # the third trained on from the first
            vault.preserve(folder / name, name)
        report = folder / "report"
        report.mkdir()
        (report / "report.md").write_text("What was asked, and what was answered.\n" * 200)
        vault.preserve(report, "alder", role="report")
        protect(self._store, Groups(self._store).refresh().uncovered(_packs(vault)))
        vault.repair()
        vault.replicate(self._replica)
        self._whole = {key: self._store.get(key) for key in self._store.list()}
        self._truth = Truth(self._whole)
        self._groups = [[*packs, *shards.values()] for packs, shards, _ in self._truth.groups.values()]
        self.differences = sum(entry[1] != "00" * 32 for entries in self._truth.entries.values() for entry in entries)
        self._ledger = {m.key: m.sha256 for m in vault.manifests()}
        self._files = {
            (m.name, m.role, m.version, file.path): file.sha256 for m in vault.manifests() for file in m.files
        }

    def run(self, faults: int) -> None:
        """Damage the vault so many times, repair it, compare everything with the truth, put all back as it was."""
        with_replica = self.chance.random() < 0.4
        stores = [self._store, self._replica] if with_replica else [self._store]
        focus = self.chance.choice([[], *self._groups, *self._groups])  # most handfuls hit one group: budgets end
        done = [self._damage(focus, self.chance.choices(stores, [3, 1][: len(stores)])[0]) for _ in range(faults)]
        before = [{key: store.get(key) for key in store.list()} for store in stores]
        beyond = self._truth.beyond(*before)
        report = Vault.at(self._store).repair(stores[1:], expected=self._ledger)
        kept = {key: self._store.get(key) for key in self._store.list()}
        lost = {key for key, data in self._whole.items() if kept.get(key) != data and not key.startswith("parity/")}
        files = self._truth.files_lost(kept)
        problems = self._problems(report, lost, files, before[0])
        problems += [f"{key} did not come back" for key in sorted(lost - beyond)]
        self.count.update(
            {
                "faults": faults,
                "rounds": 1,
                "with replica": with_replica,
                "all came back": not lost,
                "beyond the budget": bool(beyond),
                "brought back": len(report.repaired),
                "named lost": len(lost),
                "files lost": len(files),
                "wrong": faults if problems else 0,
            }
        )
        if problems:
            self.wrong.append(f"{', '.join(done)}: {'; '.join(problems)}")
        for store in (self._store, self._replica):
            self._reset(store)

    def _problems(self, report: RepairReport, lost: set[str], files: set[File], before: dict[str, bytes]) -> list[str]:
        """What the report or a read says otherwise than it is: `lost` and `files` are what is not as it was."""
        found = []
        named = {damage.key for damage in report.lost if not damage.key.startswith("parity/")}
        if named != lost:
            found.append(f"named {sorted(named ^ lost)} wrongly")
        touched = {(t.name, t.role, t.version, t.path or "") for damage in report.lost for t in damage.touches}
        if touched != files:
            found.append(f"named the files {sorted(touched ^ files)} wrongly")
        changed = {key for key in self._whole if before.get(key) != self._whole[key]}
        told = {each.key for each in report.repaired} | {damage.key for damage in report.lost} | set(report.covered)
        told |= {key.split(".")[0] for key in told}  # a lost shard is named, and made again, by its number
        silent = {key for key in changed if key not in told and key.split(".")[0] not in told}
        found += [f"said nothing of {key}" for key in sorted(silent) if not self._regrouped(key, report)]
        return found + self._read_all(files)

    def _regrouped(self, key: str, report: RepairReport) -> bool:
        """Parity of which nothing at all was left gives way to parity of new groups."""
        return key.startswith("parity/") and bool(report.covered)

    def _read_all(self, files: set[File]) -> list[str]:
        """Read every file: the right bytes, or, where the truth says so, an error."""
        vault = Vault.at(self._store)
        found = []
        for where, sha256 in self._files.items():
            name, role, version, path = where
            gone = where in files or (name, role, version, "") in files
            try:
                data = vault.read_file(name, path, role=role, version=version)
            except EmeritusError as error:
                if not gone:
                    found.append(f"{where} cannot be read: {error.code}")
                continue
            if hashlib.sha256(data).hexdigest() != sha256:
                found.append(f"{where} gives WRONG BYTES")
            elif gone:
                found.append(f"{where} was named lost and is not")
        return found

    def _reset(self, store: LocalStore) -> None:
        for key in list(store.list()):
            if key not in self._whole:
                store.delete(key)
        for key, data in self._whole.items():
            if store.size(key) != len(data) or store.get(key) != data:
                store.put(key, data)

    # -- faults -------------------------------------------------------------------------------------------------------

    def _damage(self, focus: list[str], store: LocalStore) -> str:
        """One fault somewhere, mostly in the objects in `focus`; what it was."""
        kinds: dict[str, Callable[[LocalStore, str], object]] = {
            "flip": self._flip,
            "sector": self._zero,
            "truncation": self._cut,
            "extension": self._lengthen,
            "loss": lambda store, key: store.delete(key),
            "swap": self._swap,
        }
        while True:
            place = self.chance.choices(["packs/", "parity/", "manifests/"], [14, 4, 1])[0]
            keys = [key for key in store.list(place) if store.size(key)]
            if self.chance.random() < 0.8:
                keys = [key for key in keys if key in focus] or keys
            if keys:
                break
        key = self.chance.choice(keys)
        kind = self.chance.choices(list(kinds), [8, 2, 2, 1, 3, 2])[0]
        kinds[kind](store, key)
        self.kinds[kind] += 1
        self.hit[place.rstrip("/") + (" of the replica" if store is self._replica else "")] += 1
        return f"{kind} of {key[:20]}"

    def _flip(self, store: LocalStore, key: str) -> None:
        data = bytearray(store.get(key))
        data[self._somewhere(len(data))] ^= 1 << self.chance.randrange(8)
        store.put(key, data)

    def _zero(self, store: LocalStore, key: str) -> None:
        data = bytearray(store.get(key))
        at = self._somewhere(len(data)) // SECTOR * SECTOR
        data[at : at + SECTOR] = bytes(len(data[at : at + SECTOR]))
        store.put(key, data)

    def _cut(self, store: LocalStore, key: str) -> None:
        data = store.get(key)
        store.put(key, data[: self._somewhere(len(data))])

    def _lengthen(self, store: LocalStore, key: str) -> None:
        store.put(key, store.get(key) + self.chance.randbytes(self.chance.randint(1, 300)))

    def _swap(self, store: LocalStore, key: str) -> None:
        others = [each for each in store.list(key.split("/")[0] + "/") if each != key]
        if not others:
            return self._flip(store, key)
        other = self.chance.choice(others)
        one, two = store.get(key), store.get(other)
        store.put(key, two)
        store.put(other, one)
        return None

    def _somewhere(self, length: int) -> int:
        """A position; often in the first columns, where several packs then have bad blocks."""
        return self.chance.randrange(min(length, 2 * BLOCK) if self.chance.random() < 0.6 else length)


def make_model(folder: Path, weights: int, seed: int, step: float = 0.0) -> None:
    """A folder with so many bf16 weights in tensors of several sizes, and the small files a model has.

    `step`: by how much its weights differ from those of the same seed without.
    """
    import json

    import numpy as np

    folder.mkdir()
    chance = np.random.default_rng(seed)
    sizes = [max(8, weights * share // 100) for share in (7, 6, 9, 5, 8, 7, 6, 9, 8, 5, 7, 6, 8, 9)]
    header, data, at = {}, [], 0
    for number, size in enumerate(sizes):
        values = (chance.normal(0, 0.02, size) + step * np.random.default_rng(number).normal(size=size)).astype("<f4")
        data.append((values.view("<u4") >> 16).astype("<u2").tobytes())
        header[f"layers.{number}"] = {"dtype": "BF16", "shape": [size], "data_offsets": [at, at + 2 * size]}
        at += 2 * size
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "tokenizer.json").write_text(json.dumps({f"word{n}": n + seed for n in range(3000)}))


def _packs(vault: Vault) -> list[str]:
    return sorted({pack for manifest in vault.manifests() for pack in manifest.packs})


if __name__ == "__main__":
    print(table(measure(Options())))
