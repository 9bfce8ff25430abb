"""Decrypts segments of an encrypted vault, see Encryption in FORMAT.txt. It needs the Python package `cryptography`.

restore.py loads it. It shares no code with Emeritus. The passphrase comes from the environment variable
EMERITUS_VAULT_PASSPHRASE or the file that EMERITUS_VAULT_PASSPHRASE_FILE names, a key file from
EMERITUS_VAULT_KEY_FILE.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Any

OPENED: dict[int, bytes] = {}
SECRETS: dict[str, bytes] = {}
MEMORY = 1 << 30  # bytes a wrapped key's parameters may ask for


def read(path: str) -> bytes:
    """A file's bytes."""
    with open(path, "rb") as file:
        return file.read()


def secret(kind: str) -> bytes:
    """What was given, for a key that is under a passphrase (scrypt) or a key file."""
    if kind not in SECRETS:
        if kind == "scrypt":
            path = os.environ.get("EMERITUS_VAULT_PASSPHRASE_FILE")
            text = read(path) if path else os.environb.get(b"EMERITUS_VAULT_PASSPHRASE")
            if text is None:
                raise SystemExit(
                    "this vault is encrypted: set EMERITUS_VAULT_PASSPHRASE or EMERITUS_VAULT_PASSPHRASE_FILE"
                )
            for end in (b"\n", b"\r"):
                text = text[: -len(end)] if text.endswith(end) else text
        else:
            path = os.environ.get("EMERITUS_VAULT_KEY_FILE")
            if not path:
                raise SystemExit("this vault is encrypted: set EMERITUS_VAULT_KEY_FILE to the path of its key file")
            text = read(path)
        SECRETS[kind] = text
    return SECRETS[kind]


def aes(key: bytes, sealed: bytes, beside: bytes) -> bytes:
    """AES-256-GCM of nonce, ciphertext, tag. Raises ValueError."""
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise SystemExit("this vault is encrypted: pip install cryptography") from None
    if len(sealed) < 28:
        raise ValueError("encrypted bytes are too short")
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], beside)
    except InvalidTag:
        raise ValueError("the tag of encrypted bytes does not hold") from None


def wrapping(kdf: dict[str, Any]) -> bytes:
    """The key that a data key is wrapped under."""
    if kdf["name"] not in ("scrypt", "hkdf-sha256"):
        raise ValueError("the key is wrapped in a way that this program does not know")
    salt = bytes.fromhex(kdf["salt"])
    given = secret(kdf["name"])
    if kdf["name"] == "scrypt":
        n, r, p = kdf["n"], kdf["r"], kdf["p"]
        if 128 * r * (n + p + 2) > MEMORY or p > 16:
            raise ValueError("it asks for more memory or time than it may")
        return hashlib.scrypt(given, salt=salt, n=n, r=r, p=p, maxmem=256 * r * (n + p + 2), dklen=32)
    drawn = hmac.new(salt, given, "sha256").digest()
    return hmac.new(drawn, b"emeritus key file\x01", "sha256").digest()


def unwrapped(body: dict[str, Any], number: int) -> bytes:
    """The data key in the body of its object. Raises ValueError."""
    try:
        if body["format"] != 0 or body["cipher"] != "aes-256-gcm":
            raise ValueError("a key of another format or cipher")
        return aes(wrapping(body["kdf"]), bytes.fromhex(body["wrapped"]), b"emeritus key %d" % number)
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"no wrapped key: {error!r}") from error


def decode(
    vault: str, number: int, blake3: str, sealed: bytes, read_sealed: Callable[[str, str], dict[str, Any]]
) -> bytes:
    """The encoded bytes of the segment of that BLAKE3, encrypted under that data key. Raises ValueError."""
    if number not in OPENED:
        path = os.path.join(vault, "keys", f"{number}.json")
        if not os.path.exists(path):
            raise SystemExit(f"{path} is missing: take it from another copy of this vault")
        body = read_sealed(path, "key")
        try:
            OPENED[number] = unwrapped(body, number)
        except ValueError as error:
            raise SystemExit(f"the passphrase or key file does not open {path}: {error}") from None
    return aes(OPENED[number], sealed, bytes.fromhex(blake3))
