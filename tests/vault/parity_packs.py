"""A store with objects under their sha256, as packs are, of sizes around a block, and a group of parity over them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

from emeritus.blobs.local import LocalStore
from emeritus.vault.packs.pack import pack_key
from emeritus.vault.parity.build import protect
from emeritus.vault.parity.form import BLOCK
from emeritus.vault.parity.groups import Group, Groups
from emeritus.vault.parity.mend import Mended, mend

SIZES = (1, 700, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 5, 2 * BLOCK, 17 * BLOCK + 9)


@dataclass(frozen=True)
class Kept:
    """The store, what lies in it by name, and the keys of its parity."""

    store: LocalStore
    packs: dict[str, bytes]
    parity: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The packs in the group's order."""
        return list(self.packs)

    def group(self) -> Group:
        """The one group, as the store has it now."""
        (found,) = Groups(self.store).refresh().all()
        return found

    def spoil(self, name: str, *positions: int) -> None:
        """Flip a bit of these bytes of a pack."""
        flip(self.store, pack_key(name), *positions)

    def lose(self, *names: str) -> None:
        """Delete packs."""
        for name in names:
            self.store.delete(pack_key(name))

    def wrong(self) -> list[str]:
        """The packs that are not as they were."""
        there = set(self.store.list("packs/"))
        return [n for n in self.packs if pack_key(n) not in there or self.store.get(pack_key(n)) != self.packs[n]]

    def mend(self, *others: LocalStore) -> list[Mended]:
        """Bring back what is wrong, each put back as it comes; what could not be."""
        left = []
        for mended in mend([self.store, *others], self.group(), self.wrong()):
            if mended.data is None:
                left.append(mended)
            else:
                self.store.put(pack_key(mended.name), mended.data)
        return left


def flip(store: LocalStore, key: str, *positions: int) -> None:
    """Flip a bit of these bytes of an object."""
    data = bytearray(store.get(key))
    for position in positions:
        data[position] ^= 1 << position % 8
    store.put(key, data)


def keep(store: LocalStore, shards: int = 2, seed: int = 1) -> Kept:
    """Fill a store."""
    chance = random.Random(seed)
    packs = {}
    for size in SIZES:
        data = chance.randbytes(size)
        packs[hashlib.sha256(data).hexdigest()] = data
    for name, data in packs.items():
        store.put(pack_key(name), data)
    return Kept(store, packs, tuple(protect(store, list(packs), shards)))
