"""Replicas: whole copies in other stores, proven on both sides, gone on with after a cut, never over what is sound."""

from __future__ import annotations

from pathlib import Path

import pytest
from vault_damages import flip, lose
from vault_models import contents

from emeritus.blobs.local import LocalStore
from emeritus.errors import IntegrityError, NotFound
from emeritus.testing.faults import Crash, FaultyStore
from emeritus.vault.vault import Vault


@pytest.fixture
def kept(vault: Vault, model: Path, small_packs: None) -> Vault:
    """A vault with one resident and its parity."""
    vault.preserve(model, "wren")
    vault.repair()
    return Vault.at(vault.store)


@pytest.fixture
def other(tmp_path: Path) -> LocalStore:
    """Where the replica goes."""
    return LocalStore(tmp_path / "other")


def everything(store: LocalStore) -> dict[str, bytes]:
    """Every object."""
    return {key: store.get(key) for key in store.list()}


def test_a_replica_is_a_vault(kept: Vault, other: LocalStore, model: Path, tmp_path: Path) -> None:
    """Every object is there, to the byte; it restores by itself; again nothing is copied; progress reaches its end."""
    seen: list[tuple[str, int, int]] = []
    report = kept.replicate(other, progress=lambda *what: seen.append(what))
    objects = everything(kept.store)
    assert everything(other) == objects
    assert (report.ok, report.bytes_copied, report.same) == (True, sum(map(len, objects.values())), 0)
    assert seen[-1] == ("vault.json", len(objects), len(objects))
    Vault.at(other).restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)
    assert Vault.at(other).verify().ok
    for deep in (True, False):
        again = kept.replicate(other, deep=deep)
        assert (again.copied, again.same, again.more) == ((), len(objects), 0)


def test_what_differs_there_is_replaced(kept: Vault, other: LocalStore) -> None:
    """A flipped bit is found by a deep run, another length by any; what the replica has beside is left."""
    kept.replicate(other)
    pack = next(other.list("packs/"))
    shard = next(other.list("parity/"))
    flip(other, pack, 9)
    other.put(shard, b"short")
    other.put("packs/ab/more.pack", b"more")
    assert kept.replicate(other, deep=False).copied == (shard,)
    report = kept.replicate(other)
    assert (report.copied, report.more) == ((pack,), 1)
    assert other.get("packs/ab/more.pack") == b"more"


def test_what_is_damaged_here_is_not_copied(kept: Vault, other: LocalStore) -> None:
    """A damaged pack is named and stays out; a sound copy of it there stays; once repaired it follows."""
    pack = next(kept.store.list("packs/"))
    flip(kept.store, pack, 9)
    report = kept.replicate(other)
    assert not report.ok
    assert [key for key, _ in report.damaged] == [pack]
    assert other.size(pack) is None
    assert kept.repair().ok
    assert kept.replicate(other).copied == (pack,)
    flip(kept.store, pack, 9)
    good = other.get(pack)
    assert not kept.replicate(other).ok
    assert other.get(pack) == good


def test_another_sound_manifest_is_left(kept: Vault, other: LocalStore) -> None:
    """Two vaults with different residents of one name: the replica's manifest is not written over; a broken one is."""
    kept.replicate(other)
    manifest = kept.manifest("wren")
    stranger = type(manifest)("wren", "weights", 1, manifest.files[:1], (), (), (), 0)
    other.put(manifest.key, stranger.to_bytes())
    report = kept.replicate(other)
    assert (report.refused, report.ok) == ((manifest.key,), False)
    assert other.get(manifest.key) == stranger.to_bytes()
    flip(other, manifest.key, 20)
    assert kept.replicate(other).copied == (manifest.key,)


def test_a_replication_cut_short_goes_on(kept: Vault, tmp_path: Path) -> None:
    """At whatever call it is cut, what is there is no vault until all is, and the next run completes it."""
    counting = FaultyStore(LocalStore(tmp_path / "count"))
    kept.replicate(counting)
    for fail_at in range(1, counting.calls, 4):
        other = LocalStore(tmp_path / f"cut{fail_at}")
        with pytest.raises(Crash):
            kept.replicate(FaultyStore(other, fail_at))
        complete = set(other.list()) == set(kept.store.list())
        if not complete:
            with pytest.raises(NotFound):
                Vault.at(other)
        assert kept.replicate(other).ok
        assert everything(other) == everything(kept.store)


def test_a_store_that_lies_is_found_out(kept: Vault, other: LocalStore) -> None:
    """A store that gives other bytes back than it took is an error that names it."""

    class Lying(LocalStore):
        def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
            return super().get(key, start, length)[:-1] + b"?"

    with pytest.raises(IntegrityError, match="gives other bytes back"):
        kept.replicate(Lying(other.root))


def test_a_replica_brings_a_vault_back(kept: Vault, other: LocalStore) -> None:
    """All packs, parity and manifests deleted here: the replica gives them back."""
    kept.replicate(other)
    before = everything(kept.store)
    lose(kept.store, *[key for key in before if key.startswith(("packs/", "parity/", "manifests/"))])
    assert Vault.at(kept.store).repair([other]).ok
    held = everything(kept.store)
    assert {k: v for k, v in held.items() if "parity/" not in k} == {
        k: v for k, v in before.items() if "parity/" not in k
    }
    assert Vault.at(kept.store).verify().uncovered == ()
