"""Copies of a whole vault in other stores: every object that is missing or different there, proven here and read back.

Content before what tells of it: packs and parity, then what explains and names them, the marker last, so that a copy
that was cut short is no vault yet; the same call goes on from what is there. Deletes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound
from emeritus.vault.busy import LEFTOVERS
from emeritus.vault.busy import PREFIX as LOCKS
from emeritus.vault.manifest import parse_key as parse_manifest_key
from emeritus.vault.mending.proof import fault, named_digest
from emeritus.vault.progress import Progress, silent
from emeritus.vault.workers import THREADS

OWN = (LOCKS, LEFTOVERS)  # who is at work in a store, and since when what lies unneeded there, is of that store alone
_ORDER = ("packs/", "parity/", "sketches/", "keys/", "README.txt", "FORMAT.txt", "restore.py", "manifests/")


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What a replica has now: the keys written, the bytes that is, and how many objects were right already.

    `damaged`: (key, what) of objects that are not sound here and so were not copied. `refused`: objects the replica has
    otherwise, and soundly: another manifest of that name, which is never written over. `more`: how many it has beside.
    """

    url: str
    copied: tuple[str, ...]
    bytes_copied: int
    same: int
    damaged: tuple[tuple[str, str], ...] = ()
    refused: tuple[str, ...] = ()
    more: int = 0

    @property
    def ok(self) -> bool:
        """Whether the replica holds everything."""
        return not self.damaged and not self.refused

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each object it does not hold."""
        return (
            *(f"{key}: {what}; it was not copied" for key, what in self.damaged),
            *(f"{key}: {self.url} holds another one, which was left" for key in self.refused),
        )


class Replication:
    """One copying of a vault. Use once. `explaining`: sha256 (hex) of the files that explain the vault, by key."""

    def __init__(self, store: BlobStore, to: BlobStore, explaining: Mapping[str, str]) -> None:
        self._store = store
        self._to = to
        self._explaining = explaining

    def run(self, deep: bool, progress: Progress | None = None) -> ReplicaReport:
        """Copy what is missing or different. Progress counts objects.

        What the replica has of packs and parity is taken to be right when its length is; `deep` reads all of it.
        Raises StoreFull and StoreUnavailable; what was copied until then stays and counts.
        """
        keys = [key for key in self._store.list() if not key.startswith(OWN)]
        keys.sort(key=lambda key: (_rank(key), key))
        done = 0
        there = {key for key in self._to.list() if not key.startswith(OWN)}
        copied: list[str] = []
        damaged: list[tuple[str, str]] = []
        refused: list[str] = []
        size = 0
        with ThreadPoolExecutor(THREADS) as pool:
            for rank in sorted({_rank(key) for key in keys}):  # nothing that tells of content before the content
                group = [key for key in keys if _rank(key) == rank]
                found = pool.map(lambda key: self._copy(key, key in there, deep), group)
                for key, outcome in zip(group, found, strict=True):
                    if isinstance(outcome, int):
                        copied += [key] if outcome else []
                        size += outcome
                    elif outcome is None:
                        refused.append(key)
                    else:
                        damaged.append((key, outcome))
                    done += 1
                    (progress or silent)(key, done, len(keys))
        same = len(keys) - len(copied) - len(damaged) - len(refused)
        more = len(there - set(keys))
        return ReplicaReport(self._to.url, tuple(copied), size, same, tuple(damaged), tuple(refused), more)

    def _copy(self, key: str, there: bool, deep: bool) -> int | str | None:
        """Bytes written, 0 when the replica has it right; what is wrong with it here; None: it keeps its own."""
        if there and named_digest(key) is not None and not deep and self._to.size(key) == self._store.size(key):
            return 0
        try:
            data = self._store.get(key)
        except (NotFound, IntegrityError) as error:
            return error.message
        wrong = fault(key, data, self._explaining)
        if wrong is not None:
            return wrong
        other = self._there(key) if there else None
        if other == data:
            return 0
        if other is not None and parse_manifest_key(key) and fault(key, other, self._explaining) is None:
            return None
        self._to.put(key, data)
        if self._there(key) != data:
            raise IntegrityError(
                f"{self._to.url} took {key} and gives other bytes back",
                remedy="Do not rely on that store; check it, and replicate again.",
                key=key,
            )
        return len(data)

    def _there(self, key: str) -> bytes | None:
        try:
            return self._to.get(key)
        except (NotFound, IntegrityError):
            return None


def _rank(key: str) -> int:
    if key == "vault.json":
        return len(_ORDER) + 1
    return next((rank for rank, start in enumerate(_ORDER) if key.startswith(start)), len(_ORDER))
