"""Golden archives: vaults of every format there was, read by the package and by the standard library alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from test_vault_standalone import standalone

from emeritus.blobs.local import LocalStore
from emeritus.errors import IntegrityError
from emeritus.vault.codec.table import DIFFERENCE, ENCODINGS
from emeritus.vault.manifest import FORMAT
from emeritus.vault.packs.pack import ENTRY, FOOTER, PackBuilder, pack_key, pack_name, read_index
from emeritus.vault.vault import STANDALONE, Vault

ARCHIVES = sorted(path for path in (Path(__file__).parent / "golden").iterdir() if path.is_dir())


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one archive, with this version's decoder beside it."""
    copy = tmp_path / "vault"
    shutil.copytree(request.param, copy)
    for name in STANDALONE:
        (copy / name).write_bytes(files("emeritus.vault.standalone").joinpath(name).read_bytes())
    return copy


def test_every_archive_restores(archive: Path, tmp_path: Path) -> None:
    """The package and the decoder on a bare interpreter give every file as it was when the archive was made."""
    for name, expected in json.loads((archive / "expected.json").read_bytes()).items():
        Vault.at(LocalStore(archive)).restore(name, tmp_path / name)
        assert digests(tmp_path / name) == expected
        done = standalone(archive, name, str(tmp_path / f"alone-{name}"))
        assert done.returncode == 0, done.stderr
        assert digests(tmp_path / f"alone-{name}") == expected
        assert (tmp_path / f"alone-{name}" / "empty" / "folder").is_dir()


def test_the_newest_archive_has_every_encoding(tmp_path: Path) -> None:
    """What this version can write lies in the archive of its format, differences with their bases among it."""
    store = LocalStore(Path(__file__).parent / "golden" / f"format-{FORMAT}")
    entries = [entry for key in store.list("packs/") for entry in read_index(store, key)]
    assert {entry.encoding for entry in entries} == ENCODINGS.keys()
    assert {entry.encoding == DIFFERENCE for entry in entries if entry.base} == {True}


def test_a_lost_base_takes_what_names_it(archive: Path, tmp_path: Path) -> None:
    """Without the base's pack the difference cannot be read, by either reader, and verify blames that pack for both."""
    store = LocalStore(archive)
    vault = Vault.at(store)
    (second,) = set(vault.manifest("tuned").packs) - set(vault.manifest("base").packs)
    (first,) = vault.manifest("base").packs
    data = store.get(pack_key(first))
    store.delete(pack_key(first))
    with pytest.raises(IntegrityError, match=first):
        Vault.at(store).restore("tuned", tmp_path / "out")
    assert standalone(archive, "tuned", str(tmp_path / "alone")).returncode == 1
    damages = Vault.at(store).verify().damages
    (damage,) = [damage for damage in damages if damage.key == pack_key(first)]
    assert {(mark.name, mark.path) for mark in damage.touches} >= {
        ("base", "config.json"),
        ("tuned", "model.safetensors"),
    }
    assert pack_key(second) not in {damage.key for damage in damages}
    store.put(pack_key(first), data)
    Vault.at(store).restore("tuned", tmp_path / "out")


def test_a_chain_of_two_is_refused(archive: Path, tmp_path: Path) -> None:
    """A base that is stored only as a difference itself is damage, however sound its bytes are."""
    store = LocalStore(archive)
    vault = Vault.at(store)
    (second,) = set(vault.manifest("tuned").packs) - set(vault.manifest("base").packs)
    (first,) = vault.manifest("base").packs
    differences = {entry.base for entry in read_index(store, pack_key(second))}
    data = bytearray(store.get(pack_key(first)))
    entries = read_index(store, pack_key(first))
    index = len(data) - FOOTER.size - ENTRY.size * len(entries)
    for number, entry in enumerate(entries):
        if entry.blake3 in differences:  # say of each base that it has one itself
            data[index + ENTRY.size * number + 32 : index + ENTRY.size * number + 64] = entries[0].blake3
    digest = hashlib.sha256(data[index : -FOOTER.size]).digest()
    data[-FOOTER.size + 16 : -FOOTER.size + 48] = digest
    name = hashlib.sha256(data).hexdigest()
    store.delete(pack_key(first))
    store.put(pack_key(name), bytes(data))
    assert pack_name(pack_key(name)) == name
    with pytest.raises(IntegrityError, match="a base, and a difference itself"):
        Vault.at(store).restore("tuned", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_segment_is_no_difference_from_itself(store: LocalStore) -> None:
    """An index that says so is refused as damage."""
    from emeritus.vault.packs.pack import Encoded

    builder = PackBuilder()
    builder.add(Encoded(b"b" * 32, 4, DIFFERENCE, b"xxxx", base=b"b" * 32))
    name, data = builder.finish()
    store.put(pack_key(name), data)
    with pytest.raises(IntegrityError, match="a difference from itself"):
        read_index(store, pack_key(name))
