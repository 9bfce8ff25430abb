"""A vault in a local folder, and a model with everything odd in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from vault_models import make_model

from emeritus.blobs.local import LocalStore
from emeritus.testing.s3 import S3Server
from emeritus.vault.keys import cipher
from emeritus.vault.packs import pack
from emeritus.vault.vault import Vault


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder to preserve."""
    return make_model(tmp_path / "model")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Where the vault lies."""
    return LocalStore(tmp_path / "vault")


@pytest.fixture
def vault(store: LocalStore) -> Vault:
    """An empty vault."""
    return Vault.create(store)


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs close after 20 kB, so that a small model fills several."""
    monkeypatch.setattr(pack, "TARGET_BYTES", 20_000)


@pytest.fixture
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase that is quick to try; the parameters travel with the key."""
    monkeypatch.setattr(cipher, "SCRYPT", {"n": 1 << 10, "r": 8, "p": 1})


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3-protocol server; ended with the session."""
    server = S3Server()
    yield server
    server.stop()
