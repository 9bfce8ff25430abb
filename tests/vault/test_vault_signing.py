"""Bundles over restored folders, judged by OpenSSF's own verifier as a program: what it says and how it ends."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from vault_models import contents

from emeritus.errors import SigningKeyUnusable
from emeritus.vault.keys.signing import ModelKey
from emeritus.vault.vault import Vault

PLAIN = {"PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "ignore"}  # Emeritus is not on its path
FAILED = "Verification failed with error: "
SEVERAL = """
import contextlib, io, json, sys
from model_signing import _cli
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = _cli.main(arguments, standalone_mode=True)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def model_signing(*arguments: object) -> subprocess.CompletedProcess[str]:
    """OpenSSF's program, as a shell would start it."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=PLAIN)


def verifying(bundle: Path, public: Path, folder: Path) -> list[str]:
    """The arguments that `emeritus restore` prints."""
    return ["verify", "key", "--signature", str(bundle), "--public_key", str(public), str(folder)]


def said(*calls: list[str]) -> list[str]:
    """What each of several calls said in one process, for it takes seconds to start: empty when it holds.

    Its words and its exit code must agree: a program that fails for another reason has verified nothing.
    """
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(calls)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=PLAIN,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for code, out, err in found:
        assert (code, err.startswith(FAILED)) in ((0, False), (1, True)), (code, out, err)
        assert (out == "Verification succeeded\n") == (code == 0)
    return [err for _, _, err in found]


@pytest.fixture
def key(tmp_path: Path) -> ModelKey:
    """A signing key of its own home."""
    return ModelKey.at(tmp_path / "keys" / "signing.key")


@pytest.mark.slow
def test_a_restored_folder_verifies_and_a_changed_one_does_not(
    vault: Vault, model: Path, key: ModelKey, tmp_path: Path
) -> None:
    """Ours and upstream's bundles verify; a flipped bit, a file more and one less end with 1, and so does a forgery."""
    upstream = ModelKey.at(tmp_path / "upstream" / "signing.key")
    (model / "code" / "link.sh").unlink()  # the signer follows no links; the vault keeps them as files
    signed = model_signing(
        "sign", "key", "--private_key", tmp_path / "upstream" / "signing.key", "--signature", model / "model.sig", model
    )
    assert signed.returncode == 0, signed.stderr
    vault.preserve(model, "wren")
    folder = tmp_path / "out"
    manifest = vault.restore("wren", folder)
    bundle = key.sign_restored(manifest, folder)
    assert bundle == tmp_path / "out.emeritus.sig"
    assert contents(folder) == contents(model)
    ours = verifying(bundle, key.public_path, folder)
    theirs = verifying(folder / "model.sig", upstream.public_path, folder)
    forged, partial = tmp_path / "forged.sig", tmp_path / "partial.sig"
    text = bundle.read_text()
    at = text.index('"payload": "') + 200
    forged.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    most = tuple(file for file in manifest.files if file.path != "config.json")
    partial.write_bytes(key.bundle(replace(manifest, files=most), "out"))
    found = said(
        ours,
        theirs,
        verifying(bundle, upstream.public_path, folder),
        verifying(forged, key.public_path, folder),
        verifying(partial, key.public_path, folder),
    )
    assert found[:2] == ["", ""]
    assert "Key mismatch" in found[2]
    assert found[3]
    assert "Extra files found in model 'out': config.json" in found[4]

    shard = folder / "model-00002-of-00002.safetensors"
    data = bytearray(shard.read_bytes())
    data[5000] ^= 1
    shard.write_bytes(data)
    changed = model_signing(*ours)
    assert changed.returncode == 1
    assert f"Hash mismatch for '{shard.name}'" in changed.stderr
    data[5000] ^= 1
    shard.write_bytes(data)
    (folder / "config.json").rename(folder / "more.json")
    (other,) = said(ours)
    assert "Extra files found in model 'out': more.json" in other
    assert "Missing files in model 'out': config.json" in other
    (folder / "more.json").rename(folder / "config.json")
    assert model_signing(*ours).returncode == 0


def test_the_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    """Two openings give one key, in files of the right modes; a key that others could read is refused."""
    path = tmp_path / "keys" / "signing.key"
    key, again = ModelKey.at(path), ModelKey.at(path)
    assert key.public_pem == again.public_pem == key.public_path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE" not in repr(key)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["signing.key", "signing.pub"]
    key.public_path.unlink()
    assert ModelKey.at(path).public_path.read_bytes() == key.public_pem
    os.chmod(path, 0o644)
    with pytest.raises(SigningKeyUnusable, match="other accounts"):
        ModelKey.at(path)


@pytest.mark.parametrize("wrong", [b"", b"nonsense", b"ed25519"])
def test_what_is_no_such_key_is_refused(tmp_path: Path, wrong: bytes) -> None:
    """An empty file, nonsense and a key of another kind are named, with a remedy, and are not replaced."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if wrong == b"ed25519":
        wrong = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path / "signing.key"
    path.write_bytes(wrong)
    path.chmod(0o600)
    with pytest.raises(SigningKeyUnusable) as raised:
        ModelKey.at(path)
    assert "backup" in raised.value.remedy
    assert path.read_bytes() == wrong
