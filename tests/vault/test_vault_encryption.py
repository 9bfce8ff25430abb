"""Encryption at rest: what the store shows, what opens it, and what works without."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from vault_models import contents, make_model, numbers, safetensors, tensor
from vault_secrets import FILE, OTHER, RIGHT, opened, standalone

from emeritus.blobs.local import LocalStore
from emeritus.errors import AlreadyExists, IntegrityError, NotFound, UnknownFormat, VaultLocked
from emeritus.vault.keys.cipher import read_wrapped, unwrap
from emeritus.vault.keys.keyring import key_key
from emeritus.vault.marker import repair_marker
from emeritus.vault.packs.pack import read_index
from emeritus.vault.sealed import seal
from emeritus.vault.vault import STANDALONE, Vault

pytestmark = pytest.mark.usefixtures("quick_scrypt")


@pytest.fixture
def vault(store: LocalStore) -> Vault:
    """An empty encrypted vault."""
    return Vault.create(store, secret=RIGHT)


def bytes_of(store: LocalStore) -> bytes:
    """Everything in the store but the program's own texts, one object after another."""
    return b"\0".join(store.get(key) for key in store.list() if key not in STANDALONE)


def plain_pieces(data: bytes, count: int = 200) -> list[bytes]:
    """Runs of 12 bytes from all over the data that are not all alike."""
    starts = np.linspace(0, len(data) - 12, count, dtype=int)
    return [piece for start in starts if len(set(piece := data[start : start + 12])) > 6]


def test_nothing_of_the_tensors_can_be_read_in_the_store(
    vault: Vault, store: LocalStore, model: Path, tmp_path: Path, small_packs: None
) -> None:
    """No run of weights, sampled ones included, and no run of a text lies in any object; without keys they would."""
    data = np.random.default_rng(5).integers(0, 256, 200_000, np.uint8).tobytes()  # a plain vault keeps it as it is
    (model / "noise.safetensors").write_bytes(safetensors({"n": tensor("U8", [len(data)], 0, len(data))}, data))
    plain = Vault.create(LocalStore(tmp_path / "plain"))
    for each in (vault, plain):
        each.preserve(model, "wren")
    bf16 = (model / "model-00001-of-00002.safetensors").read_bytes()[-60_000:]
    sampled = numbers(30_000, "BF16", 1)[2 * 354 :][:32]  # as sketches have them
    pieces = [*plain_pieces(data), *plain_pieces(bf16), sampled, b'"model_type"', b"#!/bin/sh"]
    sealed, clear = bytes_of(store), bytes_of(LocalStore(tmp_path / "plain"))
    assert sum(piece in clear for piece in pieces) > 150
    assert sampled in plain.store.get("sketches/wren.bin")
    assert [piece for piece in pieces if piece in sealed] == []
    assert store.size("sketches/wren.bin")


def test_all_comes_back_with_the_secret_and_nothing_without(
    vault: Vault, store: LocalStore, model: Path, tmp_path: Path
) -> None:
    """Files and tensors with it; VaultLocked with a code and a remedy without it, and nothing is left behind."""
    vault.preserve(model, "wren")
    right = opened(store, RIGHT)
    right.restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)
    assert right.read_file("wren", "config.json") == (model / "config.json").read_bytes()
    with pytest.raises(VaultLocked, match="does not open") as wrong:
        opened(store, OTHER).restore("wren", tmp_path / "no")
    assert (wrong.value.code, "vault_passphrase_file" in wrong.value.remedy) == ("EM206", True)
    with pytest.raises(VaultLocked, match="neither passphrase nor key file"):
        opened(store, None).restore("wren", tmp_path / "no")
    with pytest.raises(VaultLocked, match="a key file was given"):
        opened(store, FILE).restore("wren", tmp_path / "no")
    before = sorted(store.list())
    with pytest.raises(VaultLocked):
        opened(store, None).preserve(make_model(tmp_path / "second", seed=9), "robin")
    assert sorted(store.list()) == before
    assert not [path for path in tmp_path.iterdir() if "no" in path.name]
    assert opened(store, None).manifest("wren").files  # what manifests say needs no key


