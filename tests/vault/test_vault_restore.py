"""What goes in comes out: byte for byte, once, by any of its names, from any store."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from vault_models import contents, make_model, numbers, safetensors, tensor

from emeritus.blobs.local import LocalStore
from emeritus.blobs.objects import ObjectStore
from emeritus.errors import (
    AlreadyExists,
    BadName,
    DestinationNotEmpty,
    InputError,
    NotAModel,
    NotFound,
    StoreFull,
    UnknownFormat,
)
from emeritus.testing.faults import FullDisk
from emeritus.testing.s3 import S3Server
from emeritus.vault.manifest import Manifest
from emeritus.vault.sealed import seal
from emeritus.vault.vault import STANDALONE, Vault


def test_every_byte_comes_back(vault: Vault, model: Path, tmp_path: Path, small_packs: None) -> None:
    """Odd tensors, odd files, odd names, modes and empty folders restore exactly; version control is left out."""
    reports: list[tuple[str, int, int]] = []
    manifest = vault.preserve(model, "wren", progress=lambda *what: reports.append(what))
    restored: list[tuple[str, int, int]] = []
    assert vault.restore("wren", tmp_path / "out", progress=lambda *what: restored.append(what)) == manifest
    assert contents(tmp_path / "out") == contents(model)
    assert manifest.left_out == (".git",)
    assert manifest.has_tokenizer
    assert manifest.folders == ("code/deep", "nothing/inside")
    assert len(manifest.packs) > 3
    total = manifest.total_bytes
    assert total == sum(len(entry[0]) for entry in contents(model).values() if entry)
    for progress in (reports, restored):
        assert progress[-1][1:] == (total, total)
        assert [done for _, done, _ in progress] == sorted(done for _, done, _ in progress)
    assert not list(tmp_path.glob(".*"))


def test_manifest_says_what_is_there(vault: Vault, model: Path) -> None:
    """Digests are those of the files, the weights' digest is the documented sum, the stored file the manifest."""
    manifest = vault.preserve(model, "wren")
    lines = []
    for file in manifest.files:
        assert file.sha256 == hashlib.sha256((model / file.path).read_bytes()).hexdigest()
        if file.path.endswith((".safetensors", ".bin")):
            lines.append(f"{file.path}\0{file.sha256}\n".encode())
    assert len(lines) == 3
    assert manifest.weights_digest == hashlib.sha256(b"".join(sorted(lines))).hexdigest()
    stored = vault.store.get("manifests/wren/weights.1.json")
    assert manifest.sha256 == hashlib.sha256(stored).hexdigest()
    assert vault.manifest("wren") == manifest == vault.manifests()[0]
    assert manifest.stored_bytes < 0.8 * manifest.total_bytes


def test_read_file(vault: Vault, model: Path) -> None:
    """One file comes back alone; one that is not listed is NotFound."""
    vault.preserve(model, "wren")
    assert vault.read_file("wren", "code/run.sh") == b"#!/bin/sh\n"
    assert vault.read_file("wren", "empty.txt") == b""
    with pytest.raises(NotFound):
        vault.read_file("wren", "code/../config.json")


def test_preserving_again_is_the_same(vault: Vault, model: Path) -> None:
    """The same bytes again write nothing and give the same manifest, also from a vault opened anew."""
    first = vault.preserve(model, "wren")
    before = list(vault.store.list())
    assert Vault.at(vault.store).preserve(model, "wren") == first
    assert list(vault.store.list()) == before


@pytest.mark.parametrize("change", ["byte", "added", "removed", "mode", "folder"])
def test_other_weights_of_that_name_are_refused(vault: Vault, model: Path, change: str) -> None:
    """Weights are never replaced: any difference is AlreadyExists, says what differs, and changes nothing."""
    vault.preserve(model, "wren")
    before = list(vault.store.list())
    if change == "byte":
        data = bytearray((model / "pytorch_model.bin").read_bytes())
        data[-1] ^= 1
        (model / "pytorch_model.bin").write_bytes(data)
    elif change == "added":
        (model / "new.txt").write_text("")
    elif change == "removed":
        (model / "empty.txt").unlink()
    elif change == "mode":
        (model / "config.json").chmod(0o755)
    else:
        (model / "nothing" / "more").mkdir()
    with pytest.raises(AlreadyExists) as caught:
        vault.preserve(model, "wren")
    named = {"byte": "pytorch_model.bin", "added": "new.txt", "removed": "empty.txt", "mode": "config.json"}
    assert named.get(change, "folders") in caught.value.message
    assert list(vault.store.list()) == before


