"""A resident's files opened on another machine: `VaultSource` there, from what `VaultSource.elsewhere` said here.

What opens an encrypted vault is not sent: that machine has it in its environment, as any Emeritus has.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emeritus.blobs.open import open_store
from emeritus.preservation.cache import Cache
from emeritus.preservation.secret import vault_secret
from emeritus.preservation.sources import VaultSource
from emeritus.settings import Settings
from emeritus.vault.vault import Vault


def open_source(given: Mapping[str, Any], folder: Path) -> VaultSource:
    """The source, its cache under `folder`. Raises NotFound, BadSettings, VaultLocked, StoreUnavailable."""
    here: dict[str, Any] = {"home": folder}
    vault = Vault.at(open_store(given["vault"]), secret=lambda: vault_secret(Settings(**here)))
    return VaultSource(vault, given["resident"], Cache(folder / "cache"))
