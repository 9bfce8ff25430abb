"""More parity where more is at stake: packs whose segments are the bases of other residents' differences.

Reads indexes and manifests; which packs there are and what covers them is others' business.
"""

from __future__ import annotations

from collections.abc import Iterable

from emeritus.blobs.base import BlobStore
from emeritus.vault.manifest import Manifest
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.parity.form import PREFIX, parse_key
from emeritus.vault.parity.groups import Groups, reinforce, wanted_shards


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


def missing_shards(store: BlobStore, index: SegmentIndex, manifests: Iterable[Manifest]) -> list[str]:
    """parity/GROUP/NUMBER of the shards that `reinforce_bases` would have made and that are not there."""
    groups = Groups(store).refresh()
    found = set()
    for pack, names in dependants(index, manifests).items():
        for group in groups.covering([pack]):
            there = {where.shard for key in group.keys if (where := parse_key(key))}
            missing = set(range(wanted_shards(len(names)))) - there
            found |= {f"{PREFIX}{group.name}/{number}" for number in missing}
    return sorted(found)


def reinforce_bases(store: BlobStore, index: SegmentIndex, manifests: Iterable[Manifest]) -> list[str]:
    """See to it that each group has the shards its most needed pack wants; the keys of those added."""
    added = []
    by_shards: dict[int, set[str]] = {}
    for pack, names in dependants(index, manifests).items():
        by_shards.setdefault(wanted_shards(len(names)), set()).add(pack)
    for shards, packs in sorted(by_shards.items(), reverse=True):
        added += reinforce(store, packs, shards)
    return added
