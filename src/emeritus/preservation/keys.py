"""Statements of keys: the one that restored models are signed with, and those that an encrypted vault is under.

What is there is stated, not what was done to it: so a statement that a crash kept back is made by the next call, and
one that was made already is never made twice. Only public halves and digests of wrapped keys are in it.
"""

from __future__ import annotations

import hashlib

from emeritus.acts import Act, Actor, Acts, Draft, Json, canonical
from emeritus.vault.vault import Vault

SIGNING_KEY, VAULT_KEYS = "preservation.signing_key", "preservation.vault_keys"


class KeyStatements:
    """The acts. One per process and home; everything blocks."""

    def __init__(self, acts: Acts, vault: Vault) -> None:
        self._acts = acts
        self._vault = vault

    def signing(self, public_pem: bytes, actor: Actor) -> Act:
        """State the public half (PEM) of the key that restored models are signed with from now on."""
        digest = hashlib.sha256(public_pem).hexdigest()
        public: Json = {"public_key": public_pem.decode("ascii"), "sha256": digest}
        return self._once(f"signing-key:{digest}", SIGNING_KEY, public, actor)

    def vault(self, actor: Actor) -> Act | None:
        """State the vault's data keys as they are wrapped now; None where it is not encrypted.

        Of each: its number, what it is wrapped under, and the sha256 of its object, by which a key put in its place
        shows. Raises IntegrityError where one is damaged or missing.
        """
        if not self._vault.keys.encrypted:
            return None
        public: Json = {"keys": self._vault.keys.describe()}
        digest = hashlib.sha256(canonical(public)).hexdigest()
        return self._once(f"vault-keys:{digest}", VAULT_KEYS, public, actor)

    def _once(self, act_id: str, kind: str, public: Json, actor: Actor) -> Act:
        """The act of that id, looked for first without the ledger's lock: restoring must not wait for other work."""
        found = self._acts.find(act_id)
        return found or self._acts.perform(act_id, actor, lambda session: Draft(kind, None, public=public))
