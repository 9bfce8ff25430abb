"""A pack: encoded segments one after another, their index, a footer; named by the sha256 of the whole (docs/format.md).

Writes and reads the bytes; knows no manifests and decides nothing about which segments to keep.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, StoreError, UnknownFormat
from emeritus.vault.codec.numbers import Data
from emeritus.vault.codec.table import decode_pieces
from emeritus.vault.digests import SIZE as DIGEST
from emeritus.vault.digests import blake3_of_pieces, sha256_of
from emeritus.vault.keys.keyring import Keyring

FORMAT = 0
MAGIC = b"EMPACK" + FORMAT.to_bytes(2, "little")
END = b"EMINDX" + FORMAT.to_bytes(2, "little")
ENTRY = struct.Struct("<32s32sQQQHHI")  # blake3, base's blake3, offset, stored, length, encoding, kind, key
FOOTER = struct.Struct("<QQ32s8s")  # offset of the index, entries, sha256 of the index, END
DATA, MANIFEST = 0, 1  # kinds: bytes of a file, or the copy of a manifest
MAX_SEGMENT = 256 << 20  # decoded bytes; an index that claims more lies, and must not cost the memory it claims
TARGET_BYTES = 64 << 20  # a pack is closed once it holds this much, or less of a small model: see `target`
LEAST_BYTES = 1 << 20
PACKS = 16  # that many at least where the model allows it, so that a group of packs under one parity is well filled
_TAIL_BYTES = 64 << 10  # read at once from a pack's end: the whole index of most packs
_KEY = re.compile(r"packs/([0-9a-f]{2})/(\1[0-9a-f]{62})\.pack")


_NO_BASE = bytes(DIGEST)


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment in a pack. `blake3` is of its decoded bytes; `stored` and `length` count bytes.

    `base`: the BLAKE3 of the segment from which it is a difference; None when it stands alone. `key`: the number of the
    data key that its stored bytes are encrypted under; 0 when they are not.
    """

    blake3: bytes
    base: bytes | None
    offset: int
    stored: int
    length: int
    encoding: int
    kind: int = DATA
    key: int = 0


@dataclass(frozen=True, slots=True)
class Encoded:
    """A segment ready to be kept: the BLAKE3 and length of its decoded bytes, and its encoded bytes. See Entry."""

    blake3: bytes
    length: int
    encoding: int
    stored: Data
    kind: int = DATA
    base: bytes | None = None
    key: int = 0


def target(total_bytes: int) -> int:
    """How many bytes of segments close a pack at most, of a model of `total_bytes`."""
    return share(total_bytes, PACKS, TARGET_BYTES)


