"""More parity where more is at stake: packs whose segments are the bases of other residents' differences.

Reads indexes and manifests; which packs there are and what covers them is others' business.
"""

from __future__ import annotations

from collections.abc import Iterable

from emeritus.blobs.base import BlobStore
from emeritus.vault.index import SegmentIndex
from emeritus.vault.manifest import Manifest
from emeritus.vault.parity.groups import reinforce, wanted_shards


def dependants(index: SegmentIndex, manifests: Iterable[Manifest]) -> dict[str, set[str]]:
    """The residents whose differences rest on each pack (sha256 hex); packs nobody's does are left out."""
    found: dict[str, set[str]] = {}
    for manifest in manifests:
        if not manifest.bases:
            continue
        for digest in {digest for file in manifest.files for digest, _ in file.segments}:
            for base in {entry.base for _, entry in index.places(bytes.fromhex(digest)) if entry.base}:
                for pack, _ in index.places(base):
                    found.setdefault(pack, set()).add(manifest.name)
    return found


def reinforce_bases(store: BlobStore, index: SegmentIndex, manifests: Iterable[Manifest]) -> list[str]:
    """See to it that each group has the shards its most needed pack wants; the keys of those added."""
    added = []
    by_shards: dict[int, set[str]] = {}
    for pack, names in dependants(index, manifests).items():
        by_shards.setdefault(wanted_shards(len(names)), set()).add(pack)
    for shards, packs in sorted(by_shards.items(), reverse=True):
        added += reinforce(store, packs, shards)
    return added
