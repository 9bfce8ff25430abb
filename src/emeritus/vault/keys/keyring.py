"""The keys of one vault: opened on first need, made, wrapped anew. Where there are none, the vault is not encrypted.

The data key of the highest number encrypts what is new; all of them decrypt. Knows no packs.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from emeritus.blobs.base import BlobStore
from emeritus.errors import HomeBusy, IntegrityError, NotFound, UnknownFormat, VaultLocked
from emeritus.vault.codec.numbers import Data
from emeritus.vault.keys.cipher import KEY_BYTES, Secret, SecretSource, decrypt, encrypt, read_wrapped, unwrap, wrap
from emeritus.vault.sealed import Json

SEALED = b"EMSEAL" + (0).to_bytes(2, "little")
_KEY = re.compile(r"keys/([1-9][0-9]{0,8})\.json", re.ASCII)


def none_at_hand() -> Secret | None:
    """A source that has no secret."""
    return None


def key_key(number: int) -> str:
    """Where a wrapped data key lies."""
    return f"keys/{number}.json"


def parse_key_key(key: str) -> int | None:
    """The number of the data key that lies there; None where none does."""
    found = _KEY.fullmatch(key)
    return int(found[1]) if found else None


class Keyring:
    """A vault's data keys. Safe in threads."""

    def __init__(self, store: BlobStore, encrypted: bool, secret: SecretSource | None = None) -> None:
        self._store = store
        self.encrypted = encrypted
        self._source = secret or none_at_hand
        self._opened: dict[int, bytes] = {}
        self._newest: int | None = None
        self._lock = threading.Lock()

    @property
    def at_hand(self) -> bool:
        """Whether a secret was given: right or wrong shows when it is used."""
        return self._source() is not None

    def can_open(self, number: int) -> bool:
        """Whether that key can be had: its object is sound, and a secret at hand. Raises VaultLocked: a wrong one."""
        try:
            return self.at_hand and bool(self._key(number))
        except (IntegrityError, UnknownFormat):
            return False

    def accepts(self, data: bytes, number: int) -> bool:
        """Whether a key's object found elsewhere opens to the secret at hand; where none is, nobody can tell: True."""
        secret = self._source()
        if secret is None:
            return True
        try:
            unwrap(read_wrapped(data, key_key(number)), secret, key_key(number))
        except (VaultLocked, IntegrityError, UnknownFormat):
            return False
        return True

    def seal(self, blake3: bytes, data: Data) -> tuple[int, Data]:
        """(number of the key, encrypted bytes) of a segment's encoded bytes; (0, the bytes) in a vault without keys.

        Proven: decrypted again and compared. Raises VaultLocked, IntegrityError.
        """
        if not self.encrypted:
            return 0, data
        if self._newest is None:
            self._newest = max(self.numbers(), default=0)
        sealed = encrypt(self._key(self._newest), data, blake3)
        if decrypt(self._key(self._newest), sealed, blake3) != data:
            raise IntegrityError(
                "encryption did not give back the bytes it was given; nothing was stored",
                remedy="Test this machine's memory; the source is untouched.",
            )
        return self._newest, sealed

    def open(self, number: int, blake3: bytes, sealed: Data) -> bytes:
        """A segment's encoded bytes. Raises VaultLocked, and IntegrityError where the bytes are damaged."""
        try:
            return decrypt(self._key(number), sealed, blake3)
        except ValueError as error:
            raise IntegrityError(f"its encryption is damaged: {error}") from None

    def numbers(self) -> list[int]:
        """The keys there are."""
        return sorted(number for key in self._store.list("keys/") if (number := parse_key_key(key)))

    def expected(self, used: Iterable[int]) -> list[int]:
        """The keys there must be: those that segments are encrypted under (`used`), and all before the newest."""
        if not self.encrypted:
            return []
        return list(range(1, max([1, *used, *self.numbers()]) + 1))

    def describe(self) -> list[Json]:
        """Of each key: its number, what it is wrapped under, the sha256 of its object. Needs no secret.

        Raises IntegrityError.
        """
        found = []
        for number in self.numbers():
            kdf = self._body(number)["kdf"]["name"]
            digest = hashlib.sha256(self._store.get(key_key(number))).hexdigest()
            found.append({"number": number, "kdf": kdf, "sha256": digest})
        return found

    # -- making and changing ----------------------------------------------------------------------------------------

    def make_first(self, secret: Secret) -> None:
        """The first data key of a new vault. Where one lies already, the secret must open it (else VaultLocked)."""
        self._store.put_if_absent(key_key(1), wrap(1, os.urandom(KEY_BYTES), secret))
        for number in self.numbers():
            unwrap(self._body(number), secret, key_key(number))

    def rewrap(self, secret: Secret) -> list[int]:
        """Put every data key under another secret, packs untouched; the numbers of those that were not yet.

        Cut short, it leaves some keys under each: the same call goes on, with the old secret as the one at hand.
        """
        changed = []
        for number in self.numbers():
            where = key_key(number)
            version = self._store.version(where)
            body = self._body(number)
            try:
                unwrap(body, secret, where)
                continue
            except VaultLocked:
                data = wrap(number, unwrap(body, self._secret(), where), secret)
            if self._store.put_if_match(where, data, version) is None:
                raise HomeBusy(f"{where} was changed by another process meanwhile")
            changed.append(number)
        with self._lock:
            self._opened.clear()
            self._source = lambda: secret
        return changed

    def renew(self) -> int:
        """Make a data key for what is preserved from now on; its number. What is there keeps the keys it has."""
        secret = self._secret()
        newest = max(self.numbers(), default=0)
        self._key(newest)  # the secret is right: no key may come under another one than the rest
        if not self._store.put_if_absent(key_key(newest + 1), wrap(newest + 1, os.urandom(KEY_BYTES), secret)):
            raise HomeBusy("another process made a new key meanwhile")
        self._newest = newest + 1
        return newest + 1

    # -- opening ----------------------------------------------------------------------------------------------------

    def _key(self, number: int) -> bytes:
        with self._lock:  # one derivation, however many threads wait for it
            if number not in self._opened:
                self._opened[number] = unwrap(self._body(number), self._secret(), key_key(number))
            return self._opened[number]

    def _secret(self) -> Secret:
        secret = self._source()
        if secret is None:
            raise VaultLocked("this vault is encrypted, and neither passphrase nor key file was given")
        return secret

    def _body(self, number: int) -> Json:
        where = key_key(number)
        try:
            body = read_wrapped(self._store.get(where), where)
        except NotFound as error:
            raise IntegrityError(
                f"{where} is missing: what it encrypts cannot be read",
                remedy=f"Put {where} back from another copy of the vault; `emeritus repair` does so from a replica.",
                key=where,
            ) from error
        if body.get("number") != number:
            raise IntegrityError(f"{where} holds key {body.get('number')!r}", key=where)
        return body


