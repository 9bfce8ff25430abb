"""Keeping and proving: every outcome recorded, good or bad, over a real ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept_folders import FolderKeeper
from sqlalchemy import select

from emeritus.acts import Draft
from emeritus.errors import InputError, IntegrityError, NotFound
from emeritus.preservation.removal import MARKED, UNDONE
from emeritus.preservation.service import Preservation
from emeritus.records.tables import AxisEvent, Check, Preserved, Report, Resident
from feature_home import STEWARD, FeatureHome


def test_preserving_twice_is_one_act(home: FeatureHome, preservation: Preservation, model: Path) -> None:
    """The act names the manifest; the resident's digest and axis follow."""
    act = preservation.preserve("wren", model, STEWARD)
    assert preservation.preserve("wren", model, STEWARD).id == act.id
    (row,) = home.read(select(Preserved))
    assert (row.role, row.version, row.files, row.bytes) == ("weights", 1, 3, 258)
    assert row.manifest_sha256 == act.payloads["manifest"]
    assert (
        home.read(select(Resident).where(Resident.name == "wren"))[0].weights_digest
        == act.public["kept"]["weights_digest"]
    )
    assert [(event.axis, event.state) for event in home.read(select(AxisEvent))] == [("preservation", "held")]


def test_a_stranger_and_a_model_held_elsewhere_are_not_preserved(
    home: FeatureHome, preservation: Preservation, keeper: FolderKeeper, model: Path
) -> None:
    """Nothing reaches the vault for a name that is not in care, or whose weights are said not to be held."""
    with pytest.raises(NotFound):
        preservation.preserve("owl", model, STEWARD)
    with pytest.raises(InputError, match="not held"):
        preservation.preserve("robin", model, STEWARD)
    assert keeper.sets == {}
    assert home.read(select(Preserved)) == []


def test_a_vault_that_is_not_the_recorded_one_is_noticed(
    preservation: Preservation, keeper: FolderKeeper, model: Path
) -> None:
    """When the vault's version 1 is another than the ledger's, preserving says so."""
    preservation.preserve("wren", model, STEWARD)
    keeper.sets.clear()
    for folder in keeper.root.iterdir():
        folder.rename(folder.with_name("away"))
    (model / "config.json").write_text("[]")
    with pytest.raises(IntegrityError, match="not the one the ledger names"):
        preservation.preserve("wren", model, STEWARD)


def test_a_restore_is_proven_and_leaves_nothing_behind(
    home: FeatureHome, preservation: Preservation, model: Path
) -> None:
    """The proof names the manifest it is of; its folder is gone, and so is one a killed proof had left."""
    preservation.preserve("wren", model, STEWARD)
    leftover = home.folder / "cache" / "proofs" / "proof-dead"
    leftover.mkdir(parents=True)
    act = preservation.prove_restore("wren", STEWARD)
    (check,) = home.read(select(Check))
    assert (check.kind, check.ok, check.summary) == ("restore", True, "3 files came back byte for byte")
    assert check.detail["manifest_sha256"] == home.read(select(Preserved))[0].manifest_sha256
    assert check.act == act.id
    assert [path.name for path in (home.folder / "cache" / "proofs").iterdir()] == ["lock"]


@pytest.mark.parametrize("damage", ["changed", "missing", "additional", "renamed"])
def test_a_proof_that_fails_is_recorded_and_raised(
    home: FeatureHome, preservation: Preservation, keeper: FolderKeeper, model: Path, damage: str
) -> None:
    """A changed, missing, additional or renamed file fails the proof, names itself, and stays on record."""
    preservation.preserve("wren", model, STEWARD)
    weights = keeper.kept("wren") / "sub" / "model.safetensors"
    if damage == "changed":
        weights.write_bytes(bytes(range(255)) + b"\x00")
    elif damage == "missing":
        weights.unlink()
    elif damage == "additional":
        weights.with_name("modeling.py").write_text("import os")
    else:
        weights.rename(weights.with_name("other.safetensors"))
    with pytest.raises(IntegrityError, match="failed its proof"):
        preservation.prove_restore("wren", STEWARD)
    (check,) = home.read(select(Check))
    assert not check.ok
    assert check.detail["problem_count"] == (2 if damage == "renamed" else 1)
    assert "sub/" in check.summary


def test_a_restore_the_vault_refuses_is_recorded_and_raised(
    home: FeatureHome, preservation: Preservation, keeper: FolderKeeper, model: Path
) -> None:
    """The vault's own refusal is a failed proof as well."""
    preservation.preserve("wren", model, STEWARD)
    keeper.checks = True
    (keeper.kept("wren") / "config.json").write_text("[]")
    with pytest.raises(IntegrityError, match="a pack is damaged"):
        preservation.prove_restore("wren", STEWARD)
    assert [(check.ok, check.summary) for check in home.read(select(Check))] == [
        (False, "what came back is not what was preserved: a pack is damaged")
    ]


def test_a_scrub_is_recorded_good_or_bad(
    home: FeatureHome, preservation: Preservation, keeper: FolderKeeper, model: Path
) -> None:
    """Of one resident or of the whole vault."""
    preservation.preserve("wren", model, STEWARD)
    assert preservation.scrub(STEWARD, "wren").public["ok"] is True
    (keeper.kept("wren") / "config.json").write_text("[]")
    assert preservation.scrub(STEWARD).public["ok"] is False
    rows = home.read(select(Check).order_by(Check.id))
    assert [(row.resident, row.ok) for row in rows] == [("wren", True), (None, False)]
    assert rows[1].detail["problems"] == ["wren/config.json: its bytes differ"]


def test_a_report_is_kept_and_its_row_says_where(home: FeatureHome, preservation: Preservation) -> None:
    """The vault's manifest is named in the report's row, and only in that version's."""
    for version in (1, 2):
        digests = dict.fromkeys(("json_sha256", "markdown_sha256", "html_sha256"), "0" * 64)
        home.state("wren", "Report", version=version, manifest_sha256=None, **digests)
    act = preservation.preserve_report("wren", 2, {"report.json": b"{}", "report.md": b"#"}, STEWARD)
    assert preservation.preserve_report("wren", 2, {"report.json": b"{}", "report.md": b"#"}, STEWARD).id == act.id
    rows = home.read(select(Report).order_by(Report.version))
    assert [row.manifest_sha256 for row in rows] == [None, act.payloads["manifest"]]
    with pytest.raises(NotFound):
        preservation.preserve_report("owl", 1, {"report.json": b"{}"}, STEWARD)


def test_rebuilding_brings_every_row_back(home: FeatureHome, preservation: Preservation, model: Path) -> None:
    """Preserved and checked rows are the ledger's."""
    preservation.preserve("wren", model, STEWARD)
    preservation.prove_restore("wren", STEWARD)
    home.acts.rebuild()
    assert len(home.read(select(Preserved))) == len(home.read(select(Check))) == 1
    assert home.read(select(Resident).where(Resident.name == "wren"))[0].weights_digest


def test_what_is_to_be_removed_becomes_no_base(
    home: FeatureHome, preservation: Preservation, keeper: FolderKeeper, model: Path
) -> None:
    """The vault is told to keep nothing as a difference from residents marked for removal, as long as they are."""
    for kind, avoided in ((MARKED, ["robin"]), (UNDONE, [])):
        draft = Draft(kind, "robin", public={"reason": "its licence", "days": 30})
        home.acts.perform(f"test:{kind}", STEWARD, lambda session, draft=draft: draft)
        preservation.preserve("wren", model, STEWARD)
        assert keeper.avoided == avoided
