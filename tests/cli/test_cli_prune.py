"""`emeritus prune`: a decision to remove weights, its undoing, and what a sweep would take."""

from __future__ import annotations

from pathlib import Path

from cli_process import Emeritus

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.lifecycle.registration import Registration
from emeritus.settings import load as settings


def test_prune(made: Emeritus, home: Path, tmp_path: Path) -> None:
    """Marked with a reason, listed, undone; once the grace is over the dry run names every object, then they go.

    A copy keeps them until it is told to prune as well, and then says what went there.
    """
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.bin").write_bytes(bytes(range(256)) * 90)
    app = App.open(settings(home=home))
    app.lifecycle.register(Registration("voice", engine="scripted", options={}), Actor("ana"))
    app.preservation.preserve("voice", tmp_path / "model", Actor("ana"))
    app.close()
    copy = tmp_path / "copy"
    made("replicate", str(copy), "--as", "ana")
    assert "reason" in made("prune", "--remove", "voice", code=3).err
    said = made("prune", "--remove", "voice", "--reason", "licence", "--as", "ana").out
    assert "normally kept for ever" in said
    assert [each["name"] for each in made("prune", "--json").json["marked"]] == ["voice"]
    assert made("prune", "--undo", "voice", "--reason", "licence found", "--json").json["marked"] == []
    made("--removal-days", "0", "prune", "--remove", "voice", "--reason", "licence", "--as", "ana")
    told = made("prune", "--dry-run", "--json").json["removal"]
    assert {each["key"].split("/")[0] for each in told["objects"]} == {"manifests", "sketches", "parity", "packs"}
    done = made("prune", "--as", "ana").out
    assert f"{told['bytes']:,}  bytes in {len(told['objects'])} objects went" in done
    assert not list((home / "vault" / "packs").rglob("*.pack"))
    assert made("replicate", str(copy), "--as", "ana", "--json").json["replicas"][0]["removed"] is None
    assert list((copy / "packs").rglob("*.pack"))
    there = made("replicate", "--prune", str(copy), "--as", "ana", "--json").json["replicas"][0]
    assert (there["ok"], set(there["removed"])) == (True, {each["key"] for each in told["objects"]})
    assert not list((copy / "packs").rglob("*.pack"))
    assert "0 objects removed" in made("replicate", "--prune", str(copy), "--as", "ana").out
    made("verify")
    assert made("verify", "--rebuild", "--json").json["ok"]
