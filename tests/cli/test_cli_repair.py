"""`emeritus repair` and `emeritus replicate`: damage undone from parity and copies, and said; a loss ends with 1."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_process import Emeritus

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.lifecycle.registration import Registration
from emeritus.settings import load as settings


@pytest.fixture
def kept(made: Emeritus, home: Path, tmp_path: Path) -> Emeritus:
    """A home that holds the weights of `voice`."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.bin").write_bytes(bytes(range(256)) * 90)
    app = App.open(settings(home=home))
    app.lifecycle.register(Registration("voice", engine="scripted", options={}), Actor("ana"))
    app.preservation.preserve("voice", tmp_path / "model", Actor("ana"))
    app.close()
    return made


def test_repair_and_copies(kept: Emeritus, home: Path, tmp_path: Path) -> None:
    """A lost pack comes back from parity, all of them and the marker from a copy; beyond that the files are named."""
    refused = kept("replicate", code=3)
    assert "names none" in refused.err
    copied = kept("replicate", str(tmp_path / "copy"), "--as", "ana", "--json").json["replicas"][0]
    assert copied["ok"]
    assert kept("replicate", str(tmp_path / "copy"), "--as", "ana").out.count(
        f"{copied['same'] + len(copied['copied'])} were there"
    )
    packs = sorted((home / "vault" / "packs").rglob("*.pack"))
    packs[0].unlink()
    assert not kept("verify", "--quick", "--json", code=1).json["ok"]
    said = kept("repair", "--as", "ana").out
    assert f"{packs[0].name}: it is missing; came back (parity)" in said
    for path in [*packs, *(home / "vault" / "parity").rglob("*.parity"), home / "vault" / "vault.json"]:
        path.unlink()
    found = kept("repair", "--replica", str(tmp_path / "copy"), "--as", "ana", "--json").json
    assert (found["ok"], found["marker"], found["lost"]) == (True, str(tmp_path / "copy"), [])
    assert kept("verify", "--json").json["ok"]
    for path in [*packs, *(home / "vault" / "parity").rglob("*.parity")]:
        path.unlink()
    lost = kept("repair", "--as", "ana", code=1).out
    assert "NOT BROUGHT BACK packs/" in lost
    assert "voice/weights/model.bin" in lost