def test_equal_segments_are_stored_once(vault: Vault, store: LocalStore, model: Path) -> None:
    """A second resident with the same tensors adds no segment of theirs, under a second data key too."""
    first = vault.preserve(model, "wren")
    again = opened(store, RIGHT)
    assert again.preserve(model, "wren") == first
    again.keys.renew()
    (model / "config.json").write_text('{"model_type": "gpt2", "second": true}')
    second = again.preserve(model, "robin")
    shared = {s for file in first.files for s in file.segments} & {s for file in second.files for s in file.segments}
    entries = [
        entry for pack in {*first.packs, *second.packs} for entry in read_index(store, f"packs/{pack[:2]}/{pack}.pack")
    ]
    assert len(shared) > 10
    assert len(entries) == len({entry.blake3 for entry in entries})
    assert {entry.key for entry in entries} == {1, 2}


def test_a_difference_from_an_encrypted_base(vault: Vault, store: LocalStore, tmp_path: Path) -> None:
    """A fine-tune is found by encrypted sketches, kept as a difference, and comes back."""
    rng = np.random.default_rng(3)
    base = rng.normal(0, 0.02, 120_000).astype("<f4")
    tuned = base + rng.normal(0, 2e-6, len(base)).astype("<f4")
    for name, values in (("wren", base), ("tuned", tuned)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        data = values.tobytes()
        (tmp_path / name / "m.safetensors").write_bytes(
            safetensors({"w": tensor("F32", [len(values)], 0, len(data))}, data)
        )
    vault.preserve(tmp_path / "wren", "wren")
    manifest = opened(store, RIGHT).preserve(tmp_path / "tuned", "tuned")
    assert manifest.bases == ("wren",)
    opened(store, RIGHT).restore("tuned", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "tuned")
    done = standalone(store.root, "tuned", tmp_path / "bare", EMERITUS_VAULT_PASSPHRASE="correct horse")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "bare") == contents(tmp_path / "tuned")


def test_verify_repair_and_copies_need_no_key(
    vault: Vault, store: LocalStore, model: Path, tmp_path: Path, small_packs: None
) -> None:
    """Damage is found, a lost pack comes back from parity, and a copy is made and opened, all without the secret."""
    manifest = vault.preserve(model, "wren")
    locked = opened(store, None)
    assert (locked.verify().ok, locked.verify().locked) == (True, True)
    assert (opened(store, RIGHT).verify().ok, opened(store, RIGHT).verify().locked) == (True, False)
    with pytest.raises(VaultLocked):
        opened(store, OTHER).verify()
    first, second = (f"packs/{name[:2]}/{name}.pack" for name in manifest.packs[:2])
    store.delete(first)
    data = bytearray(store.get(second))
    data[100] ^= 1
    store.put(second, bytes(data))
    assert {damage.key for damage in locked.verify().damages} == {first, second}
    assert {each.key for each in locked.repair().repaired} == {first, second}
    copy = LocalStore(tmp_path / "copy")
    assert locked.replicate(copy).ok
    opened(copy, RIGHT).restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)


def test_a_lost_key_is_named_and_comes_from_a_copy(
    vault: Vault, store: LocalStore, model: Path, tmp_path: Path
) -> None:
    """Lost or damaged, `verify` names the key and what goes with it, not the packs; `repair` takes a copy's."""
    vault.preserve(model, "wren")
    copy = LocalStore(tmp_path / "copy")
    vault.replicate(copy)
    for break_it in (lambda: store.delete(key_key(1)), lambda: store.put(key_key(1), b"{}")):
        break_it()
        for secret in (None, RIGHT):
            (damage,) = opened(store, secret).verify().damages
            assert (damage.key, damage.touches[0].name) == ("keys/1.json", "wren")
        with pytest.raises(IntegrityError, match=r"keys/1.json"):
            opened(store, RIGHT).restore("wren", tmp_path / "no")
        assert opened(store, None).repair().lost
        assert [each.key for each in opened(store, None).repair([copy]).repaired] == ["keys/1.json"]
        assert opened(store, RIGHT).verify().ok


