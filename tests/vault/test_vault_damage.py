"""Damage of every kind: found, named exactly, with exactly the files it touches; and what can be brought back is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from vault_models import contents, make_model

from emeritus.blobs.local import LocalStore
from emeritus.errors import EmeritusError, IntegrityError, NotFound, StoreError
from emeritus.vault.codec.table import encode
from emeritus.vault.digests import blake3_of
from emeritus.vault.mending.scrub import Touched
from emeritus.vault.packs.pack import FOOTER, MANIFEST, Encoded, PackBuilder, pack_key, read_index
from emeritus.vault.vault import Vault


@pytest.fixture
def kept(vault: Vault, model: Path, small_packs: None) -> Vault:
    """A vault with one resident over several packs, opened anew."""
    vault.preserve(model, "wren")
    return Vault.at(vault.store)


def change(vault: Vault, key: str, edit: Callable[[bytearray], object]) -> None:
    """Damage one object behind the vault's back."""
    data = bytearray(vault.store.get(key))
    edit(data)
    vault.store.put(key, bytes(data))


def files_in(vault: Vault, key: str) -> set[str]:
    """The files with a segment in that pack."""
    digests = {entry.blake3.hex() for entry in read_index(vault.store, key)}
    return {file.path for file in vault.manifest("wren").files if digests & {digest for digest, _ in file.segments}}


def test_an_undamaged_vault_is_ok(kept: Vault) -> None:
    """Nothing is found where nothing is wrong, deep or not, whole or by name, and progress reaches its end."""
    seen: list[tuple[str, int, int]] = []
    whole = kept.verify(progress=lambda *what: seen.append(what))
    assert whole.ok
    assert (whole.unused, whole.unlisted) == ((), ())
    assert seen[-1][1] == seen[-1][2] > whole.packs  # and the parity
    assert whole.uncovered == ()
    size = sum(kept.store.size(key) or 0 for key in kept.store.list("pa"))  # packs/ and parity/
    assert whole.bytes_read == size
    assert whole.segments > 10
    shallow = kept.verify(deep=False)
    assert (shallow.ok, shallow.bytes_read) == (True, 0)
    assert kept.verify("wren").ok
    with pytest.raises(NotFound):
        kept.verify("nobody")


def flip(vault: Vault, key: str, position: int) -> None:
    """Another bit in that byte; twice is as before."""
    change(vault, key, lambda data: data.__setitem__(position, data[position] ^ 0x10))


