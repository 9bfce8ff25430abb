"""Encrypted vaults without us: the documented bytes, and the decoder that travels along."""

from __future__ import annotations

import os
import re
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from vault_models import contents
from vault_secrets import FILE, RIGHT, opened, standalone

from emeritus.blobs.local import LocalStore
from emeritus.vault.digests import blake3_of
from emeritus.vault.keys.cipher import decrypt, encrypt, read_wrapped, unwrap, wrap
from emeritus.vault.vault import Vault

pytestmark = pytest.mark.usefixtures("quick_scrypt")
TEXT = files("emeritus.vault.standalone").joinpath("FORMAT.txt").read_text(encoding="ascii")


def test_documented_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document's examples are what the writer makes of the documented nonces, and open to the documented key."""
    section = TEXT.partition("## Encryption")[2].partition("\n## ")[0]
    key = bytes(range(32))
    segment = bytes.fromhex("".join(re.findall(r"^    ([0-9a-f]{2,64})$", section, re.MULTILINE)))
    wrapped = [line.encode() for line in re.findall(r'^    (\{"key":.*\})$', section, re.MULTILINE)]
    assert decrypt(key, segment, blake3_of(b"hello")) == b"hello"
    for data, secret in zip(wrapped, (RIGHT, FILE), strict=True):
        assert unwrap(read_wrapped(data, "k"), secret, "k") == key
    drawn = 0

    def counting(count: int) -> bytes:
        nonlocal drawn
        drawn += count
        return bytes(range(drawn - count, drawn))

    monkeypatch.setattr(os, "urandom", counting)
    assert encrypt(key, b"hello", blake3_of(b"hello")) == segment
    for number, (data, secret) in enumerate(zip(wrapped, (RIGHT, FILE), strict=True), 1):
        drawn = 0
        assert wrap(number, key, secret) == data


def test_the_vaults_own_decoder(store: LocalStore, model: Path, tmp_path: Path) -> None:
    """With `cryptography` and passphrase or key file it restores; without either it says what it needs."""
    Vault.create(store, secret=RIGHT).preserve(model, "wren")
    given = {"EMERITUS_VAULT_PASSPHRASE": "correct horse"}
    done = standalone(store.root, "wren", tmp_path / "out", **given)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "out") == contents(model)
    for asked, env in (
        ("set EMERITUS_VAULT_PASSPHRASE", {}),
        ("does not open", {"EMERITUS_VAULT_PASSPHRASE": "battery"}),
        ("pip install cryptography", {**given, "without": "cryptography"}),
    ):
        failed = standalone(store.root, "wren", tmp_path / "no", **env)
        assert failed.returncode == 1
        assert asked in failed.stderr
        shutil.rmtree(tmp_path / "no")
    opened(store, RIGHT).keys.rewrap(FILE)
    (tmp_path / "file.key").write_bytes(FILE.value)
    again = standalone(store.root, "wren", tmp_path / "out2", EMERITUS_VAULT_KEY_FILE=str(tmp_path / "file.key"))
    assert again.returncode == 0, again.stderr
    assert 'needs\nthe Python package "cryptography"' in store.get("README.txt").decode()