def test_rotation_leaves_packs_and_closes_the_old_door(
    vault: Vault, store: LocalStore, model: Path, tmp_path: Path
) -> None:
    """New passphrase, then a key file: the packs are the same bytes, the old secret opens nothing, copies follow."""
    vault.preserve(model, "wren")
    copy = LocalStore(tmp_path / "copy")
    vault.replicate(copy)
    packs = {key: store.get(key) for key in store.list("packs/")}
    keys = opened(store, RIGHT).keys
    assert keys.renew() == 2
    assert keys.rewrap(OTHER) == [1, 2]
    assert opened(store, OTHER).keys.rewrap(FILE) == [1, 2]
    assert opened(store, FILE).keys.rewrap(FILE) == []
    assert {key: store.get(key) for key in store.list("packs/")} == packs
    for gone in (RIGHT, OTHER):
        with pytest.raises(VaultLocked):
            opened(store, gone).restore("wren", tmp_path / "no")
    opened(store, FILE).restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)
    assert opened(store, None).keys.describe() == [
        {"number": n, "kdf": "hkdf-sha256", "sha256": hashlib.sha256(store.get(f"keys/{n}.json")).hexdigest()}
        for n in (1, 2)
    ]
    opened(store, None).replicate(copy)
    opened(copy, FILE).restore("wren", tmp_path / "out2")
    with pytest.raises(VaultLocked):
        opened(copy, RIGHT).restore("wren", tmp_path / "no")