def open_object(keys: Keyring, key: str, found: bytes) -> bytes:
    """What an object that is encrypted whole holds. Raises IntegrityError, VaultLocked."""
    at = len(SEALED) + 4
    if not found.startswith(SEALED) or len(found) < at:
        raise IntegrityError(f"{key} is not encrypted as it should be", key=key)
    return keys.open(int.from_bytes(found[at - 4 : at], "little"), key.encode(), found[at:])


class SealedObjects:
    """Objects of a store that are encrypted whole, as sketches are: sampled weights are weights. See docs/format.md."""

    def __init__(self, store: BlobStore, keys: Keyring) -> None:
        self._store = store
        self._keys = keys
        self._last: OrderedDict[str, bytes] = OrderedDict()

    def list(self, prefix: str) -> Iterator[str]:
        """As the store's."""
        return self._store.list(prefix)

    def size(self, key: str) -> int | None:
        """Bytes of the object as it was put. Raises IntegrityError, VaultLocked."""
        try:
            return len(self._open(key))
        except NotFound:
            return None

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The object as it was put, or a part of it. Raises NotFound, IntegrityError, VaultLocked."""
        data = self._open(key)
        if length is not None and start + length > len(data):
            raise IntegrityError(f"{key} ends before that", key=key)
        return data[start:] if length is None else data[start : start + length]

    def put(self, key: str, data: bytes) -> None:
        """Encrypt and store."""
        self._last.pop(key, None)
        number, sealed = self._keys.seal(key.encode(), data)
        self._store.put(key, SEALED + number.to_bytes(4, "little") + sealed)

    def _open(self, key: str) -> bytes:
        data = self._last.get(key)
        if data is None:
            data = self._last[key] = open_object(self._keys, key, self._store.get(key))
            while len(self._last) > 8:
                self._last.popitem(last=False)
        return data
