"""Repair: damage of every kind, undone to the byte from parity or replicas; and beyond that, the loss named exactly."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from vault_damages import WITHIN, copies, cut, flip, lose, packs, shards, swap, the_manifest
from vault_models import contents

from emeritus.blobs.base import BlobStore
from emeritus.blobs.local import LocalStore
from emeritus.errors import IntegrityError, StoreUnavailable
from emeritus.testing.faults import FaultyStore
from emeritus.vault.marker import repair_marker
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import FOOTER, pack_key, pack_name, read_index
from emeritus.vault.parity.build import protect, strengthen
from emeritus.vault.parity.form import BLOCK, HEAD, TAIL, read_description
from emeritus.vault.parity.form import parse_key as parse_shard
from emeritus.vault.parity.groups import Groups
from emeritus.vault.vault import Vault


@pytest.fixture
def kept(vault: Vault, model: Path, small_packs: None) -> Vault:
    """A vault with one resident over several packs, all under parity."""
    manifest = vault.preserve(model, "wren")
    protect(vault.store, Groups(vault.store).refresh().uncovered(manifest.packs))
    assert vault.repair().repaired == ()
    assert len(packs(vault.store)) > 4
    return Vault.at(vault.store)


def everything(store: BlobStore) -> dict[str, bytes]:
    """Every object."""
    return {key: store.get(key) for key in store.list()}


def copy_of(store: BlobStore, folder: Path) -> LocalStore:
    """A replica."""
    other = LocalStore(folder)
    for key, data in everything(store).items():
        other.put(key, data)
    return other


@pytest.mark.parametrize("damage", WITHIN)
def test_what_parity_bears_is_undone(kept: Vault, damage: str) -> None:
    """Every object is as it was, to the byte; the report names what was wrong, no more; again it finds nothing."""
    before = everything(kept.store)
    expected = {the_manifest(kept.store): kept.manifest("wren").sha256}
    WITHIN[damage](kept.store)
    hit = {key for key, data in everything(kept.store).items() if data != before[key]} | before.keys() - set(
        kept.store.list()
    )
    report = Vault.at(kept.store).repair(expected=expected)
    assert (report.ok, report.lost) == (True, ())
    after = everything(kept.store)
    if damage in ("both shards lost", "both shards unreadable"):  # nothing told of the group: others cover its packs
        before, after = ({k: v for k, v in each.items() if "parity" not in k} for each in (before, after))
        assert kept.verify().uncovered == ()
    else:
        assert {each.key for each in report.repaired} == hit
        assert report.covered == ()
    assert after == before
    again = Vault.at(kept.store).repair(expected=expected)
    assert (again.repaired, again.covered, again.ok) == ((), (), True)
    assert kept.verify().ok


def test_three_lost_packs_are_beyond(kept: Vault, tmp_path: Path) -> None:
    """With two shards and no replica the loss is named: packs, segments and files; the other files still come back."""
    lost = packs(kept.store)[:3]
    manifest = kept.manifest("wren")
    held = {entry.blake3.hex() for key in lost for entry in read_index(kept.store, key)}
    touched = {file.path for file in manifest.files if held & {digest for digest, _ in file.segments}}
    assert touched
    assert len(touched) < len(manifest.files)
    lose(kept.store, *lost)
    fresh = Vault.at(kept.store)
    report = fresh.repair()
    assert not report.ok
    assert {damage.key for damage in report.lost} == set(lost)
    assert {mark.path for damage in report.lost for mark in damage.touches} == touched
    assert {digest for damage in report.lost for digest in damage.segments} == held
    assert report.repaired == ()
    for file in manifest.files:
        if file.path in touched:
            with pytest.raises(IntegrityError):
                fresh.read_file("wren", file.path)
        else:
            assert hashlib.sha256(fresh.read_file("wren", file.path)).hexdigest() == file.sha256


def test_beyond_in_one_column_only(kept: Vault) -> None:
    """Three packs with a bad block each in one column: nothing fabricated is written, and only their segments go."""
    three = packs(kept.store)[:3]
    for key in three:
        flip(kept.store, key, read_index(kept.store, key)[0].offset)
    damaged = everything(kept.store)
    first = {read_index(kept.store, key)[0].blake3.hex() for key in three}
    report = Vault.at(kept.store).repair()
    assert {damage.key for damage in report.lost} == set(three)
    assert {digest for damage in report.lost for digest in damage.segments} == first
    assert everything(kept.store) == damaged


def test_a_replica_gives_what_parity_cannot(kept: Vault, tmp_path: Path) -> None:
    """Everything but the marker lost or spoilt comes back from a replica, each object proven, its source named."""
    before = everything(kept.store)
    replica = copy_of(kept.store, tmp_path / "replica")
    gone = packs(kept.store)
    manifest = the_manifest(kept.store)
    lose(kept.store, *shards(kept.store), *gone[:4], manifest, *copies(kept.store))
    for key in gone[4:]:
        cut(kept.store, key, 10)
    report = Vault.at(kept.store).repair([replica], expected={manifest: hashlib.sha256(before[manifest]).hexdigest()})
    assert report.ok
    assert {each.how for each in report.repaired} >= {replica.url}
    assert {k: v for k, v in everything(kept.store).items() if "parity" not in k} == {
        k: v for k, v in before.items() if "parity" not in k
    }


def test_a_damaged_replica_is_not_believed(kept: Vault, tmp_path: Path) -> None:
    """Bytes of a replica that do not prove themselves are passed over; its good blocks still help parity here."""
    before = everything(kept.store)
    replica = copy_of(kept.store, tmp_path / "replica")
    three = packs(kept.store)[:3]
    for number, key in enumerate(three):
        flip(kept.store, key, 20)
        flip(replica, key, -1)
        if number:
            cut(replica, key, 5)
    swap(replica, *packs(replica)[3:5])
    report = Vault.at(kept.store).repair([replica])
    assert report.ok
    assert everything(kept.store) == before


def test_a_replica_that_does_not_answer_is_said(kept: Vault, tmp_path: Path) -> None:
    """What parity bears is repaired without it; what it does not is lost for now, and the replica is named."""
    replica = copy_of(kept.store, tmp_path / "replica")
    silent = FaultyStore(replica, 1, lambda: StoreUnavailable("no answer"))
    lose(kept.store, *packs(kept.store)[:3])
    report = Vault.at(kept.store).repair([silent])
    assert not report.ok
    assert report.unreachable == (replica.url,)
    assert Vault.at(kept.store).repair([replica]).ok


def test_the_ledger_decides_which_manifest_is_right(kept: Vault) -> None:
    """A sealed manifest that is not the ledger's is damage; one the ledger does not know is not brought to light."""
    key = the_manifest(kept.store)
    right = kept.store.get(key)
    manifest = kept.manifest("wren")
    other = type(manifest)("wren", "weights", 1, manifest.files[:1], (), (), (), 0)
    kept.store.put(key, other.to_bytes())
    assert Vault.at(kept.store).repair().repaired == ()
    (repaired,) = Vault.at(kept.store).repair(expected={key: manifest.sha256}).repaired
    assert (repaired.key, repaired.how, repaired.found) == (key, "copy", other.sha256)
    assert kept.store.get(key) == right
    kept.store.delete(key)
    assert Vault.at(kept.store).repair(expected={}).repaired == ()
    wrong = Vault.at(kept.store).repair(expected={key: "0" * 64})
    assert [damage.key for damage in wrong.lost] == [key]
    assert [mark.path for mark in wrong.lost[0].touches] == [None]
    assert [each.key for each in Vault.at(kept.store).repair().repaired] == [key]


