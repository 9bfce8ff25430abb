"""Which groups of packs there are, by the parity objects in the store: what covers a pack, which packs nothing covers.

Learns from keys and from the first bytes of one object per group. Reads no pack; decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, UnknownFormat
from emeritus.vault.parity.build import SHARDS, protect, strengthen
from emeritus.vault.parity.form import PREFIX, parse_key, read_members


@dataclass(frozen=True, slots=True)
class Group:
    """Packs (sha256 hex) that share parity, in the order of the columns, and the keys of its shards by number.

    `packs` is empty where no shard can be read any more.
    """

    name: str
    packs: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def shards(self) -> int:
        """How many different shards there are."""
        return len({where.shard for key in self.keys if (where := parse_key(key))})


class Groups:
    """The groups in a store. `refresh` before use; a group another process makes is seen at the next."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._members: dict[str, tuple[str, ...]] = {}
        self._keys: dict[str, list[str]] = {}

    def refresh(self) -> Groups:
        """List the parity objects and learn the packs of the groups not known yet."""
        found: dict[str, list[str]] = {}
        for key in self._store.list(PREFIX):
            if where := parse_key(key):
                found.setdefault(where.group, []).append(key)
        self._keys = {group: sorted(keys, key=_number) for group, keys in found.items()}
        self._members = {
            group: self._members.get(group) or self._read(keys) for group, keys in sorted(self._keys.items())
        }
        return self

    def all(self) -> list[Group]:
        """Every group, by name."""
        return [Group(name, packs, tuple(self._keys[name])) for name, packs in self._members.items()]

    def covering(self, packs: Collection[str]) -> list[Group]:
        """The groups that hold any of these packs."""
        wanted = set(packs)
        return [group for group in self.all() if wanted & set(group.packs)]

    def uncovered(self, packs: Iterable[str]) -> list[str]:
        """Those of the packs that are in no group, in the order given."""
        covered = {pack for packs in self._members.values() for pack in packs}
        return [pack for pack in dict.fromkeys(packs) if pack not in covered]

    def _read(self, keys: Sequence[str]) -> tuple[str, ...]:
        for key in keys:
            try:
                return read_members(self._store, key)
            except (NotFound, IntegrityError, UnknownFormat):
                continue  # `verify` names the damage; another shard tells the same
        return ()


def reinforce(store: BlobStore, packs: Collection[str], shards: int) -> list[str]:
    """See to it that every group holding one of these packs has that many shards; the keys of those added."""
    added = []
    for group in Groups(store).refresh().covering(packs):
        if group.shards < shards:
            added += strengthen(store, group.keys[-1], shards)
    return added


def part(store: BlobStore, removing: Collection[str], shards: int = SHARDS) -> list[str]:
    """Give the packs that share groups with those about to be removed groups of their own, with as many shards.

    Call it before anything is deleted: each of them is read and proven for that. The old groups stay, and are for the
    caller to delete; a crash in between leaves packs that two groups cover. The keys of the parity objects made.
    Raises NotFound, and IntegrityError at a damaged pack.
    """
    gone = set(removing)
    made: list[str] = []
    for group in Groups(store).refresh().covering(gone):
        if left := [pack for pack in group.packs if pack not in gone]:
            made += protect(store, left, max(shards, group.shards))
    return made


def wanted_shards(dependants: int) -> int:
    """Shards for packs that so many other residents' differences rest on: two, and one more for each doubling."""
    return SHARDS + dependants.bit_length()


def _number(key: str) -> tuple[int, str]:
    where = parse_key(key)
    return (where.shard if where else 0, key)