def test_reports_have_versions(vault: Vault, tmp_path: Path) -> None:
    """A changed report is a new version beside the old; an unchanged one is not."""
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.html").write_text("one")
    assert vault.preserve(folder, "wren", role="report").version == 1
    assert vault.preserve(folder, "wren", role="report").version == 1
    (folder / "report.html").write_text("two")
    assert vault.preserve(folder, "wren", role="report").version == 2
    (folder / "report.html").write_text("one")
    assert vault.preserve(folder, "wren", role="report").version == 3
    assert vault.read_file("wren", "report.html", role="report") == b"one"
    assert vault.read_file("wren", "report.html", role="report", version=2) == b"two"
    assert vault.manifest("wren", "report").weights_digest is None
    with pytest.raises(NotFound):
        vault.manifest("wren", "report", 4)
    with pytest.raises(NotFound):
        vault.manifest("wren")
    for number in range(4, 12):
        (folder / "report.html").write_text(str(number))
        assert vault.preserve(folder, "wren", role="report").version == number
    assert [manifest.version for manifest in vault.manifests()] == list(range(1, 12))


def test_equal_tensors_are_stored_once(vault: Vault, tmp_path: Path) -> None:
    """A second resident with the same tensors under other names in another layout adds next to nothing."""
    weights = numbers(200_000, "BF16", 3)
    for name, first in (("one", "w"), ("two", "x")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        pad = b"" if name == "one" else b"shift"
        header = {first: tensor("BF16", [200_000], len(pad), len(pad) + len(weights))}
        (tmp_path / name / "model.safetensors").write_bytes(safetensors(header, pad + weights))

    def size() -> int:
        return sum(vault.store.size(key) or 0 for key in vault.store.list("packs/"))

    vault.preserve(tmp_path / "one", "one")
    before = size()
    assert before > 200_000
    vault.preserve(tmp_path / "two", "two")
    assert size() - before < 5_000
    vault.restore("two", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "two")


def test_large_tensors_are_split(vault: Vault, tmp_path: Path) -> None:
    """A tensor longer than a segment is several, and comes back whole."""
    weights = numbers(5 << 20, "BF16", 3)  # 10 MiB
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    header = {"w": tensor("BF16", [5 << 20], 0, len(weights))}
    (tmp_path / "m" / "model.safetensors").write_bytes(safetensors(header, weights))
    manifest = vault.preserve(tmp_path / "m", "wren")
    lengths = [length for _, length in manifest.files[1].segments]
    assert lengths[1:] == [8 << 20, 2 << 20]
    assert manifest.stored_bytes / manifest.total_bytes < 0.69
    vault.restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "m")


def test_in_an_object_store(
    s3_server: S3Server, model: Path, tmp_path: Path, small_packs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same vault in S3: create, preserve, find again, verify, restore."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ENDPOINT_URL", s3_server.endpoint),
    ):
        monkeypatch.setenv(name, value)
    url = f"s3://{s3_server.bucket()}/vaults/one"
    with pytest.raises(NotFound):
        Vault.at(ObjectStore(url))
    manifest = Vault.create(ObjectStore(url)).preserve(model, "wren")
    again = Vault.at(ObjectStore(url))
    assert again.preserve(model, "wren") == manifest
    assert again.verify().ok
    again.restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)


def test_create_twice_and_open(tmp_path: Path) -> None:
    """Creating where a vault is opens it; opening where none is says so; a newer format is refused by name."""
    store = LocalStore(tmp_path / "v")
    with pytest.raises(NotFound, match="no vault"):
        Vault.at(store)
    Vault.create(store)
    before = {key: store.get(key) for key in store.list()}
    assert set(before) == {*STANDALONE, "vault.json"}
    Vault.create(store)
    assert {key: store.get(key) for key in store.list()} == before
    store.put("vault.json", seal("emeritus_vault", {"format": 7, "standalone": {}}))
    with pytest.raises(UnknownFormat, match="7"):
        Vault.at(store)


@pytest.mark.parametrize(
    "name", ["", "..", ".hidden", "a/b", "../x", "Wren", "a" * 65, "a b", "wren\n", "é", "-x", "a\\b", "a\0b"]
)
def test_bad_names(vault: Vault, model: Path, tmp_path: Path, name: str) -> None:
    """A name that could escape or clash is BadName in every call, before anything is read or written."""
    before = list(vault.store.list())
    for call in (
        lambda: vault.preserve(model, name),
        lambda: vault.manifest(name),
        lambda: vault.restore(name, tmp_path / "out"),
        lambda: vault.read_file(name, "config.json"),
        lambda: vault.verify(name),
    ):
        with pytest.raises(BadName):
            call()
    assert list(vault.store.list()) == before
    assert not (tmp_path / "out").exists()


def test_unknown_role_lists_the_known(vault: Vault, model: Path) -> None:
    """A role that is none is refused with the list."""
    with pytest.raises(BadName, match="weights, report, reference"):
        vault.preserve(model, "wren", role="weight")


def test_what_is_no_model(vault: Vault, tmp_path: Path) -> None:
    """Missing folder, file, empty folder, no weights, no config: one clear error each, and nothing stored."""
    folder = tmp_path / "m"
    with pytest.raises(NotFound):
        vault.preserve(folder, "wren")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotAModel, match="not a folder"):
        vault.preserve(tmp_path / "file", "wren")
    folder.mkdir()
    with pytest.raises(NotAModel, match="no weight file"):
        vault.preserve(folder, "wren")
    (folder / "model.safetensors").write_bytes(safetensors({}, b""))
    with pytest.raises(NotAModel, match=r"config\.json"):
        vault.preserve(folder, "wren")
    assert list(vault.store.list("packs/")) == []
    assert list(vault.store.list("manifests/")) == []
    (folder / "config.json").write_text("{}")
    assert not vault.preserve(folder, "wren").has_tokenizer