def test_only_what_is_named_is_read(kept: Vault) -> None:
    """A repair of keys known to be damaged reads those; what is missing is noticed anyway."""
    one, other = packs(kept.store)[:2]
    flip(kept.store, one, 50)
    kept.store.delete(other)
    report = Vault.at(kept.store).repair(only=[one])
    assert report.examined == 1
    assert {each.key for each in report.repaired} == {one, other}


def test_segments_stored_again_elsewhere_are_not_lost(kept: Vault, model: Path) -> None:
    """After beyond-budget loss the source repairs the vault; repair then covers the new packs and reports none lost."""
    lose(kept.store, *packs(kept.store)[:3])
    fresh = Vault.at(kept.store)
    fresh.preserve(model, "wren")
    report = Vault.at(kept.store).repair()
    assert report.ok
    assert Vault.at(kept.store).verify().ok
    assert Vault.at(kept.store).verify().uncovered == ()


def test_the_marker_comes_back(kept: Vault, tmp_path: Path) -> None:
    """From a replica, or made again; nothing is made where there is no vault."""
    good = kept.store.get("vault.json")
    assert repair_marker(kept.store, ()) is None
    replica = copy_of(kept.store, tmp_path / "replica")
    for wreck in (lambda: flip(kept.store, "vault.json", 40), lambda: kept.store.delete("vault.json")):
        for replicas, how in (([replica], replica.url), ([], "package")):
            wreck()
            assert repair_marker(kept.store, replicas) == how
            assert kept.store.get("vault.json") == good
    with pytest.raises(Exception, match="no vault"):
        repair_marker(LocalStore(tmp_path / "nothing"), ())


