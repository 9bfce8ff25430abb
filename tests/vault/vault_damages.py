"""Every kind of damage a vault may suffer, by name: each is a function of the vault's store that does it, seeded.

`WITHIN` are those two shards of parity bear, `BEYOND` those they do not: three packs that hold the most.
"""

from __future__ import annotations

from collections.abc import Callable

from emeritus.blobs.base import BlobStore
from emeritus.vault.packs.pack import FOOTER, pack_key
from emeritus.vault.parity.form import BLOCK
from emeritus.vault.parity.groups import Groups

Damaging = Callable[[BlobStore], object]


def packs(store: BlobStore) -> list[str]:
    """The packs of the largest group, largest first: those that hold weights."""
    group = max(Groups(store).refresh().all(), key=lambda each: len(each.packs))
    return sorted(map(pack_key, group.packs), key=lambda key: (-(store.size(key) or 0), key))


def shards(store: BlobStore) -> list[str]:
    """The parity objects of that group."""
    return list(max(Groups(store).refresh().all(), key=lambda each: len(each.packs)).keys)


def the_manifest(store: BlobStore) -> str:
    """The only manifest."""
    (key,) = store.list("manifests/")
    return key


def copies(store: BlobStore) -> list[str]:
    """The packs outside the largest group: the manifest's copy."""
    held = set(packs(store))
    return [key for key in store.list("packs/") if key not in held]


def flip(store: BlobStore, key: str, *positions: int) -> None:
    """Flip one bit of each of these bytes; negative positions count from the end."""
    data = bytearray(store.get(key))
    for position in positions:
        data[position % len(data)] ^= 1 << position % 8
    store.put(key, data)


def cut(store: BlobStore, key: str, length: int) -> None:
    """Keep the first bytes only."""
    store.put(key, store.get(key)[:length])


def swap(store: BlobStore, *keys: str) -> None:
    """Each object gets the bytes of the next, the last those of the first."""
    found = [store.get(key) for key in keys]
    for key, data in zip(keys, found[1:] + found[:1], strict=True):
        store.put(key, data)


def lose(store: BlobStore, *keys: str) -> None:
    """Delete objects."""
    for key in keys:
        store.delete(key)


def scatter(store: BlobStore) -> None:
    """Bits flipped in every pack of the group, in two of them at most in any column of blocks."""
    for number, key in enumerate(packs(store)):
        column = number // 2
        if (store.size(key) or 0) > column * BLOCK:
            flip(store, key, column * BLOCK + 3, min(column * BLOCK + 700, (store.size(key) or 0) - 1))


WITHIN: dict[str, Damaging] = {
    "a bit in a segment": lambda store: flip(store, packs(store)[0], 100),
    "a bit in the magic": lambda store: flip(store, packs(store)[0], 2),
    "a bit in an index": lambda store: flip(store, packs(store)[1], -FOOTER.size - 20),
    "a bit in a footer": lambda store: flip(store, packs(store)[1], -30),
    "bits in many packs": scatter,
    "an empty pack": lambda store: cut(store, packs(store)[0], 0),
    "a pack cut in half": lambda store: cut(store, packs(store)[0], (store.size(packs(store)[0]) or 0) // 2),
    "a pack without its last byte": lambda store: cut(store, packs(store)[0], (store.size(packs(store)[0]) or 0) - 1),
    "bytes after a pack's end": lambda store: store.put(packs(store)[0], store.get(packs(store)[0]) + b"more"),
    "a lost pack": lambda store: lose(store, packs(store)[0]),
    "two lost packs": lambda store: lose(store, *packs(store)[:2]),
    "two swapped packs": lambda store: swap(store, *packs(store)[:2]),
    "five packs in a round": lambda store: swap(store, *packs(store)[:5]),
    "a pack under a lost one's name": lambda store: store.put(packs(store)[0], store.get(packs(store)[1])),
    "a lost shard": lambda store: lose(store, shards(store)[0]),
    "both shards lost": lambda store: lose(store, *shards(store)),
    "both shards unreadable": lambda store: [cut(store, key, 40) for key in shards(store)],
    "swapped shards": lambda store: swap(store, *shards(store)),
    "a bit in a shard": lambda store: flip(store, shards(store)[1], (store.size(shards(store)[1]) or 0) // 2),
    "a bit in a description": lambda store: flip(store, shards(store)[1], 60),
    "a shard and a pack lost": lambda store: lose(store, shards(store)[0], packs(store)[0]),
    "a bit in the manifest": lambda store: flip(store, the_manifest(store), 100),
    "a lost manifest": lambda store: lose(store, the_manifest(store)),
    "manifest and copy damaged": lambda store: [flip(store, the_manifest(store), 9), flip(store, copies(store)[0], 9)],
    "manifest and copy lost": lambda store: lose(store, the_manifest(store), *copies(store)),
    "the text that explains it": lambda store: [flip(store, "README.txt", 5), lose(store, "restore.py")],
}