def test_links(vault: Vault, model: Path, tmp_path: Path) -> None:
    """A link out of the folder, a dangling one and one to a folder are refused; nothing is stored."""
    (tmp_path / "secret").write_text("secret")
    link = model / "link"
    for target, error in (
        ("../secret", BadName),
        (str(tmp_path / "secret"), BadName),
        ("nowhere", InputError),
        ("code", InputError),
    ):
        link.symlink_to(target)
        with pytest.raises(error, match="link"):
            vault.preserve(model, "wren")
        link.unlink()
    os.mkfifo(model / "pipe")
    with pytest.raises(InputError, match="pipe"):
        vault.preserve(model, "wren")
    (model / "pipe").unlink()
    with open(os.fsencode(model) + b"/\xff.txt", "wb"):
        pass
    with pytest.raises(BadName, match="UTF-8"):
        vault.preserve(model, "wren")
    assert list(vault.store.list("packs/")) == []


def test_a_file_that_changes_meanwhile(vault: Vault, model: Path) -> None:
    """A source that is written while it is read is refused, and no manifest appears."""

    def touch(what: str, done: int, total: int) -> None:
        if what == "code/run.sh":
            with (model / "pytorch_model.bin").open("ab") as file:
                file.write(b"more")

    with pytest.raises(InputError, match=r"pytorch_model\.bin changed"):
        vault.preserve(model, "wren", progress=touch)
    assert vault.manifests() == []


def test_destination_must_be_empty(vault: Vault, model: Path, tmp_path: Path) -> None:
    """A restore never mixes: files there, or a file in its place, are refused; an empty folder is fine."""
    vault.preserve(model, "wren")
    for dest in (tmp_path / "full", tmp_path / "file"):
        if dest.name == "full":
            dest.mkdir()
            (dest / "mine").write_text("mine")
        else:
            dest.write_text("mine")
        with pytest.raises(DestinationNotEmpty):
            vault.restore("wren", dest)
    assert (tmp_path / "full" / "mine").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    vault.restore("wren", tmp_path / "empty")
    vault.restore("wren", tmp_path / "a" / "b" / "c")
    assert contents(tmp_path / "empty") == contents(tmp_path / "a" / "b" / "c") == contents(model)


def test_full_disk_while_restoring(store: LocalStore, model: Path, tmp_path: Path) -> None:
    """No room for the restore: StoreFull, and neither the destination nor a half-made folder stays."""
    Vault.create(store).preserve(model, "wren")
    disk = FullDisk(100_000)
    with pytest.raises(StoreFull) as caught:
        Vault.at(store, disk).restore("wren", tmp_path / "out")
    assert "nothing was left" in caught.value.remedy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "vault"]
    disk.room = 1 << 30
    Vault.at(store, disk).restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)


def test_restore_cleans_up_after_a_killed_one(vault: Vault, model: Path, tmp_path: Path) -> None:
    """What a killed restore left beside the destination is gone after the next."""
    vault.preserve(model, "wren")
    left = tmp_path / ".out.restoring"
    (left / "folder").mkdir(parents=True)
    (left / "folder" / "half").write_text("half")
    vault.restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)
    assert not left.exists()


def test_manifest_survives_json(vault: Vault, model: Path) -> None:
    """The stored form is plain JSON that any reader can take apart, and reads back equal."""
    manifest = vault.preserve(model, "wren")
    data = manifest.to_bytes()
    assert json.loads(data)["manifest"]["name"] == "wren"
    assert Manifest.from_bytes(data, "k") == manifest


def test_two_models_do_not_meet(vault: Vault, tmp_path: Path) -> None:
    """Residents whose names share a beginning are kept apart."""
    make_model(tmp_path / "a", seed=1, count=1000)
    make_model(tmp_path / "b", seed=9, count=1000)
    first, second = vault.preserve(tmp_path / "a", "wren"), vault.preserve(tmp_path / "b", "wren.2")
    assert first.weights_digest != second.weights_digest
    assert [manifest.name for manifest in vault.manifests()] == ["wren", "wren.2"]
    assert vault.manifest("wren").version == 1
    vault.restore("wren.2", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "b")


def test_the_folder_beside_goes_while_it_is_looked_at(
    vault: Vault, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another restore's folder goes between our locking it and our looking whether it is there: a new one is made."""
    vault.preserve(model, "wren")
    beside = tmp_path / ".out.restoring"
    gone: list[int] = []
    fstat = os.fstat

    def going(fd: int) -> os.stat_result:
        if not gone and os.readlink(f"/proc/self/fd/{fd}") == str(beside):
            gone.append(fd)
            beside.rmdir()
        return fstat(fd)

    monkeypatch.setattr(os, "fstat", going)
    vault.restore("wren", tmp_path / "out")
    assert gone
    assert contents(tmp_path / "out") == contents(model)
