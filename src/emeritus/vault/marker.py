"""Bringing back the object that makes a vault one, without which it cannot be opened and so not be repaired."""

from __future__ import annotations

from collections.abc import Collection

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, StoreUnavailable
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.vault import MARKER, Vault


def repair_marker(store: BlobStore, replicas: Collection[BlobStore]) -> str | None:
    """Bring back the object without which a vault cannot be opened; from where it came, None when it is sound.

    From a replica; else it is made anew, with this program's files beside it, unless keys lie there or packs name some:
    that the vault is encrypted only the lost marker told. Raises IntegrityError, or NotFound: there is no vault at all.
    """
    try:
        Vault.at(store)
        return None
    except (NotFound, IntegrityError):
        for replica in replicas:
            try:
                Vault.at(replica)
                store.put(MARKER, replica.get(MARKER))
                return replica.url
            except (NotFound, IntegrityError, StoreUnavailable):
                continue
        if not any(True for _ in store.list("packs/")) or _encrypted(store):
            raise
    store.delete(MARKER)
    Vault.create(store)
    return "package"


def _encrypted(store: BlobStore) -> bool:
    """Whether the store holds keys, or packs that name any."""
    index = SegmentIndex(store)
    index.refresh()
    return bool(index.key_numbers) or any(True for _ in store.list("keys/"))
