"""Which bytes may lie under a key: every object of a vault tells by itself whether it is what was stored.

Packs and parity by the sha256 in their names, JSON by its seal, the files that explain the vault by the marker's
digests, sketches by the digests in them (encrypted ones where a key is at hand). Reads and writes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, UnknownFormat, VaultLocked
from emeritus.vault.keys.keyring import SEALED, Keyring, open_object
from emeritus.vault.manifest import Manifest
from emeritus.vault.manifest import parse_key as parse_manifest_key
from emeritus.vault.packs.pack import pack_name
from emeritus.vault.parity.form import parse_key as parse_parity_key
from emeritus.vault.sealed import unseal
from emeritus.vault.writing.sketch import check, sketch_name

NOT_ITS_NAME = "its sha256 is not its name"


def named_digest(key: str) -> str | None:
    """The sha256 (hex) that the key itself names; None where it names none."""
    shard = parse_parity_key(key)
    return shard.sha256 if shard else pack_name(key)


def fault(
    key: str, data: bytes | bytearray | memoryview, explaining: Mapping[str, str], keys: Keyring | None = None
) -> str | None:
    """What is wrong with these bytes under that key; None when nothing is, or when nothing can prove it.

    `explaining`: sha256 (hex) of the files that explain the vault, by key. `keys`: the vault's, for what is encrypted.
    """
    named = named_digest(key)
    if named is not None:
        return None if hashlib.sha256(data).hexdigest() == named else NOT_ITS_NAME
    if key in explaining:
        same = hashlib.sha256(data).hexdigest() == explaining[key]
        return None if same else "its sha256 differs from the one it was written with"
    try:
        if sketch_name(key):
            whole = bytes(data)
            if whole.startswith(SEALED) and keys is None:
                return None
            check(open_object(keys, key, whole) if keys is not None and keys.encrypted else whole, key)
        elif parse_manifest_key(key):
            found = Manifest.from_bytes(bytes(data), key)
            return None if found.key == key else f"it holds the manifest of {found.key}"
        elif key.endswith(".json"):
            unseal(_kind(bytes(data)), bytes(data), key)
    except IntegrityError as error:
        return error.message.removeprefix(key).lstrip(": ")
    except (UnknownFormat, VaultLocked):
        return None  # its seal holds: it is whole, if not for this version; or no key is at hand
    return None


def look_at(
    store: BlobStore, key: str, explaining: Mapping[str, str], keys: Keyring | None = None
) -> tuple[int, str | None]:
    """(bytes read, what is wrong) of one object, read whole. Raises StoreUnavailable."""
    try:
        data = store.get(key)
    except NotFound:
        return 0, "it is missing"
    except IntegrityError as error:
        return 0, error.message
    return len(data), fault(key, data, explaining, keys)


def _kind(data: bytes) -> str:
    """The kind a sealed document says it is of; nonsense where it is none, which no seal fits."""
    try:
        kinds = [key for key in json.loads(data) if key != "sha256"]
    except (ValueError, TypeError, RecursionError):
        kinds = []
    return str(kinds[0]) if len(kinds) == 1 else ""
