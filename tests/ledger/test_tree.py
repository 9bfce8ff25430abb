"""The tree's hashes and proofs are those of RFC 6962 and 9162, through tiles as well as without them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emeritus.ledger import tree

# Leaves, roots and proofs of the Certificate Transparency reference implementation's tests.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATH_0_OF_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
CONSISTENCY_6_TO_8 = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word by word."""
    if not leaves:
        return tree.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return tree.node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1, word by word."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_consistency(old: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2, word by word."""
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if old <= split:
        return [*naive_consistency(old, leaves[:split], whole), naive_root(leaves[split:])]
    return [*naive_consistency(old - split, leaves[split:], False), naive_root(leaves[:split])]


def hashes(count: int) -> list[bytes]:
    """Leaf hashes of made-up entries."""
    return [tree.leaf_hash(b"%d" % number) for number in range(count)]


def over(leaves: list[bytes]) -> tree.Subtree:
    """Complete subtrees straight from the leaves."""
    return lambda height, index: naive_root(leaves[index << height : (index + 1) << height])


def test_roots_are_the_known_ones() -> None:
    """Every tree of zero to eight leaves has the root the reference implementation gives."""
    leaves = [tree.leaf_hash(bytes.fromhex(each)) for each in LEAVES]
    for size, root in enumerate(ROOTS):
        assert tree.range_root(0, size, over(leaves)).hex() == root
        assert tree.fold(leaves[:size]).hex() == root


def test_proofs_are_the_known_ones() -> None:
    """An inclusion and a consistency proof equal the reference implementation's."""
    leaves = [tree.leaf_hash(bytes.fromhex(each)) for each in LEAVES]
    assert [each.hex() for each in tree.inclusion_proof(0, 8, over(leaves))] == PATH_0_OF_8
    assert [each.hex() for each in tree.consistency_proof(1, 8, over(leaves))] == PATH_0_OF_8
    assert [each.hex() for each in tree.consistency_proof(6, 8, over(leaves))] == CONSISTENCY_6_TO_8


@given(st.integers(1, 70), st.data())
def test_inclusion_proofs_hold_for_their_leaf_only(size: int, data: st.DataObject) -> None:
    """Any proof equals the naive one and verifies; with another leaf, index, size or hash it does not."""
    leaves = hashes(size)
    root = naive_root(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion_proof(index, size, over(leaves))
    assert proof == naive_path(index, leaves)
    assert tree.included(leaves[index], index, size, proof, root)
    assert not tree.included(tree.leaf_hash(b"other"), index, size, proof, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda each: each != index)) if size > 1 else 1
    assert not tree.included(leaves[index], other, size, proof, root)
    assert not tree.included(leaves[index], index, size, [*proof, root], root)
    if proof:
        assert not tree.included(leaves[index], index, size, proof[:-1], root)
        place = data.draw(st.integers(0, len(proof) - 1))
        assert not tree.included(leaves[index], index, size, [*proof[:place], root, *proof[place + 1 :]], root)


@given(st.integers(0, 70), st.integers(0, 70), st.data())
def test_consistency_proofs_hold_for_their_trees_only(old: int, more: int, data: st.DataObject) -> None:
    """Any proof equals the naive one and verifies; with another old root, new root or hash it does not."""
    new = old + more
    leaves = hashes(new)
    old_root, new_root = naive_root(leaves[:old]), naive_root(leaves)
    proof = tree.consistency_proof(old, new, over(leaves))
    assert proof == ([] if old == 0 else naive_consistency(old, leaves))
    assert tree.consistent(old, new, old_root, new_root, proof)
    strange = tree.leaf_hash(b"strange")
    assert not tree.consistent(old, new, strange, new_root, proof)
    if old:
        assert not tree.consistent(old, new, old_root, strange, proof)
    assert not tree.consistent(old, new, old_root, new_root, [*proof, strange])
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        assert not tree.consistent(old, new, old_root, new_root, [*proof[:place], strange, *proof[place + 1 :]])
        assert not tree.consistent(old, new, old_root, new_root, proof[:-1])


@pytest.fixture(scope="module")
def grown() -> dict[int, tuple[tree.Edge, dict[str, bytes]]]:
    """A tree grown leaf by leaf over three tile boundaries: the edge and the newest tiles at chosen sizes."""
    edge: tree.Edge = ()
    tiles: dict[str, bytes] = {}
    found = {0: (edge, dict(tiles))}
    for size in range(800):
        edge, changed = tree.extend(edge, size, tree.leaf_hash(b"%d" % size))
        tiles.update((tile.key, tile.data) for tile in changed)
        if size + 1 in (1, 2, 255, 256, 257, 511, 512, 513, 800):
            found[size + 1] = (edge, dict(tiles))
    return found


def test_the_edge_gives_the_root_and_tiles_give_every_proof(
    grown: dict[int, tuple[tree.Edge, dict[str, bytes]]],
) -> None:
    """At and around tile boundaries, the root from the edge and proofs from tiles are the naive ones."""
    for size, (edge, tiles) in grown.items():
        leaves = hashes(size)
        assert tree.edge_root(edge) == naive_root(leaves)
        assert [(len(part)) for part in edge if part] == [width for _, width in tree.edge_shape(size) if width]

        def subtree(height: int, index: int, size: int = size, tiles: dict[str, bytes] = tiles) -> bytes:
            level, tile, start, end = tree.subtree_tile(height, index)
            width = min(tree.WIDTH, size // tree.WIDTH**level - tile * tree.WIDTH)
            data = tiles[tree.tile_key(level, tile, width)]
            return tree.fold([data[at * 32 : at * 32 + 32] for at in range(start, end)])

        for index in {0, size // 2, size - 2, size - 1} & set(range(size)):
            assert tree.inclusion_proof(index, size, subtree) == naive_path(index, leaves)
        for old in {1, size // 3, size - 1} & set(range(1, size)):
            assert tree.consistency_proof(old, size, subtree) == naive_consistency(old, leaves)


def test_files_lie_where_tlog_tiles_puts_them() -> None:
    """The specification's example and its edges."""
    assert tree.tile_key(0, 1234067) == "tile/0/x001/x234/067"
    assert tree.tile_key(2, 0, 1) == "tile/2/000.p/1"
    assert tree.entries_key(999, 255) == "tile/entries/999.p/255"
    assert tree.entries_key(1000) == "tile/entries/x001/000"
