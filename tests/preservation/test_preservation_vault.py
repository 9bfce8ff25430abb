"""Preservation over the real vault: what is kept, proven, damaged and given to an engine."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from kept_folders import Mind
from sqlalchemy import select

from emeritus.blobs.local import LocalStore
from emeritus.errors import AlreadyExists, BadTensorFile, IntegrityError, NotAModel
from emeritus.preservation.cache import Cache
from emeritus.preservation.comparing import differences
from emeritus.preservation.drills import Drills
from emeritus.preservation.service import Preservation
from emeritus.preservation.sources import VaultSource
from emeritus.records.tables import Check, Preserved, Report
from emeritus.vault.vault import Vault
from feature_home import STEWARD, FeatureHome


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault in a folder."""
    return Vault.create(LocalStore(tmp_path / "vault"))


@pytest.fixture
def kept(home: FeatureHome, vault: Vault) -> Preservation:
    """The service over that vault."""
    return Preservation(home.acts, home.database, vault, home.folder)


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    """A model's folder with a true safetensors file of 1,000 bf16 weights."""
    folder = tmp_path / "tensors"
    folder.mkdir()
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1000], "data_offsets": [0, 2000]}}).encode()
    data = b"".join(struct.pack("<H", 0x3F00 + (i * 37) % 256) for i in range(1000))
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + data)
    (folder / "config.json").write_text("{}")
    (folder / "notes.bin").write_bytes(b"\x00" * 100)
    return folder


def damage(vault: Vault) -> None:
    """Flip one bit in the middle of every pack."""
    for key in list(vault.store.list("packs/")):
        data = bytearray(vault.store.get(key))
        data[len(data) // 2] ^= 1
        vault.store.put(key, data)


def test_a_model_is_kept_proven_and_given_to_an_engine(
    home: FeatureHome, kept: Preservation, vault: Vault, tensors: Path, tmp_path: Path
) -> None:
    """Manifest, proof and the engine's folder agree byte for byte."""
    kept.check_source(tensors)
    act = kept.preserve("wren", tensors, STEWARD)
    assert kept.preserve("wren", tensors, STEWARD).id == act.id
    assert kept.prove_restore("wren", STEWARD).public["ok"] is True
    assert kept.scrub(STEWARD).public["ok"] is True
    (row,) = home.read(select(Preserved))
    assert (row.files, row.bytes) == (3, sum(path.stat().st_size for path in tensors.iterdir()))
    folder = VaultSource(vault, "wren", Cache(tmp_path / "cache")).folder()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in tensors.iterdir()
    }


def test_weights_of_a_name_never_change(home: FeatureHome, kept: Preservation, tensors: Path) -> None:
    """Other files under a kept name are refused, and the record stays as it was."""
    kept.preserve("wren", tensors, STEWARD)
    (tensors / "config.json").write_text("[]")
    with pytest.raises(AlreadyExists):
        kept.preserve("wren", tensors, STEWARD)
    assert len(home.read(select(Preserved))) == 1


def test_what_is_no_model_is_refused_before_anything_is_written(
    home: FeatureHome, kept: Preservation, vault: Vault, tensors: Path, tmp_path: Path
) -> None:
    """An empty folder and a lying header are named; neither ledger nor vault has moved."""
    size, before = home.ledger.size, sorted(vault.store.list())
    (tmp_path / "nothing").mkdir()
    with pytest.raises(NotAModel):
        kept.check_source(tmp_path / "nothing")
    weights = tensors / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    for refuse in (kept.check_source, lambda folder: kept.preserve("wren", folder, STEWARD)):
        with pytest.raises(BadTensorFile):
            refuse(tensors)
    assert (home.ledger.size, sorted(vault.store.list())) == (size, before)


def test_a_damaged_pack_fails_proof_and_scrub_and_reaches_no_engine(
    home: FeatureHome, kept: Preservation, vault: Vault, tensors: Path, tmp_path: Path
) -> None:
    """One bit in a pack: both checks are recorded as bad, and nothing is given out."""
    kept.preserve("wren", tensors, STEWARD)
    damage(vault)
    with pytest.raises(IntegrityError):
        kept.prove_restore("wren", STEWARD)
    assert kept.scrub(STEWARD, "wren").public["ok"] is False
    assert [(check.kind, check.ok) for check in home.read(select(Check).order_by(Check.id))] == [
        ("restore", False),
        ("scrub", False),
    ]
    with pytest.raises(IntegrityError):
        VaultSource(vault, "wren", Cache(tmp_path / "cache")).folder()
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".room.lock", "wren.lock"]


async def test_references_and_reports_lie_beside_the_weights(
    home: FeatureHome, kept: Preservation, vault: Vault, tensors: Path, tmp_path: Path
) -> None:
    """Each role comes back from the vault as its own folder."""
    kept.preserve("wren", tensors, STEWARD)
    drills = Drills(home.acts, home.database, vault, home.folder)
    reference = await drills.capture_reference("wren", Mind(), STEWARD)
    digests = dict.fromkeys(("json_sha256", "markdown_sha256", "html_sha256"), "0" * 64)
    home.state("wren", "Report", version=1, manifest_sha256=None, **digests)
    kept.preserve_report("wren", 1, {"report.json": b"{}", "report.html": b"<article>"}, STEWARD)
    manifest = vault.manifest("wren", "report")
    assert home.read(select(Report))[0].manifest_sha256 == manifest.sha256
    assert vault.read_file("wren", "report.html", role="report") == b"<article>"
    (file,) = vault.manifest("wren", "reference").files
    assert vault.read_file("wren", file.path, role="reference") == home.acts.payload(
        reference.payloads["reference.json"]
    )
    vault.restore("wren", tmp_path / "out")
    assert differences(tmp_path / "out", vault.manifest("wren").files) == []
