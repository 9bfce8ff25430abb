"""Parity over packs: what is lost or damaged within its budget comes back, and what is beyond is said by column."""

from __future__ import annotations

import hashlib
import random
import re
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import pytest
from parity_packs import Kept, flip, keep

from emeritus.blobs.local import LocalStore
from emeritus.errors import InputError, IntegrityError, NotFound, UnknownFormat
from emeritus.vault.digests import blake3_of
from emeritus.vault.manifest import FileEntry, Manifest
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import Encoded, PackBuilder, pack_key
from emeritus.vault.parity.build import Encoder, GroupBuilder, protect, strengthen
from emeritus.vault.parity.dependants import reinforce_bases
from emeritus.vault.parity.form import BLOCK, TAIL, parity_object, parse_key, read_description
from emeritus.vault.parity.groups import Groups, part, reinforce, wanted_shards
from emeritus.vault.parity.mend import remake

TEXT = files("emeritus.vault.standalone").joinpath("FORMAT.txt").read_text(encoding="ascii")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Nine packs, one group, two shards."""
    return keep(LocalStore(tmp_path / "store"))


def test_the_documents_example() -> None:
    """The documented object is what the writer makes, under the documented key."""
    section = TEXT.partition("## Parity")[2].partition("\n## ")[0]
    documented = bytes.fromhex("".join(re.findall(r"^    ([0-9a-f]+)$", section, re.MULTILINE)))
    encoder = Encoder([0, 1])
    for data in (b"abc", b"defghijk"):
        encoder.add(hashlib.sha256(data).hexdigest(), data)
    description, parity = encoder.finish()
    key, made = parity_object(description, 1, parity[1])
    assert made == documented
    assert re.sub(r"\n    ", "", section).count(key) == 1


def test_any_two_lost_packs_come_back(kept: Kept) -> None:
    """Pairs of packs of every size, deleted, are given back to the byte; the parity itself is untouched."""
    for pair in combinations(kept.names[::2], 2):
        kept.lose(*pair)
        assert kept.mend() == []
        assert kept.wrong() == []
    assert kept.group().keys == kept.parity


def test_scattered_flips_in_every_pack_come_back(kept: Kept) -> None:
    """All packs are damaged, but no column in more than two of them."""
    names = {len(data): name for name, data in kept.packs.items()}
    kept.spoil(names[1], 0)
    kept.spoil(names[700], 699)
    kept.spoil(names[BLOCK + 1], BLOCK)
    kept.spoil(names[2 * BLOCK], BLOCK + 7, 2 * BLOCK - 1)
    kept.spoil(names[3 * BLOCK], 2 * BLOCK)
    kept.spoil(names[3 * BLOCK + 5], 3 * BLOCK - 1, 3 * BLOCK + 4)
    kept.spoil(names[17 * BLOCK + 9], *range(3 * BLOCK, 17 * BLOCK + 9, 9000))
    assert len(kept.wrong()) == 7
    assert kept.mend() == []
    assert kept.wrong() == []


def test_truncated_lengthened_and_swapped_packs_come_back(kept: Kept) -> None:
    """A pack cut short, one with bytes after its end, and two in each other's place."""
    one, two = kept.names[5], kept.names[8]
    for cut in (0, 1, BLOCK, 3 * BLOCK - 1):
        kept.store.put(pack_key(one), kept.packs[one][:cut])
        kept.store.put(pack_key(two), kept.packs[two] + b"more")
        assert (kept.mend(), kept.wrong()) == ([], [])
    kept.store.put(pack_key(one), kept.packs[two])
    kept.store.put(pack_key(two), kept.packs[one])
    assert (kept.mend(), kept.wrong()) == ([], [])


def test_a_damaged_shard_costs_its_blocks_only(kept: Kept) -> None:
    """One shard with a bad block and one pack lost: the other shard's block serves in that column."""
    told = len(read_description(kept.store, kept.parity[0]).to_bytes(0))
    flip(kept.store, kept.parity[0], told + 2 * BLOCK)
    flip(kept.store, kept.parity[1], told + 5 * BLOCK)
    kept.lose(kept.names[8])
    assert (kept.mend(), kept.wrong()) == ([], [])


def test_beyond_the_budget_the_columns_are_named(kept: Kept) -> None:
    """Three packs damaged in one column: nothing is guessed, and what can be brought back still is."""
    long = [name for name, data in kept.packs.items() if len(data) > 2 * BLOCK]
    for name in long:
        kept.spoil(name, 2 * BLOCK + 1)
    kept.lose(kept.names[0])
    left = kept.mend()
    assert {each.name: each.beyond for each in left} == dict.fromkeys(long, (2,))
    assert sorted(kept.wrong()) == sorted(long)


