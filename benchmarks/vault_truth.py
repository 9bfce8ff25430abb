"""What a damaged vault must still give, worked out from the undamaged bytes alone: no code of the vault is asked.

Reads the format by its document: packs' indexes, manifests, the descriptions in parity objects. A block is sound when
its bytes are those there were; a column comes back when it has no more bad blocks than sound blocks of shards.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

BLOCK = 65536
FOOTER = struct.Struct("<QQ32s8s")
ENTRY = struct.Struct("<32s32sQQQHHI")
HEAD = struct.Struct("<8sIHHH6xQ")
Objects = Mapping[str, bytes]


File = tuple[str, str, int, str]  # name, role, version, path; the path is empty for all files of a lost manifest


@dataclass
class Truth:
    """The undamaged vault."""

    whole: Objects
    # by pack: (segment, base, offset, stored, kind)
    entries: dict[str, list[tuple[str, str, int, int, int]]] = field(default_factory=dict)
    # packs in order, shards by number, bytes of the description
    groups: dict[str, tuple[list[str], dict[int, str], int]] = field(default_factory=dict)
    manifests: dict[str, dict[str, object]] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)  # a manifest's key: the pack of its copy

    def __post_init__(self) -> None:
        for key, data in self.whole.items():
            if key.startswith("packs/"):
                at, count, _, _ = FOOTER.unpack(data[-FOOTER.size :])
                fields = [ENTRY.unpack_from(data, at + ENTRY.size * number) for number in range(count)]
                self.entries[key] = [(e[0].hex(), e[1].hex(), e[2], e[3], e[6]) for e in fields]
            elif key.startswith("manifests/"):
                self.manifests[key] = json.loads(data)["manifest"]
            elif key.startswith("parity/"):
                _, _, packs, shards, number, length = HEAD.unpack_from(data)
                members = [struct.unpack_from("<32sQ", data, HEAD.size + 40 * j) for j in range(packs)]
                blocks = sum(-(-size // BLOCK) for _, size in members) + shards * -(-length // BLOCK)
                told = HEAD.size + 40 * packs + 32 * blocks + 32
                names = [f"packs/{name.hex()[:2]}/{name.hex()}.pack" for name, _ in members]
                group = self.groups.setdefault(key.split("/")[1], (names, {}, told))
                group[1][number] = key
        for key, entries in self.entries.items():
            if any(kind == 1 for *_, kind in entries):
                self.copies.update({m: key for m in self.manifests if self._is_copy(key, m)})

    def _is_copy(self, pack: str, manifest: str) -> bool:
        from blake3 import blake3

        return any(
            name == blake3(self.whole[manifest]).hexdigest() for name, *_, kind in self.entries[pack] if kind == 1
        )

    def beyond(self, *found: Objects) -> set[str]:
        """Packs and manifests that the vault (first) need not get back from itself and from replicas (the others)."""
        here = dict(found[0])
        lying = set(here.values())  # what lies whole under another's name goes where its own name says
        here |= {key: data for key, data in self.whole.items() if not key.startswith("manifests/") and data in lying}
        stores = (here, *found[1:])
        packs = {key: any(store.get(key) == self.whole[key] for store in stores) for key in self.entries}
        while True:
            back = {key for key in packs if not packs[key] and self._columns_bear(key, packs, stores)}
            if not back:
                break
            packs |= dict.fromkeys(back, True)
        left = {key: self.whole[key] if packs[key] else here.get(key, b"") for key in packs}
        manifests = {
            key: any(store.get(key) == data for store in stores)
            or self._has_copy(key, left)
            or self._has_copy(key, here)
            for key, data in self.whole.items()
            if key in self.manifests
        }
        return {key for key, comes_back in (packs | manifests).items() if not comes_back}

    def files_lost(self, left: Objects) -> set[File]:
        """The files that cannot be read from a vault that holds this."""
        files = set()
        for key, manifest in self.manifests.items():
            where = (str(manifest["name"]), str(manifest["role"]), int(str(manifest["version"])))
            if left.get(key) != self.whole[key]:
                files.add((*where, ""))
                continue
            for file in manifest["files"]:
                if not all(self._readable(name, left) for name, _ in file["segments"]):
                    files.add((*where, file["path"]))
        return files

    def _has_copy(self, manifest: str, packs: Objects) -> bool:
        """Whether the copy of a manifest can be read from some pack, be it damaged elsewhere."""
        pack = self.copies[manifest]
        return any(self._intact(pack, at, stored, packs) for *_, at, stored, kind in self.entries[pack] if kind == 1)

    def _columns_bear(self, key: str, packs: dict[str, bool], stores: tuple[Objects, ...]) -> bool:
        """Whether some group of the pack can solve every column in which it is bad."""
        for names, shards, told in self.groups.values():
            if key not in names or not any(self._described(shard, told, stores) for shard in shards.values()):
                continue
            columns = range(-(-len(self.whole[key]) // BLOCK))
            if all(self._column_bears(column, key, (names, shards, told), packs, stores) for column in columns):
                return True
        return False

    def _column_bears(
        self,
        column: int,
        key: str,
        group: tuple[list[str], dict[int, str], int],
        packs: dict[str, bool],
        stores: tuple[Objects, ...],
    ) -> bool:
        names, shards, told = group
        bad = [name for name in names if not packs[name] and not self._block(name, BLOCK * column, stores)]
        if key not in bad:
            return True
        sound = sum(self._block(shard, told + BLOCK * column, stores, told) for shard in shards.values())
        return len(bad) <= sound

    def _block(self, key: str, at: int, stores: tuple[Objects, ...], tail: int = 0) -> bool:
        """Whether any store has the block at `at` as it was; a shard's last ends before its second description."""
        end = min(at + BLOCK, len(self.whole[key]) - (tail + 16 if tail else 0))
        right = self.whole[key][at:end]
        return any(store.get(key, b"")[at:end] == right for store in stores)

    def _described(self, key: str, told: int, stores: tuple[Objects, ...]) -> bool:
        """Whether either description in a parity object can still be found."""
        right = self.whole[key][:told]
        return any(
            found[:told] == right or (found[-16:] == self.whole[key][-16:] and found[-16 - told : -16] == right)
            for found in (store.get(key, b"") for store in stores)
        )

    def _readable(self, segment: str, packs: Objects) -> bool:
        """Whether a segment is sound in some pack, itself and the base it may need."""
        for key, entries in self.entries.items():
            for name, base, offset, stored, kind in entries:
                here = name == segment and kind == 0 and self._intact(key, offset, stored, packs)
                if here and (base == "00" * 32 or self._readable(base, packs)):
                    return True
        return False

    def _intact(self, key: str, offset: int, stored: int, packs: Objects) -> bool:
        """Whether these bytes of a pack and the index that tells of them are there, be it under another pack's name."""
        right = self.whole[key]
        index = FOOTER.unpack(right[-FOOTER.size :])[0]
        return any(
            len(found) == len(right)
            and found[index:] == right[index:]
            and found[offset : offset + stored] == right[offset : offset + stored]
            for place, found in packs.items()
            if place.startswith("packs/")
        )
