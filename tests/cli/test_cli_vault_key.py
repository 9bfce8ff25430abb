"""`emeritus init --encrypt` and `emeritus vault-key`: what opens a vault, changed without touching its packs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from cli_process import Emeritus

from emeritus.app import App
from emeritus.preservation.queries import keys
from emeritus.settings import load as settings
from emeritus.testing.model import random_model

SMALL = ("init", "--organisation", "Example Lab", "--second-coder", "waived", "--second-decider", "waived")


def packs(home: Path) -> dict[str, str]:
    """sha256 of each pack by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (home / "vault" / "packs").rglob("*.pack")
    }


def stated(home: Path, use: str) -> list[dict[str, Any]]:
    """What the ledger says of the home's keys of that use, newest first."""
    app = App.open(settings(home=home))
    with app.database.reading() as session:
        found = [dict(each.detail) for each in keys(session, use)]
    app.close()
    return found


def test_an_encrypted_home_and_its_keys(emeritus: Emeritus, home: Path, tmp_path: Path) -> None:
    """A key file, then a passphrase: what was preserved comes back with the one in force, and with no other."""
    first, passphrase = tmp_path / "first.key", tmp_path / "passphrase"
    first.write_bytes(bytes(range(32)))
    passphrase.write_text("correct horse\n")
    emeritus(*SMALL, "--key-file", str(first), code=3)
    assert "EMERITUS_VAULT_PASSPHRASE" in emeritus(*SMALL, "--encrypt", code=3).err
    assert not home.exists()
    assert "encrypted" in emeritus(*SMALL, "--encrypt", "--key-file", str(first)).out
    random_model(tmp_path / "model")
    app = App.open(settings(home=home))
    app.vault.preserve(tmp_path / "model", "wren")
    app.close()
    before = packs(home)
    assert emeritus("restore", "wren", str(tmp_path / "a"), "--json").json["bundle"] == str(tmp_path / "a.emeritus.sig")

    made = stated(home, "vault")
    assert [[each["kdf"] for each in act["keys"]] for act in made] == [["hkdf-sha256"]]
    said = emeritus("vault-key", "rotate", "--passphrase-file", str(passphrase), "--data-key", "--as", "ana").out
    assert "1 key put under the new passphrase" in said
    assert "key 2 encrypts what is preserved from now on" in said
    assert packs(home) == before
    shown = emeritus("vault-key", "show", "--json").json
    assert [(each["number"], each["kdf"]) for each in shown["keys"]] == [(1, "scrypt"), (2, "scrypt")]
    assert stated(home, "vault") == [{"keys": shown["keys"]}, *made], "the ledger has the keys as they are now"
    assert shown["keys"][0]["sha256"] == hashlib.sha256((home / "vault" / "keys" / "1.json").read_bytes()).hexdigest()
    assert emeritus("verify", "--rebuild", "--json").json["ok"]
    assert stated(home, "vault") == [{"keys": shown["keys"]}, *made]
    emeritus("restore", "wren", str(tmp_path / "b"))
    assert (tmp_path / "b" / "config.json").read_bytes() == (tmp_path / "model" / "config.json").read_bytes()

    passphrase.write_text("another\n")
    refused = emeritus("restore", "wren", str(tmp_path / "c"), code=4)
    assert "error EM206: this passphrase does not open the vault" in refused.err
    assert "what to do: Give its passphrase" in refused.err
    assert not [path for path in tmp_path.iterdir() if path.name.strip(".").startswith("c.") or path.name == "c"]
    passphrase.unlink()
    assert "cannot be read" in emeritus("restore", "wren", str(tmp_path / "c"), code=3).err
    given = {"EMERITUS_VAULT_PASSPHRASE": "correct horse", "EMERITUS_VAULT_PASSPHRASE_FILE": ""}
    assert "no new passphrase" in emeritus("vault-key", "rotate", code=3, env=given).err


def test_a_home_without_keys_has_none_to_rotate(made: Emeritus, tmp_path: Path) -> None:
    """`vault-key show` says so, `rotate` refuses, and encrypting a home that is made already is refused too."""
    assert "not encrypted" in made("vault-key", "show").out
    assert "not encrypted" in made("vault-key", "rotate", "--data-key", code=3).err
    given = {"EMERITUS_VAULT_PASSPHRASE": "correct horse"}
    assert "not encrypted, and cannot become so" in made("init", "--encrypt", code=3, env=given).err


def test_the_key_that_signs_is_stated(made: Emeritus, home: Path, tmp_path: Path) -> None:
    """The ledger has its public half from the beginning, once; a new key is stated before it signs anything."""
    public = home / "keys" / "signing.pub"
    first = public.read_text()
    assert [each["public_key"] for each in stated(home, "signing")] == [first]
    random_model(tmp_path / "model")
    app = App.open(settings(home=home))
    app.vault.preserve(tmp_path / "model", "wren")
    app.close()
    made("restore", "wren", str(tmp_path / "a"))
    assert len(stated(home, "signing")) == 1
    (home / "keys" / "signing.key").unlink()
    made("restore", "wren", str(tmp_path / "b"))
    assert [each["public_key"] for each in stated(home, "signing")] == [public.read_text(), first]
    assert public.read_text() != first
