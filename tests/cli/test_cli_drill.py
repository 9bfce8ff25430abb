"""`emeritus drill` and `emeritus certificate` over a home that keeps a model's files and lets a script answer."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest
from cli_process import Emeritus

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.lifecycle.registration import Registration
from emeritus.settings import load as settings
from emeritus.testing.model import random_model

ANA = Actor("ana")


@pytest.fixture
def kept(made: Emeritus, home: Path, tmp_path: Path) -> Emeritus:
    """A home with `voice`: its weights are held, a script answers for it, references and calibration are captured."""
    random_model(tmp_path / "model")
    app = App.open(settings(home=home))
    app.retirement.take_in(Registration("voice", engine="scripted", options={}), tmp_path / "model", ANA)
    app.run(app.retirement.capture_reference("voice", ANA))
    app.close()
    return made


def test_a_drill_is_certified_and_the_certificate_can_be_kept(kept: Emeritus, home: Path, tmp_path: Path) -> None:
    """Text and JSON say the same; the file is the payload that the ledger names; a second drill is another one."""
    refused = kept("certificate", "voice", code=3)
    assert "no drill" in refused.err
    said = kept("drill", "voice", "--as", "ana").out
    assert "voice: revived, the same" in said
    assert "identical, bit for bit" in said
    assert "false alarms at most 1%" in said
    out = tmp_path / "voice.json"
    shown = kept("certificate", "voice", "--out", str(out), "--json").json
    assert shown["certificate"]["ok"] is True
    statement = json.loads(base64.b64decode(json.loads(out.read_bytes())["payload"]))
    assert statement["predicate"] == shown["certificate"]
    again = kept("drill", "voice", "--as", "ana", "--json").json
    assert again["entry"] == shown["entry"] + 1
    summary = kept("status", "voice", "--json").json
    assert summary["certificate"]["entry"] == again["entry"]
    assert summary["calibration"] == {"method": "score", "configurations": 2, "false_alarm_rate": 0.01}


def test_a_revival_that_fails_is_certified_too(kept: Emeritus, home: Path) -> None:
    """A damaged vault: the command ends with 1, and the certificate says that it was not revived or what differs."""
    (home / "cache").rename(home / "cache-away")
    (home / "cache").mkdir()
    shutil.rmtree(home / "vault" / "parity", ignore_errors=True)
    for pack in (home / "vault" / "packs").rglob("*"):
        if pack.is_file():
            data = bytearray(pack.read_bytes())
            data[len(data) // 2] ^= 1
            pack.write_bytes(data)
    said = kept("drill", "voice", "--as", "ana", code=1)
    assert "files differ" in said.out
    assert kept("certificate", "voice", "--json").json["certificate"]["ok"] is False
    assert kept("drill", "nobody", "--as", "ana", code=3).err
