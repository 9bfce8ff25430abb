"""What an operator gives: the settings file, an engine's script, passphrases' parameters, the signing key's file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from emeritus.engines.script import Script, read_script
from emeritus.settings import FILE_NAME, Settings, load
from emeritus.vault.keys import cipher
from emeritus.vault.keys.signing import ModelKey
from emeritus.vault.standalone import decode_encrypted, restore
from fuzz.target import Target, attempt, expect, replaced

PASSPHRASE = b"correct horse"
SCRIPT = b'model = "m"\n[[rules]]\nmatch = "(?i)keep"\nanswer = ["One.", "Other."]\nfault = "die"\nafter = 3\n'
SETTINGS = b'origin = "example.org/ledger"\nscrub_bytes_per_day = 10\nremoval_days = 3\nleftover_days = 0.5\n'


def check_settings(data: bytes) -> None:
    """A settings file: settings, or BadSettings."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / FILE_NAME).write_bytes(data)
        fine, found = attempt(lambda: load(home=home))
    expect(not fine or isinstance(found, Settings), "a file gave something else than settings")


def check_script(data: bytes) -> None:
    """A first byte 0: a script in TOML, else in JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("script.toml" if data[:1] == b"\0" else "script.json")
        path.write_bytes(data[1:])
        fine, found = attempt(lambda: read_script(path))
    expect(not fine or isinstance(found, Script), "a file gave something else than a script")


def check_scrypt(data: bytes) -> None:
    """What a wrapped key says of its key derivation; what it asks for is bounded, and both programs derive the same."""
    try:
        kdf = json.loads(data)
    except (ValueError, RecursionError):
        return
    body = {"kdf": kdf, "number": 1, "wrapped": _wrapped()["wrapped"]}
    with replaced(cipher, "SCRYPT_MEMORY", 1 << 20):
        ours = attempt(lambda: cipher.unwrap(body, cipher.Secret.passphrase(PASSPHRASE), "keys/1.json"))
    if ours[0]:
        decode_encrypted.SECRETS.update({"scrypt": PASSPHRASE})
        theirs = attempt(lambda: decode_encrypted.unwrapped(body, 1), restore.Damaged, ValueError)
        expect(ours == theirs, "two readings unwrap different keys")


def check_signing_key(data: bytes) -> None:
    """A PEM file where the key lies that signs restored folders: a key, or SigningKeyUnusable."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signing.key"
        path.write_bytes(data)
        path.chmod(0o600)
        fine, key = attempt(lambda: ModelKey.at(path))
    expect(
        not fine or key.public_pem.startswith(b"-----BEGIN PUBLIC KEY-----"), "a file gave something else than a key"
    )


def _wrapped() -> dict[str, object]:
    with replaced(cipher, "SCRYPT", {"n": 2, "r": 1, "p": 1}):
        whole = json.loads(cipher.wrap(1, bytes(32), cipher.Secret.passphrase(PASSPHRASE)))
    body: dict[str, object] = whole["key"]
    return body


def _pem() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        ModelKey.at(Path(folder) / "signing.key")
        return (Path(folder) / "signing.key").read_bytes()


TARGETS = {
    "settings": Target(check_settings, lambda: [SETTINGS, b"", b"[[[[", b"removal_days = 1e999\n"]),
    "script": Target(
        check_script,
        lambda: [b"\0" + SCRIPT, b"\1" + json.dumps({"model": "m", "rules": [{"match": "x", "answer": "y"}]}).encode()],
    ),
    "scrypt": Target(
        check_scrypt,
        lambda: [
            json.dumps(_wrapped()["kdf"]).encode(),
            b'{"name": "scrypt", "salt": "00", "n": 1024, "r": 8, "p": 16}',
            b'{"name": "scrypt", "salt": "00", "n": 1152921504606846976, "r": 1, "p": 1}',
        ],
    ),
    "signing-key": Target(check_signing_key, lambda: [_pem(), b"-----BEGIN PRIVATE KEY-----\n"]),
}