def test_every_byte_class_of_a_pack(kept: Vault, tmp_path: Path) -> None:
    """One flipped bit in magic, a segment, index or footer: the pack is named; only files it ruins are touched."""
    manifest = kept.manifest("wren")
    key = pack_key(manifest.packs[0])
    entries = read_index(kept.store, key)
    size = kept.store.size(key) or 0
    index_at = size - FOOTER.size - 96 * len(entries)
    first = entries[0]
    holding = {file.path for file in manifest.files if first.blake3.hex() in {digest for digest, _ in file.segments}}
    everything = files_in(kept, key)
    places = {
        "magic": (3, set()),
        "format": (6, set()),
        "segment": (first.offset + first.stored // 2, holding),
        **{f"index+{at}": (index_at + at, everything) for at in (0, 40, 64, 72, 80, 88, 90, 92)},
        **{f"footer+{at}": (size - FOOTER.size + at, everything) for at in (0, 8, 20, 48, 54)},
    }
    for what, (position, touched) in places.items():
        flip(kept, key, position)
        report = Vault.at(kept.store).verify()
        assert [damage.key for damage in report.damages] == [key], what
        assert {mark.path for mark in report.damages[0].touches} == touched, what
        assert report.damages[0].what
        if touched:
            with pytest.raises(StoreError) as caught:
                Vault.at(kept.store).restore("wren", tmp_path / "out")
            assert manifest.packs[0] in caught.value.message, what
            assert not (tmp_path / "out").exists()
        flip(kept, key, position)
    assert kept.verify().ok


def test_truncated_missing_and_swapped_packs(kept: Vault) -> None:
    """Each loss is named by its pack, with exactly the files that lie in it."""
    keys = [pack_key(name) for name in kept.manifest("wren").packs]
    one, other = keys[0], keys[1]
    touched = {key: files_in(kept, key) for key in keys}
    data = {key: kept.store.get(key) for key in keys}
    for length in (0, 7, 60, len(data[one]) // 2, len(data[one]) - 1):
        kept.store.put(one, data[one][:length])
        report = Vault.at(kept.store).verify()
        assert [damage.key for damage in report.damages] == [one]
        assert {mark.path for mark in report.damages[0].touches} == touched[one]
    kept.store.delete(one)
    for deep in (True, False):
        (damage,) = Vault.at(kept.store).verify(deep=deep).damages
        assert (damage.key, damage.what) == (one, "it is missing")
        assert {mark.path for mark in damage.touches} == touched[one]
    kept.store.put(one, data[other])
    kept.store.put(other, data[one])
    report = Vault.at(kept.store).verify()
    assert {damage.key for damage in report.damages} == {one, other}
    assert all("sha256 is not its name" in damage.what for damage in report.damages)
    assert all(
        damage.touches == () for damage in report.damages
    )  # both packs' segments are sound, in each other's place


def test_random_damage_never_gives_wrong_bytes(kept: Vault, model: Path, tmp_path: Path) -> None:
    """Forty random faults: each is found by verify, and a restore gives the right bytes or an error, never others."""
    chance = random.Random(5)
    wanted = contents(model)
    objects = {key: kept.store.get(key) for key in kept.store.list() if key.startswith(("packs/", "manifests/"))}
    for number in range(40):
        key = chance.choice(sorted(objects))
        data = bytearray(objects[key])
        kind = chance.choice(["flip", "cut", "zero", "gone"])
        if kind == "flip":
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == "cut":
            del data[chance.randrange(len(data)) :]
        elif kind == "zero":
            start = chance.randrange(len(data))
            data[start : start + 64] = bytes(min(64, len(data) - start))
        if kind == "gone":
            kept.store.delete(key)
        else:
            kept.store.put(key, bytes(data))
        fresh = Vault.at(kept.store)
        if bytes(data) != objects[key] or kind == "gone":
            report = fresh.verify()
            lost_manifest = kind == "gone" and key.startswith("manifests/")
            lost_copy = kind == "gone" and pack_key_of_copy(objects) == key
            assert report.unlisted == (key,) if lost_manifest else lost_copy or key in {d.key for d in report.damages}
        out = tmp_path / f"out{number}"
        try:
            fresh.restore("wren", out)
        except EmeritusError:
            assert not out.exists()
        else:
            assert contents(out) == wanted
        kept.store.put(key, objects[key])
    assert Vault.at(kept.store).verify().ok


def pack_key_of_copy(objects: dict[str, bytes]) -> str:
    """The pack that holds the manifest's copy: the one no manifest names."""
    (manifest,) = (data for key, data in objects.items() if key.startswith("manifests/"))
    named = {pack_key(name) for name in json.loads(manifest)["manifest"]["packs"]}
    (copy,) = {key for key in objects if key.startswith("packs/")} - named
    return copy


def test_damaged_manifest(kept: Vault, model: Path, tmp_path: Path) -> None:
    """A damaged manifest is named with its resident, refuses everything, and is rebuilt from its copy."""
    key = "manifests/wren/weights.1.json"
    good = kept.store.get(key)
    change(kept, key, lambda data: data.__setitem__(100, data[100] ^ 1))
    (damage,) = kept.verify().damages
    assert damage.key == key
    assert damage.touches == (Touched("wren", "weights", 1, None),)
    for call in (lambda: kept.restore("wren", tmp_path / "out"), lambda: kept.preserve(model, "wren")):
        with pytest.raises(IntegrityError, match="damaged"):
            call()
    report = kept.rebuild_manifests()
    assert (report.rebuilt, report.undecided) == ((key,), ())
    assert kept.store.get(key) == good
    assert kept.verify().ok
    assert kept.rebuild_manifests().rebuilt == ()


def test_every_manifest_lost(vault: Vault, tmp_path: Path) -> None:
    """All manifests deleted: verify says which, the packs alone bring them back, and everything restores."""
    for name in ("a", "b"):
        make_model(tmp_path / name, seed=ord(name), count=500)
        vault.preserve(tmp_path / name, name)
    before = {key: vault.store.get(key) for key in vault.store.list("manifests/")}
    for key in before:
        vault.store.delete(key)
    fresh = Vault.at(vault.store)
    assert fresh.manifests() == []
    assert fresh.verify().unlisted == tuple(sorted(before))
    assert fresh.rebuild_manifests().rebuilt == tuple(sorted(before))
    assert {key: vault.store.get(key) for key in vault.store.list("manifests/")} == before
    fresh.restore("b", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "b")


def test_rebuild_does_not_guess(vault: Vault, model: Path) -> None:
    """Of two different copies for one key none is taken until the ledger's digest says which."""
    manifest = vault.preserve(model, "wren")
    key, data = manifest.key, manifest.to_bytes()
    other = type(manifest)("wren", "weights", 1, manifest.files[:1], (), (), (), 0).to_bytes()
    builder = PackBuilder()
    builder.add(Encoded(blake3_of(other), len(other), *encode(other, 0), MANIFEST))
    name, pack = builder.finish()
    vault.store.put(pack_key(name), pack)
    assert vault.verify().ok
    vault.store.delete(key)
    assert vault.rebuild_manifests().undecided == (key,)
    assert vault.store.size(key) is None
    assert vault.rebuild_manifests(trusted=[manifest.sha256]).rebuilt == (key,)
    assert vault.store.get(key) == data


def test_preserving_again_brings_lost_packs_back(kept: Vault, model: Path, tmp_path: Path) -> None:
    """After a pack is gone (or was damaged and deleted, as the error advises), the source repairs the vault."""
    manifest = kept.manifest("wren")
    kept.store.delete(pack_key(manifest.packs[1]))
    kept.store.delete(pack_key(manifest.packs[2]))
    assert not kept.verify().ok
    assert Vault.at(kept.store).preserve(model, "wren") == manifest
    report = Vault.at(kept.store).verify()
    assert report.ok
    Vault.at(kept.store).restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)


def test_a_damaged_segment_is_not_relied_on(kept: Vault, model: Path, tmp_path: Path) -> None:
    """A new resident with the same tensors reads what is stored before relying on it, and stores it sound beside."""
    keys = [pack_key(name) for name in kept.manifest("wren").packs]
    key = next(key for key in keys if len(read_index(kept.store, key)) > 1)  # one alone would come back under its name
    entry = read_index(kept.store, key)[0]
    change(kept, key, lambda data: data.__setitem__(entry.offset, data[entry.offset] ^ 1))
    Vault.at(kept.store).preserve(model, "twin")
    for name in ("twin", "wren"):  # the old resident gains too: any sound place serves
        Vault.at(kept.store).restore(name, tmp_path / name)
        assert contents(tmp_path / name) == contents(model)
    (damage,) = Vault.at(kept.store).verify().damages
    assert (damage.key, damage.touches) == (key, ())


def test_weights_said_to_be_held_were_read(kept: Vault, model: Path, tmp_path: Path) -> None:
    """Whoever preserves again may delete the source then: damage under a sound index is found and stored anew."""
    key = pack_key(kept.manifest("wren").packs[0])
    entry = read_index(kept.store, key)[0]
    change(kept, key, lambda data: data.__setitem__(entry.offset, data[entry.offset] ^ 1))
    again = Vault.at(kept.store)
    again.preserve(model, "wren")
    assert Vault.at(kept.store).verify("wren").ok
    Vault.at(kept.store).restore("wren", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(model)


def test_explaining_files(vault: Vault, store: LocalStore) -> None:
    """The README, the format and the decoder are verified too; a damaged marker is named."""
    change(vault, "restore.py", lambda data: data.__setitem__(50, 35))
    vault.store.delete("README.txt")
    assert [damage.key for damage in vault.verify().damages] == ["README.txt", "restore.py"]
    change(vault, "vault.json", lambda data: data.__setitem__(60, data[60] ^ 1))
    with pytest.raises(IntegrityError, match=r"vault\.json"):
        Vault.at(store)
