"""Signing keys: Ed25519, kept in a file only its owner reads, and published as a C2SP verifier key line.

A key's name is the log's origin. Its id names the algorithm, so that another can take its place one day. Knows no log.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from emeritus.errors import AlreadyExists, BadName, LedgerBroken, SigningKeyUnusable

_ED25519 = b"\x01"  # signature type of C2SP signed-note
_NAME = re.compile(r"[^\s+\x00-\x1f]{1,200}")


def decode64(text: str) -> bytes:
    """Base64 in its one canonical spelling; raises ValueError for any other, so that no bit goes unchecked."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("base64 is not canonical")
    return raw


@lru_cache(maxsize=16)
def _loaded(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """The public half: checks DSSE and note signatures. `name` is the log's origin."""

    name: str
    public: bytes  # 32 bytes, RFC 8032

    @property
    def id(self) -> str:
        """Key id in DSSE signatures: the algorithm's name, ':', SHA-256 of the public key in hex."""
        return f"ed25519:{hashlib.sha256(self.public).hexdigest()}"

    @property
    def note_hash(self) -> bytes:
        """Key id in note signatures (C2SP signed-note): SHA-256(name || LF || 0x01 || key), the first four bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    @property
    def line(self) -> str:
        """The verifier key as C2SP signed-note writes it: `name+hash+base64(0x01 || key)`."""
        return f"{self.name}+{self.note_hash.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, line: str) -> VerifyKey:
        """The key of a verifier key line. Raises LedgerBroken when the line is no Ed25519 key or its hash is wrong."""
        try:
            name, digest, encoded = line.strip().split("+", 2)
            raw = decode64(encoded)
        except ValueError as error:
            raise LedgerBroken(f"{line.strip()[:80]!r} is not a verifier key line") from error
        if raw[:1] != _ED25519 or len(raw) != 33 or not _NAME.fullmatch(name):
            raise LedgerBroken(f"verifier key {line.strip()[:80]!r} is not an Ed25519 key")
        key = cls(name, raw[1:])
        if key.note_hash.hex() != digest:
            raise LedgerBroken(f"verifier key of {name!r} does not match its own hash {digest!r}")
        return key

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`."""
        try:
            _loaded(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """The private half. `repr` never shows it."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        if not _NAME.fullmatch(name):
            raise BadName(
                f"{name!r} cannot name a ledger",
                remedy="Use an address without scheme, spaces or '+', e.g. example.org/ledger.",
            )
        self._private = private
        self.verify_key = VerifyKey(name, private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        """A new key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path, name: str) -> SigningKey:
        """The key in a PEM file (PKCS #8). Raises SigningKeyUnusable: missing, open to others, no Ed25519 key."""
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read()
        except OSError as error:
            raise SigningKeyUnusable(f"the signing key {path} cannot be read: {error.strerror}") from error
        if mode & 0o077:
            raise SigningKeyUnusable(
                f"the signing key {path} can be read by other accounts (mode {mode & 0o777:o})",
                remedy=f"Find out who could have copied it, then: chmod 600 {path}",
            )
        try:
            private = load_pem_private_key(data, password=None)
        except (ValueError, TypeError) as error:  # TypeError: the key is encrypted
            raise SigningKeyUnusable(f"the signing key {path} is not a plain PEM private key") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise SigningKeyUnusable(f"the signing key {path} is not an Ed25519 key")
        return cls(name, private)

    def save(self, path: Path) -> None:
        """Write the key to a new file only its owner may read. Raises AlreadyExists rather than replace a key."""
        pem = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # a link, not a rename: it fails where a key is
        except FileExistsError as error:
            raise AlreadyExists(f"there is a signing key at {path} already") from error
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over `message`."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.verify_key.line!r})"
