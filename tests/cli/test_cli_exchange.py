"""`emeritus export` and `emeritus import`: from one home into another, with nothing lost and nothing half-made."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import Emeritus

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.lifecycle.registration import Registration
from emeritus.settings import load as settings
from emeritus.testing.model import random_model
from warm_program import Warm

ANA = Actor("ana")


@pytest.mark.slow
def test_from_home_to_home(made: Emeritus, home: Path, warm: Warm, tmp_path: Path) -> None:
    """Weights, reference and report go from one home to a fresh one, digest and all; a flipped bit is refused."""
    random_model(tmp_path / "model")
    app = App.open(settings(home=home))
    app.retirement.take_in(Registration("voice", engine="scripted", options={}), tmp_path / "model", ANA)
    app.preservation.preserve_report("voice", 1, {"report.md": b"# Report", "register.json": b"{}"}, ANA)
    digest = app.vault.manifest("voice").weights_digest
    app.close()
    done = made("export", "voice", str(tmp_path / "bag"), "--as", "bagit", "--json").json
    assert [(part["role"], part["version"]) for part in done["parts"]] == [("report", 1), ("weights", 1)]
    assert "no form is named" in made("export", "voice", str(tmp_path / "no"), "--as", "tar", code=3).err
    assert "holds nothing" in made("export", "nobody", str(tmp_path / "no"), code=3).err

    fresh = replace(warm, home=tmp_path / "second")
    waived = ("--second-coder", "waived", "--second-decider", "waived")
    assert fresh.say("init", "--organisation", "Second Lab", *waived).code == 0
    broken = shutil.copytree(tmp_path / "bag", tmp_path / "broken")
    weights = next(broken.rglob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    refused = fresh.say("import", str(broken), "voice", "--as", "ana")
    assert (refused.code, "EM201" in refused.err, "sha256" in refused.err) == (4, True, True)
    app = App.open(settings(home=tmp_path / "second"))
    assert not app.importing.held("voice")
    assert app.vault.manifests() == []
    assert list(app.vault.store.list("packs/")) == []
    assert list((tmp_path / "second" / "cache").glob("import-*")) == []
    app.close()

    said = fresh.say("import", str(tmp_path / "bag"), "voice", "--as", "ana")
    assert said.code == 0, said.err
    assert f"weights digest {digest}" in said.out
    again = fresh("import", str(tmp_path / "bag"), "voice", "--as", "ana")
    assert again["weights_digest"] == digest
    app = App.open(settings(home=tmp_path / "second"))
    assert app.vault.read_file("voice", "report.md", role="report") == b"# Report"
    assert [(m.role, m.version) for m in app.vault.manifests()] == [("report", 1), ("weights", 1)]
    assert app.check().ok
    app.acts.rebuild()
    assert app.check().ok
    app.close()