def test_a_rotation_that_was_cut_short_goes_on(
    vault: Vault, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two keys, each is under one of the secrets; the same call, old secret at hand, finishes."""
    keys = opened(store, RIGHT).keys
    keys.renew()
    real = store.put_if_match

    def dies(key: str, data: bytes, version: str | None) -> str | None:
        if key == key_key(2):
            raise KeyboardInterrupt
        return real(key, data, version)

    monkeypatch.setattr(store, "put_if_match", dies)
    with pytest.raises(KeyboardInterrupt):
        keys.rewrap(OTHER)
    monkeypatch.undo()
    assert opened(store, RIGHT).keys.rewrap(OTHER) == [2]
    assert opened(store, OTHER).keys.rewrap(OTHER) == []


def test_a_lost_marker_is_not_made_in_the_clear(vault: Vault, store: LocalStore, model: Path, tmp_path: Path) -> None:
    """Marker and keys lost, it is not made anew without encryption; a copy brings both back."""
    vault.preserve(model, "wren")
    copy = LocalStore(tmp_path / "copy")
    vault.replicate(copy)
    for key in ("vault.json", key_key(1)):
        store.delete(key)
        with pytest.raises(NotFound):
            repair_marker(store, ())
    assert repair_marker(store, (copy,)) == copy.url
    assert opened(store, None).repair([copy]).ok
    assert opened(store, RIGHT).verify().ok


def test_a_vault_is_encrypted_from_its_making_or_never(store: LocalStore, tmp_path: Path) -> None:
    """Made twice it is one; another secret is refused, and so is encrypting what is there in the clear."""
    Vault.create(store, secret=RIGHT)
    assert Vault.create(store, secret=RIGHT).keys.encrypted
    with pytest.raises(VaultLocked):
        Vault.create(store, secret=OTHER)
    plain = LocalStore(tmp_path / "plain")
    Vault.create(plain)
    with pytest.raises(AlreadyExists, match="not encrypted"):
        Vault.create(plain, secret=RIGHT)
    assert not list(plain.list("keys/"))


def test_an_encrypted_segment_is_no_other(vault: Vault, store: LocalStore, model: Path) -> None:
    """A changed byte, another segment's bytes and too few are damage, named; they are never decoded."""
    keys = vault.keys
    number, sealed = keys.seal(b"a" * 32, b"hello")
    assert keys.open(number, b"a" * 32, sealed) == b"hello"
    assert keys.seal(b"a" * 32, b"hello")[1] != sealed  # no nonce twice
    for position in (0, 12, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(IntegrityError):
            keys.open(number, b"a" * 32, bytes(changed))
    with pytest.raises(IntegrityError):
        keys.open(number, b"b" * 32, sealed)
    with pytest.raises(IntegrityError):
        keys.open(number, b"a" * 32, sealed[:27])


@pytest.mark.parametrize(
    "kdf",
    [
        {"name": "scrypt", "salt": "00", "n": 1 << 30, "r": 8, "p": 1},
        {"name": "scrypt", "salt": "00", "n": 1000, "r": 8, "p": 1},
        {"name": "scrypt", "salt": "00", "n": 1024, "r": 8, "p": 1000},
        {"name": "scrypt", "salt": "zz", "n": 1024, "r": 8, "p": 1},
        {"name": "scrypt", "n": 1024},
        {"name": "md5", "salt": "00"},
        "scrypt",
    ],
)
def test_a_key_that_makes_no_sense_is_refused(kdf: object) -> None:
    """Parameters that ask for too much memory or time, or that are none, are damage, not work to be done."""
    with pytest.raises(IntegrityError):
        unwrap({"kdf": kdf, "number": 1, "wrapped": "00" * 60}, RIGHT, "keys/1.json")


def test_a_key_of_a_later_format_is_refused() -> None:
    """Another format or cipher is UnknownFormat."""
    for body in ({"format": 1, "cipher": "aes-256-gcm"}, {"format": 0, "cipher": "rot13"}):
        with pytest.raises(UnknownFormat):
            read_wrapped(seal("key", body), "keys/1.json")


def test_a_replicas_key_under_the_old_passphrase_is_not_put_back(
    vault: Vault, store: LocalStore, model: Path, tmp_path: Path
) -> None:
    """It would open to the secret that was given up: it is named instead. With that secret it comes."""
    vault.preserve(model, "wren")
    copy = LocalStore(tmp_path / "copy")
    vault.replicate(copy)
    assert opened(store, RIGHT).keys.rewrap(OTHER) == [1]
    store.delete(key_key(1))
    report = opened(store, OTHER).repair([copy])
    assert [damage.key for damage in report.lost] == [key_key(1)]
    assert "under another secret" in report.lost[0].what
    assert store.size(key_key(1)) is None
    assert opened(store, RIGHT).repair([copy]).ok
    assert opened(store, RIGHT).keys.rewrap(OTHER) == [1]
    opened(store, OTHER).restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)


def test_a_lost_key_is_noticed_before_anything_needs_it(vault: Vault, store: LocalStore, tmp_path: Path) -> None:
    """The first key, lost from an empty vault, and one between others, are named by verify and come from a copy."""
    copy = LocalStore(tmp_path / "copy")
    for _ in range(2):
        opened(store, RIGHT).keys.renew()
    vault.replicate(copy)
    for number in (1, 2):
        store.delete(key_key(number))
        assert [damage.key for damage in opened(store, None).verify(deep=False).damages] == [key_key(number)]
        report = opened(store, RIGHT).repair([copy])
        assert [each.key for each in report.repaired] == [key_key(number)]
    for number in (1, 2, 3):
        store.delete(key_key(number))
    assert [damage.key for damage in opened(store, None).verify().damages] == [key_key(1)]


def test_an_encrypted_sketch_is_proven_where_a_key_is_at_hand(vault: Vault, store: LocalStore, model: Path) -> None:
    """A flipped bit shows with the passphrase and not without; repair makes the sketch again."""
    vault.preserve(model, "wren")
    (key,) = store.list("sketches/")
    data = bytearray(store.get(key))
    data[len(data) // 2] ^= 1
    store.put(key, data)
    assert opened(store, None).verify().unsketched == ()
    assert opened(store, RIGHT).verify().unsketched == ("wren",)
    assert [each.key for each in opened(store, RIGHT).repair().repaired] == [key]
    assert opened(store, RIGHT).verify().unsketched == ()
