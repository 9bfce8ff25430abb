"""Encryption at rest, the bytes: segments under a data key, data keys under a passphrase or a key file.

All of it is AES-256-GCM (NIST SP 800-38D) with random nonces; forms in docs/format.md. Knows no store and no pack.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from emeritus.errors import InputError, IntegrityError, UnknownFormat, VaultLocked
from emeritus.vault.codec.numbers import Data
from emeritus.vault.sealed import Json, seal, unseal

CIPHER = "aes-256-gcm"
FORMAT = 0
KEY_BYTES, NONCE, TAG, SALT = 32, 12, 16, 32
SCRYPT = {"n": 1 << 17, "r": 8, "p": 1}  # 128 MiB and some 0.3 s for every guess
SCRYPT_MEMORY = 1 << 30  # bytes a key's own parameters may ask for: who wrote them may mean harm
INFO = b"emeritus key file"
KEY_FILE_BYTES = 1 << 20  # a key file is short; what is longer was named by mistake


@dataclass(frozen=True, slots=True)
class Secret:
    """What opens a vault's keys: a passphrase's bytes, or those of a key file. `repr` shows only which."""

    kind: Literal["passphrase", "key file"]
    value: bytes = field(repr=False)

    @classmethod
    def passphrase(cls, text: bytes) -> Secret:
        """A passphrase, one line break at its end left out. Raises InputError for an empty one."""
        text = text.removesuffix(b"\n").removesuffix(b"\r")
        if not text:
            raise InputError("the passphrase is empty")
        return cls("passphrase", text)

    @classmethod
    def key_file(cls, data: bytes) -> Secret:
        """A key file's bytes. Raises InputError for one too short to be worth guessing at, or absurdly long."""
        if not KEY_BYTES <= len(data) <= KEY_FILE_BYTES:
            raise InputError(
                f"a key file has {KEY_BYTES} bytes to 1 MiB, this one has {len(data)}",
                remedy="Make one: head -c 32 /dev/urandom > FILE && chmod 600 FILE; keep a copy of it elsewhere.",
            )
        return cls("key file", data)


SecretSource = Callable[[], Secret | None]  # asked once something is to be read or written; None: none is at hand


def encrypt(key: bytes, data: Data, beside: bytes) -> bytes:
    """nonce (12 bytes, random) || ciphertext || tag (16 bytes) of `data`; `beside` is authenticated with it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, data, beside)


def decrypt(key: bytes, sealed: Data, beside: bytes) -> bytes:
    """What `encrypt` was given. Raises ValueError unless key, bytes and `beside` are those."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(sealed) < NONCE + TAG:
        raise ValueError("it is too short")
    try:
        return AESGCM(key).decrypt(bytes(sealed[:NONCE]), sealed[NONCE:], beside)
    except InvalidTag:
        raise ValueError("its tag does not hold") from None


def wrap(number: int, key: bytes, secret: Secret) -> bytes:
    """A data key as it lies in the vault: the sealed JSON of `keys/NUMBER.json`."""
    kdf: Json = {"name": "hkdf-sha256", "salt": os.urandom(SALT).hex()}
    if secret.kind == "passphrase":
        kdf = {"name": "scrypt", "salt": kdf["salt"], **SCRYPT}
    wrapped = encrypt(_key_of(secret, kdf), key, _beside(number))
    return seal("key", {"format": FORMAT, "number": number, "cipher": CIPHER, "kdf": kdf, "wrapped": wrapped.hex()})


def read_wrapped(data: bytes, where: str) -> Json:
    """The body of a wrapped key found at `where`. Raises IntegrityError, UnknownFormat."""
    body = unseal("key", data, where)
    if body.get("format") != FORMAT or body.get("cipher") != CIPHER:
        raise UnknownFormat(f"{where} is a key of another format or cipher; this version knows {FORMAT} and {CIPHER}")
    return body


def unwrap(body: Json, secret: Secret, where: str) -> bytes:
    """The data key. Raises VaultLocked when the secret is another one, IntegrityError, UnknownFormat."""
    try:
        kdf, number, wrapped = body["kdf"], int(body["number"]), bytes.fromhex(body["wrapped"])
        kind = {"scrypt": "passphrase", "hkdf-sha256": "key file"}[kdf["name"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise IntegrityError(f"{where} is no wrapped key: {error!r}", key=where) from error
    if kind != secret.kind:
        raise VaultLocked(f"the vault's key is under a {kind}, and a {secret.kind} was given", key=where)
    try:
        return decrypt(_key_of(secret, kdf), wrapped, _beside(number))
    except ValueError:
        raise VaultLocked(
            f"this {secret.kind} does not open the vault: it is not the one of {where}", key=where
        ) from None


def _key_of(secret: Secret, kdf: Any) -> bytes:
    """The 32 bytes that wrap: scrypt (RFC 7914) of a passphrase, HKDF-SHA256 (RFC 5869) of a key file."""
    try:
        salt = bytes.fromhex(kdf["salt"])
        if kdf["name"] == "hkdf-sha256":
            drawn = hmac.digest(salt, secret.value, "sha256")
            return hmac.digest(drawn, INFO + b"\x01", "sha256")
        n, r, p = (int(kdf[name]) for name in "nrp")
        memory = 128 * r * (n + p + 2)
        if not 1 <= p <= 16 or min(n, r) < 1 or max(memory, 128 * n * r * p) > SCRYPT_MEMORY:  # time goes with n r p
            raise ValueError("it asks for more memory or time than it may")
        return hashlib.scrypt(secret.value, salt=salt, n=n, r=r, p=p, maxmem=2 * memory, dklen=KEY_BYTES)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise IntegrityError(f"a wrapped key's parameters make no sense: {error}") from error


def _beside(number: int) -> bytes:
    return b"emeritus key %d" % number
