"""What opens an encrypted vault, as settings and environment name it. A passphrase is no setting: flags can be seen."""

from __future__ import annotations

import os

from emeritus.errors import BadSettings
from emeritus.settings import Settings
from emeritus.vault.keys.cipher import KEY_FILE_BYTES, Secret


def vault_secret(settings: Settings) -> Secret | None:
    """What opens the vault, as the settings say; None where they name nothing. Raises BadSettings, InputError."""
    if settings.vault_passphrase_file and settings.vault_key_file:
        raise BadSettings("a passphrase file and a key file are both set; a vault has one of them")
    if settings.vault_passphrase_file:
        return Secret.passphrase(_read("vault_passphrase_file", settings.vault_passphrase_file))
    if settings.vault_key_file:
        return Secret.key_file(_read("vault_key_file", settings.vault_key_file))
    given = os.environb.get(b"EMERITUS_VAULT_PASSPHRASE")
    return None if given is None else Secret.passphrase(given)


def _read(setting: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(KEY_FILE_BYTES + 1)
    except OSError as error:
        raise BadSettings(f"setting {setting!r}: {path} cannot be read: {error.strerror}", setting=setting) from error