def test_blocks_of_another_store_serve(kept: Kept, tmp_path: Path) -> None:
    """Three packs bad in one column here, and each damaged elsewhere in another store: together they come back."""
    other = keep(LocalStore(tmp_path / "other")).store
    long = [name for name, data in kept.packs.items() if len(data) > 2 * BLOCK]
    for name in long:
        kept.spoil(name, 2 * BLOCK + 1)
        flip(other, pack_key(name), 0)
    assert (kept.mend(other), kept.wrong()) == ([], [])


@pytest.mark.parametrize("place", ["head", "tail", "version"])
def test_either_description_serves(kept: Kept, place: str) -> None:
    """Every shard with one of its two descriptions damaged, a format version among it, still mends."""
    for key in kept.parity:
        size = kept.store.size(key) or 0
        flip(kept.store, key, {"head": 50, "tail": size - TAIL.size - 50, "version": 6}[place])
    kept.lose(*kept.names[3:5])
    assert (kept.mend(), kept.wrong()) == ([], [])


def test_a_shard_without_any_description(kept: Kept) -> None:
    """With both descriptions of one shard gone its blocks still count, by the other shard's digests."""
    size = kept.store.size(kept.parity[0]) or 0
    flip(kept.store, kept.parity[0], 50, size - TAIL.size - 50)
    with pytest.raises(IntegrityError):
        read_description(kept.store, kept.parity[0])
    kept.lose(*kept.names[3:5])
    assert (kept.mend(), kept.wrong()) == ([], [])


def test_lost_and_damaged_parity_is_made_again(kept: Kept) -> None:
    """Under its own name and with its own bytes, whatever happened to it, also after shards were added."""
    added = strengthen(kept.store, kept.parity[0], 4)
    before = {key: kept.store.get(key) for key in (*kept.parity, *added)}
    assert [parse_key(key).shard for key in before] == [0, 1, 2, 3]
    kept.store.delete(kept.parity[1])
    kept.store.put(added[1], b"short")
    sound = {kept.parity[0], added[0]}
    assert remake([kept.store], kept.group(), sound) == {kept.parity[1]: None, added[1]: added[1]}
    assert {key: kept.store.get(key) for key in kept.store.list("parity/")} == before
    assert remake([kept.store], kept.group(), set(before)) == {}
    for key in before:
        kept.store.put(key, before[key][:40])  # nothing is left that tells: the names do
    group = Groups(kept.store).refresh().all()[0]
    assert group.packs == ()
    assert set(remake([kept.store], type(group)(group.name, tuple(kept.names), group.keys), set())) == set(before)
    assert {key: kept.store.get(key) for key in kept.store.list("parity/")} == before


def test_more_shards_bear_more_losses(kept: Kept) -> None:
    """Two shards added later touch no earlier one, and four lost packs come back."""
    before = {key: kept.store.get(key) for key in kept.parity}
    assert len(reinforce(kept.store, kept.names[:1], wanted_shards(3))) == 2
    assert {key: kept.store.get(key) for key in kept.parity} == before
    assert reinforce(kept.store, kept.names[:1], 4) == []
    kept.lose(*kept.names[2:6])
    assert (kept.mend(), kept.wrong()) == ([], [])


def test_builder_and_protect_agree(kept: Kept, tmp_path: Path) -> None:
    """Packs given from memory make the objects that packs read back make; the same again changes nothing."""
    store = LocalStore(tmp_path / "again")
    builder = GroupBuilder(store)
    for name, data in kept.packs.items():
        store.put(pack_key(name), data)
        builder.add(name, memoryview(data))
    assert builder.finish() == list(kept.parity)
    assert [store.get(key) for key in kept.parity] == [kept.store.get(key) for key in kept.parity]
    store.put(kept.parity[0], b"damaged")
    assert protect(store, kept.names) == list(kept.parity)
    assert store.get(kept.parity[0]) == kept.store.get(kept.parity[0])


def test_pieces_make_what_whole_packs_make(tmp_path: Path) -> None:
    """Bytes that come in pieces of any length, into memory that longer packs have left, make the same objects."""
    chance = random.Random(5)
    lengths = [*(300_000 + 1000 * number for number in range(16)), 70_000, 200_001, 65_536, 1]
    packs = {hashlib.sha256(data).hexdigest(): data for data in map(chance.randbytes, lengths)}
    whole, pieces = (GroupBuilder(LocalStore(tmp_path / name)) for name in ("whole", "pieces"))
    for name, data in packs.items():
        whole.add(name, data)
        column = pieces.begin()
        assert column is not None
        at = 0
        while at < len(data):
            count = chance.choice((1, 100, 65_528, 65_536, 140_000))
            column.take(memoryview(data)[at : at + count])
            at += count
        pieces.end(column, name)
    assert pieces.finish() == whole.finish()
    assert len(pieces.keys) == 4
    fresh = Encoder([0, 1])
    for name in list(packs)[16:]:
        fresh.add(name, packs[name])
    assert [key for key, _ in fresh.objects()] == whole.keys[2:]


