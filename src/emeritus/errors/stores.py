"""Errors 2xx: bytes that are kept."""

from __future__ import annotations

from emeritus.errors.base import EmeritusError


class StoreError(EmeritusError):
    """Bytes could not be kept or read."""

    code, title = "EM200", "Storage error"
    default_remedy = "Check that the store is reachable and has room."


class IntegrityError(StoreError):
    """Stored bytes are not what was stored."""

    code, title = "EM201", "Stored bytes are damaged"
    default_remedy = "Restore the damaged object from a copy; `emeritus verify` names every damaged object."


class StoreFull(StoreError):
    """No room is left; nothing half-written remains visible."""

    code, title = "EM202", "No room left"
    default_remedy = "Free space and run the same command again; it goes on from what is already stored."


class StoreUnavailable(StoreError):
    """A store did not answer."""

    code, title = "EM203", "Store unavailable"
    default_remedy = "Check the address, the credentials and the network, then run the command again."


class UnknownFormat(StoreError):
    """The vault or ledger was written in a format this version does not know."""

    code, title = "EM204", "Unknown format"
    default_remedy = "Use a version of Emeritus that knows this format; the vault's own README tells how to read it."


class VaultLocked(StoreError):
    """The vault is encrypted, and what was given does not open it."""

    code, title = "EM206", "Vault locked"
    default_remedy = (
        "Give its passphrase (EMERITUS_VAULT_PASSPHRASE, or the setting vault_passphrase_file) or its key file (the "
        "setting vault_key_file). Without either nothing in it can be read: there is no other way in."
    )


class DestinationNotEmpty(StoreError):
    """A restore would mix with files that are already there."""

    code, title = "EM205", "Destination not empty"
    default_remedy = "Name a folder that does not exist yet, or an empty one."