def test_verify_sees_parity(kept: Vault) -> None:
    """Damaged and missing parity objects are damages of the whole vault, and touch no file."""
    first, second = shards(kept.store)
    flip(kept.store, first, (kept.store.size(first) or 0) // 2)
    (damage,) = kept.verify().damages
    assert (damage.key, damage.touches) == (first, ())
    assert kept.verify(deep=False).ok
    assert kept.verify("wren").ok
    kept.store.delete(second)
    assert [damage.what for damage in kept.verify(deep=False).damages] == ["the shard is missing"]


def unreadable(patch: pytest.MonkeyPatch, path: Path) -> None:
    """Have every read of what lies there now end in an input/output error."""
    bad = path.stat().st_ino
    true = {name: getattr(os, name) for name in ("pread", "preadv")}

    def failing(name: str) -> Callable[..., object]:
        def read(fd: int, *arguments: object) -> object:
            if os.fstat(fd).st_ino == bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return true[name](fd, *arguments)

        return read

    for name in true:
        patch.setattr(os, name, failing(name))


def test_a_sector_the_disk_cannot_read(kept: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """An input/output error while a pack is read is damage to that pack: named by verify, undone from parity."""
    key = packs(kept.store)[0]
    good = kept.store.get(key)
    unreadable(monkeypatch, Path(kept.store.url) / key)
    (damage,) = Vault.at(kept.store).verify().damages
    assert (damage.key, damage.what) == (key, "the disk cannot read it")
    assert [each.key for each in Vault.at(kept.store).repair().repaired] == [key]
    assert kept.store.get(key) == good


def test_a_pack_that_lies_there_unreadably_is_stored_again(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Preserving the same bytes puts a pack that the disk cannot read in its place again, and does not end in that."""
    (source := tmp_path / "one").mkdir()
    (source / "model.bin").write_bytes(b"kept " * 100)
    (source / "config.json").write_text("{}")
    (name,) = vault.preserve(source, "wren").packs
    good = vault.store.get(pack_key(name))
    unreadable(monkeypatch, Path(vault.store.url) / pack_key(name))
    Vault.at(vault.store).preserve(source, "other")
    assert vault.store.get(pack_key(name)) == good


def test_a_shard_that_lies_there_twice(kept: Vault) -> None:
    """Of two objects of one shard, as two that strengthen a group at once leave them, a damaged one goes."""
    group = max(Groups(kept.store).refresh().all(), key=lambda each: len(each.packs))
    (third,) = strengthen(kept.store, group.keys[0], 3)
    data = kept.store.get(third)
    kept.store.delete(third)
    strengthen(kept.store, group.keys[0], 4)
    kept.store.put(third, data[:-1])
    report = Vault.at(kept.store).repair()
    assert (report.ok, kept.store.size(third)) == (True, None)
    assert kept.verify().ok


def test_repair_restores(kept: Vault, model: Path, tmp_path: Path) -> None:
    """The resident's folder comes back whole after a repair."""
    lose(kept.store, *packs(kept.store)[2:4])
    Vault.at(kept.store).repair()
    Vault.at(kept.store).restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)
    assert all(pack_name(key) and pack_key(pack_name(key) or "") == key for key in packs(kept.store))


def test_a_vault_in_use_reads_what_was_repaired(kept: Vault, model: Path, tmp_path: Path) -> None:
    """Who had read the index of another pack under a pack's name finds the segments once the right one lies there."""
    first, second = packs(kept.store)[:2]
    kept.store.put(first, kept.store.get(second))
    opened = Vault.at(kept.store)
    assert not opened.verify().ok
    assert opened.repair().ok
    opened.restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)


def test_damage_that_nobody_had_read_yet(kept: Vault) -> None:
    """A repair of a shard finds a pack of its group damaged, or all parity of one gone: that is undone, too."""
    before = everything(kept.store)
    damaged, shard = packs(kept.store)[0], shards(kept.store)[1]
    flip(kept.store, damaged, 100)
    flip(kept.store, shard, BLOCK // 4)
    report = Vault.at(kept.store).repair(only=[shard])
    assert {each.key for each in report.repaired} == {damaged, shard}
    assert (report.ok, everything(kept.store)) == (True, before)
    flip(kept.store, damaged, 100)
    lost = shards(kept.store)
    lose(kept.store, *lost)
    report = Vault.at(kept.store).repair(only=lost)
    assert [damage.key for damage in report.lost] == [damaged]


def test_who_is_at_work_is_not_repaired(kept: Vault) -> None:
    """Marks of work come and go while a repair runs: it neither reads nor misses them."""
    kept.store.put("locks/preserve.0.json", b"cut sh")
    report = Vault.at(kept.store).repair()
    assert (report.ok, report.repaired) == (True, ())


def test_a_parity_object_of_a_later_format_stays(kept: Vault) -> None:
    """Shards that are whole and that only a later version can read are neither damage nor leftovers."""
    for key in shards(kept.store):
        data = bytearray(kept.store.get(key))
        where = parse_shard(key)
        assert where is not None
        at = len(data) - TAIL.size - len(read_description(kept.store, key).to_bytes(where.shard))
        data[6] = data[at + 6] = 1
        data[HEAD.size] ^= 1  # where a later format keeps other things
        kept.store.delete(key)
        kept.store.put(key.replace(where.sha256, hashlib.sha256(data).hexdigest()), data)
    later = set(shards_of_nobody(kept.store))
    assert len(later) == 2
    report = Vault.at(kept.store).repair()
    assert later <= set(kept.store.list("parity/"))
    assert not {each.key for each in report.repaired} & later
    assert kept.verify().uncovered == ()


def shards_of_nobody(store: BlobStore) -> list[str]:
    """The keys of groups whose packs nobody can tell."""
    return [key for group in Groups(store).refresh().all() if not group.packs for key in group.keys]


def test_another_process_repairs(kept: Vault, model: Path, tmp_path: Path) -> None:
    """A vault opened while packs lay swapped, or one under another's name, reads all once another process repaired."""
    held = everything(kept.store)
    for wreck in (
        lambda first, second: swap(kept.store, first, second),
        lambda first, second: kept.store.put(first, kept.store.get(second)),
    ):
        wreck(*packs(kept.store)[:2])
        opened = Vault.at(kept.store)
        assert not opened.verify(deep=False).ok or not opened.verify().ok
        for key, data in held.items():
            kept.store.put(key, data)
        opened.restore("wren", tmp_path / "out")
        assert contents(tmp_path / "out") == contents(model)
        shutil.rmtree(tmp_path / "out")


def test_what_cannot_be_read_again_is_still_read_where_it_was(kept: Vault) -> None:
    """A pack whose index was spoilt after it had been read still gives its sound segments, also after a failure."""
    key = next(key for key in packs(kept.store) if len(read_index(kept.store, key)) > 1)
    first, second = read_index(kept.store, key)[:2]
    opened = Vault.at(kept.store)
    index = SegmentIndex(opened.store)
    index.refresh()
    flip(kept.store, key, first.offset, -FOOTER.size - 20)
    with pytest.raises(IntegrityError):
        index.read(first.blake3)
    assert len(index.read(second.blake3)) == second.length


def test_a_manifest_names_the_pack_that_was_read(vault: Vault, tmp_path: Path) -> None:
    """Of two packs that hold the same segments, whichever is damaged, a new resident's manifest names the other."""
    (source := tmp_path / "one").mkdir()
    (source / "model.bin").write_bytes(b"kept " * 100)
    (source / "config.json").write_text("{}")
    (first,) = vault.preserve(source, "wren").packs
    places = {first: [entry.offset for entry in read_index(vault.store, pack_key(first))]}
    flip(vault.store, pack_key(first), *places[first])
    (source / "more.bin").write_bytes(b"more " * 100)
    (second,) = set(Vault.at(vault.store).preserve(source, "robin").packs) - {first}
    places[second] = [entry.offset for entry in read_index(vault.store, pack_key(second))]
    flip(vault.store, pack_key(first), *places[first])
    (source / "more.bin").unlink()
    for number, (bad, sound) in enumerate(((first, second), (second, first))):
        flip(vault.store, pack_key(bad), *places[bad])
        assert Vault.at(vault.store).preserve(source, f"finch{number}").packs == (sound,)
        flip(vault.store, pack_key(bad), *places[bad])