def test_groups_are_of_sixteen(tmp_path: Path) -> None:
    """Seventeen packs make two groups; nothing covers a pack that came later, and no parity at all may be asked for."""
    store = LocalStore(tmp_path)
    names = []
    for number in range(18):
        data = b"pack %d" % number
        names.append(hashlib.sha256(data).hexdigest())
        store.put(pack_key(names[-1]), data)
    assert len(protect(store, names[:17])) == 4
    groups = Groups(store).refresh()
    assert sorted(len(group.packs) for group in groups.all()) == [1, 16]
    assert groups.uncovered(names) == names[17:]
    assert protect(store, names[17:], shards=0) == []
    with pytest.raises(InputError):
        protect(store, names, shards=129)


def test_damaged_packs_are_never_protected(kept: Kept) -> None:
    """Parity over bytes that are not the name's would bring wrong bytes back."""
    kept.spoil(kept.names[2], 5)
    kept.lose(kept.names[3])
    for name, error in ((kept.names[2], IntegrityError), (kept.names[3], NotFound)):
        with pytest.raises(error):
            protect(kept.store, [name])
    with pytest.raises(IntegrityError):
        strengthen(kept.store, kept.parity[0], 3)
    assert kept.group().keys == kept.parity


def test_packs_that_stay_are_parted_from_those_that_go(kept: Kept) -> None:
    """They get a group of their own beside the old one, proven for it; where one is damaged, nothing is made."""
    going, staying = kept.names[:4], kept.names[4:]
    old = kept.group()
    made = part(kept.store, going)
    groups = {group.packs: group for group in Groups(kept.store).refresh().all()}
    assert groups == {old.packs: old, tuple(staying): groups[tuple(staying)]}
    assert groups[tuple(staying)].keys == tuple(made)
    assert part(kept.store, kept.names) == []
    for key in made:
        kept.store.delete(key)
    kept.spoil(staying[0], 5)
    before = list(kept.store.list())
    with pytest.raises(IntegrityError):
        part(kept.store, going)
    assert list(kept.store.list()) == before


def test_what_an_object_may_not_say(kept: Kept) -> None:
    """Another shard's key, another format in both places, sizes that cannot be: refused by name, never believed."""
    data = bytearray(kept.store.get(kept.parity[0]))
    where = parse_key(kept.parity[0])
    assert where is not None
    moved = kept.parity[0].replace("/0.", "/1.")
    kept.store.put(moved, bytes(data))
    with pytest.raises(IntegrityError, match="another shard"):
        read_description(kept.store, moved)
    second = len(data) - TAIL.size - len(read_description(kept.store, kept.parity[1]).to_bytes(1))
    for at in (0, 8, 12, 14, 16, 24, 32, 64):  # magic, block, packs, shards, this shard, length, a pack and its length
        for bit in (1, 0x40):
            spoiled = bytearray(data)
            spoiled[at] ^= bit
            spoiled[second + at] ^= bit
            kept.store.put(kept.parity[0], spoiled)
            with pytest.raises(IntegrityError, match=kept.parity[0]):
                read_description(kept.store, kept.parity[0])
    data[6] = data[second + 6] = 1
    kept.store.put(kept.parity[0], data)
    with pytest.raises(UnknownFormat, match="format 1"):
        read_description(kept.store, kept.parity[0])
    for key in ("parity/ab/0.cd.parity", kept.parity[0].replace("/0.", "/00."), kept.parity[0] + "x"):
        assert parse_key(key) is None


def test_packs_that_differences_rest_on_get_more(tmp_path: Path) -> None:
    """The first dependant's difference gives the base's pack a third shard, and no other pack; a second run nothing."""
    store = LocalStore(tmp_path)
    made = {}
    for name, bases in (("alder", ()), ("birch", ("alder",)), ("cedar", ())):
        data = name.encode()
        builder = PackBuilder()
        base = blake3_of(b"alder") if bases else None
        builder.add(Encoded(blake3_of(data), len(data), 4 if bases else 0, data, base=base))
        pack, whole = builder.finish()
        store.put(pack_key(pack), whole)
        protect(store, [pack])
        file = FileEntry(
            "w.bin", len(data), hashlib.sha256(data).hexdigest(), False, ((blake3_of(data).hex(), len(data)),)
        )
        made[name] = (pack, Manifest(name, "weights", 1, (file,), (), (), (pack,), len(data), bases))
    index = SegmentIndex(store)
    index.refresh()
    manifests = [manifest for _, manifest in made.values()]
    (added,) = reinforce_bases(store, index, manifests)
    groups = {group.packs[0]: group.shards for group in Groups(store).refresh().all()}
    assert groups == {made["alder"][0]: 3, made["birch"][0]: 2, made["cedar"][0]: 2}
    assert parse_key(added) is not None
    assert reinforce_bases(store, index, manifests) == []