def share(bytes_left: int, packs: int, most: int) -> int:
    """How many bytes each of so many packs takes of those left, as far as a pack may: no fewer than LEAST_BYTES."""
    return min(most, max(LEAST_BYTES, -(-bytes_left // packs)))


def pack_key(name: str) -> str:
    """Where the pack whose sha256 is `name` (hex) lies."""
    return f"packs/{name[:2]}/{name}.pack"


def pack_name(key: str) -> str | None:
    """The sha256 in a pack's key; None when it is no pack's key."""
    match = _KEY.fullmatch(key)
    return match[2] if match else None


class Layout:
    """Which segment lies where in a pack that is being written, after MAGIC, one after another."""

    def __init__(self) -> None:
        self.used = len(MAGIC)  # bytes so far
        self.entries: list[Entry] = []

    def place(self, new: Encoded) -> None:
        """Note a segment whose stored bytes come next."""
        self.entries.append(
            Entry(new.blake3, new.base, self.used, len(new.stored), new.length, new.encoding, new.kind, new.key)
        )
        self.used += len(new.stored)

    def end(self) -> bytes:
        """What comes after the last segment: the index and the footer."""
        index = b"".join(
            ENTRY.pack(e.blake3, e.base or _NO_BASE, e.offset, e.stored, e.length, e.encoding, e.kind, e.key)
            for e in self.entries
        )
        return index + FOOTER.pack(self.used, len(self.entries), sha256_of(index), END)


class PackBuilder:
    """A pack small enough to be held in memory."""

    def __init__(self) -> None:
        self._layout = Layout()
        self._data = bytearray(MAGIC)

    def add(self, new: Encoded) -> None:
        """Append one segment, by copying."""
        self._layout.place(new)
        self._data += new.stored

    @property
    def entries(self) -> list[Entry]:
        """The segments so far."""
        return self._layout.entries

    def finish(self) -> tuple[str, bytes]:
        """(sha256 hex, bytes) of the pack. Use once, at the end."""
        whole = bytes(self._data + self._layout.end())
        return sha256_of(whole).hex(), whole


def read_index(store: BlobStore, key: str) -> list[Entry]:
    """A pack's entries, read from its end. Raises NotFound, or IntegrityError naming the pack and what is wrong."""
    size = store.size(key)
    if size is None:
        raise NotFound(f"{key} is missing", key=key)
    if size < len(MAGIC) + FOOTER.size:
        raise damaged(key, f"it is {size} bytes long, too short for a pack")
    tail_start = max(0, size - _TAIL_BYTES)
    tail = store.get(key, tail_start, size - tail_start)
    index_offset, count, digest = _footer(key, tail, size)
    if index_offset >= tail_start:
        index = tail[index_offset - tail_start : -FOOTER.size]
    else:
        index = store.get(key, index_offset, count * ENTRY.size)
    return parse_index(key, index, index_offset, digest)


def _footer(key: str, tail: bytes, size: int) -> tuple[int, int, bytes]:
    """(offset of the index, entries, sha256 of the index), from the last bytes of a pack of `size` bytes."""
    index_offset, count, digest, end = FOOTER.unpack_from(tail, len(tail) - FOOTER.size)
    if end[:6] != END[:6]:
        raise damaged(key, "its footer is damaged, so its index cannot be read")
    if end != END:
        raise UnknownFormat(f"{key} is of format {int.from_bytes(end[6:], 'little')}; this version knows {FORMAT}")
    if index_offset + count * ENTRY.size + FOOTER.size != size or index_offset < len(MAGIC):
        raise damaged(key, "its footer does not fit its size")
    return index_offset, count, digest


def parse_index(key: str, index: bytes, index_offset: int, digest: bytes) -> list[Entry]:
    """The entries of an index that begins at `index_offset`, checked against its digest and for sense."""
    if sha256_of(index) != digest:
        raise damaged(key, "its index does not have the sha256 that its footer states")
    entries = []
    for fields in ENTRY.iter_unpack(index):
        entry = Entry(fields[0], None if fields[1] == _NO_BASE else fields[1], *fields[2:])
        if entry.offset < len(MAGIC) or entry.offset + entry.stored > index_offset:
            raise damaged(key, f"its index places segment {entry.blake3.hex()} outside the pack")
        if not 0 < entry.length <= MAX_SEGMENT:
            raise damaged(key, f"its index gives segment {entry.blake3.hex()} {entry.length} bytes")
        if entry.base == entry.blake3:
            raise damaged(key, f"its index makes segment {entry.blake3.hex()} a difference from itself")
        entries.append(entry)
    return entries


def open_into(
    entry: Entry, stored: Data, out: memoryview, key: str, base: Data | None = None, keys: Keyring | None = None
) -> None:
    """Decode a segment into `out`, of its decoded length, and verify it against its BLAKE3.

    `base`: the decoded bytes of the segment that `entry.base` names; None where it names none. `keys`: those of an
    encrypted vault. Raises UnknownFormat, VaultLocked, and IntegrityError naming segment and pack; `out` then holds
    anything.
    """
    where = f"segment {entry.blake3.hex()} at offset {entry.offset}"
    if len(out) != entry.length:
        raise damaged(key, f"{where} is given as {entry.length} bytes by the index, as {len(out)} by a manifest")
    try:
        if entry.key:
            if keys is None:
                raise IntegrityError("it is encrypted, and may not be")
            stored = keys.open(entry.key, entry.blake3, stored)
        found = blake3_of_pieces(decode_pieces(entry.encoding, stored, out, base))
    except IntegrityError as error:
        raise damaged(key, f"{where}: {error.message}") from error
    if found != entry.blake3:
        raise damaged(key, f"{where} has another BLAKE3")


def open_segment(
    entry: Entry, stored: Data, key: str, base: Data | None = None, keys: Keyring | None = None
) -> bytearray:
    """The decoded bytes of a segment, verified. Raises as `open_into` does."""
    data = bytearray(entry.length)
    open_into(entry, stored, memoryview(data), key, base, keys)
    return data


def check_pack(
    key: str, data: bytes, base_of: Callable[[bytes], Data], keys: Keyring | None = None
) -> tuple[list[Entry], list[str]]:
    """Everything that can be said of a whole pack: (entries that decode and verify, what is wrong).

    Bytes under no digest do not exist: the name covers them all. `base_of` gives the decoded bytes of a base by its
    BLAKE3, or raises IntegrityError: then nothing is known against this pack's difference, which counts as good here.
    So does an encrypted segment of a pack whose sha256 holds, where its key cannot be had.
    Raises VaultLocked when the secret is a wrong one.
    """
    wrong = []
    name = pack_name(key)
    if hashlib.sha256(data).hexdigest() != name:
        wrong.append("its sha256 is not its name")
    if not data.startswith(MAGIC):
        wrong.append("it does not begin as a pack does")
    if len(data) < len(MAGIC) + FOOTER.size:
        return [], [*wrong, "it is too short for a pack"]
    try:
        index_offset, _, digest = _footer(key, data[-FOOTER.size :], len(data))
        entries = parse_index(key, data[index_offset : -FOOTER.size], index_offset, digest)
    except StoreError as error:
        return [], [*wrong, error.message.removeprefix(f"{key}: ")]
    good, whole = [], memoryview(data)
    for entry in entries:
        base = None
        if entry.key and keys is not None and not keys.can_open(entry.key):
            if not wrong:
                good.append(entry)
            continue
        try:
            if entry.base is not None:
                base = base_of(entry.base)
        except IntegrityError:
            if not wrong:
                good.append(entry)
            continue
        try:
            open_segment(entry, whole[entry.offset : entry.offset + entry.stored], key, base, keys)
            good.append(entry)
        except (IntegrityError, UnknownFormat) as error:
            wrong.append(error.message.removeprefix(f"{key}: "))
    return good, wrong


def stored_bytes(entries: Iterable[Entry]) -> int:
    """Bytes the segments take in packs."""
    return sum(entry.stored for entry in entries)


def damaged(key: str, what: str) -> IntegrityError:
    """The error for a pack."""
    return IntegrityError(
        f"{key}: {what}",
        remedy=f"Put a copy of {key} back from another store, or delete it and preserve the model again from its "
        "source; `emeritus verify` names every damaged object.",
        key=key,
    )
