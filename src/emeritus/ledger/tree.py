"""Merkle tree arithmetic of RFC 6962/9162 with SHA-256, cut into tiles 256 wide (C2SP tlog-tiles). Pure.

A hash tile of level L holds up to 256 hashes, each the root of a complete subtree of 256**L entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH = 256  # hashes or entries of a full tile
_HEIGHT = 8  # tree levels a tile spans: 2**8 == WIDTH
HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Subtree = Callable[[int, int], bytes]  # (height, index) -> root of the complete subtree of 2**height leaves


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root over nodes of equal height, of which only the last may be smaller; the empty tree's root for none."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = _split(len(hashes))
    return node_hash(fold(hashes[:split]), fold(hashes[split:]))


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


# -- tiles


@dataclass(frozen=True, slots=True)
class Tile:
    """One hash tile: its level, its index in that level, and its hashes (1 to 256)."""

    level: int
    index: int
    hashes: tuple[bytes, ...]

    @property
    def key(self) -> str:
        """Where the tile lies in the log's folder."""
        return tile_key(self.level, self.index, len(self.hashes))

    @property
    def data(self) -> bytes:
        """The tile's bytes: its hashes, one after the other."""
        return b"".join(self.hashes)


Edge = tuple[tuple[bytes, ...], ...]  # the hashes of each level's partial tile, level 0 first: the tree's right edge


def edge_root(edge: Edge) -> bytes:
    """The tree's root from its right edge alone."""
    right: tuple[bytes, ...] = ()
    for hashes in edge:
        nodes = hashes + right
        right = (fold(nodes),) if nodes else ()
    return fold(right)


def extend(edge: Edge, size: int, leaf: bytes) -> tuple[Edge, list[Tile]]:
    """The right edge after one more leaf on a tree of `size` leaves, and the tiles that changed, lowest level first."""
    levels = [list(hashes) for hashes in edge]
    tiles: list[Tile] = []
    carried: bytes | None = leaf
    level = 0
    while carried is not None:
        if level == len(levels):
            levels.append([])
        levels[level].append(carried)
        tiles.append(Tile(level, size // WIDTH ** (level + 1), tuple(levels[level])))
        carried = None
        if len(levels[level]) == WIDTH:
            carried = fold(levels[level])
            levels[level] = []
            level += 1
    return tuple(tuple(hashes) for hashes in levels), tiles


def edge_shape(size: int) -> list[tuple[int, int]]:
    """Index and width of each level's partial tile in a tree of `size` leaves, level 0 first; width 0 where none is."""
    shape = []
    count = size
    while count:
        shape.append((count // WIDTH, count % WIDTH))
        count //= WIDTH
    return shape


def tile_key(level: int, index: int, width: int = WIDTH) -> str:
    """Where tlog-tiles puts a hash tile: `tile/<L>/<N>[.p/<W>]`."""
    return _key(f"tile/{level}", index, width)


def entries_key(index: int, width: int = WIDTH) -> str:
    """Where tlog-tiles puts a bundle of entries: `tile/entries/<N>[.p/<W>]`."""
    return _key("tile/entries", index, width)


def _key(prefix: str, index: int, width: int) -> str:
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.append(f"x{index % 1000:03d}")
    path = f"{prefix}/{'/'.join(reversed(parts))}"
    return path if width == WIDTH else f"{path}.p/{width}"


def subtree_tile(height: int, index: int) -> tuple[int, int, int, int]:
    """Level and index of the tile that holds a complete subtree, and the run [start, end) of hashes that fold to it."""
    level, inside = divmod(height, _HEIGHT)
    first = index << inside
    start = first % WIDTH
    return level, first // WIDTH, start, start + (1 << inside)


# -- proofs


def range_root(start: int, end: int, subtree: Subtree) -> bytes:
    """Root over the leaves [start, end), where `start` is a multiple of the power of two not below `end - start`."""
    size = end - start
    if size == 0:
        return EMPTY_ROOT
    if size & (size - 1) == 0:
        height = size.bit_length() - 1
        return subtree(height, start >> height)
    split = start + _split(size)
    return node_hash(range_root(start, split, subtree), range_root(split, end, subtree))


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """RFC 9162 2.1.3.1: the audit path of leaf `index` in the tree of `size` leaves. Requires 0 <= index < size."""
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(range_root(split, end, subtree))
            end = split
        else:
            path.append(range_root(start, split, subtree))
            start = split
    return path[::-1]


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """RFC 9162 2.1.4.1: proof that the tree of `old` leaves is a prefix of that of `new`. Requires 0 <= old <= new."""
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, end = 0, new
    while end != old:
        split = start + _split(end - start)
        if old <= split:
            path.append(range_root(split, end, subtree))
            end = split
        else:
            path.append(range_root(start, split, subtree))
            start = split
    if start:  # the old root itself is known to the verifier, a subtree of it is not
        path.append(range_root(start, end, subtree))
    return path[::-1]


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162 2.1.3.2: whether the audit path leads from the leaf hash to the root."""
    if not 0 <= index < size:
        return False
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 2.1.4.2: whether the proof shows the old tree to be a prefix of the new one."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_value = new_value = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_value = node_hash(sibling, old_value)
            new_value = node_hash(sibling, new_value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_value = node_hash(new_value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_value == old_root and new_value == new_root
