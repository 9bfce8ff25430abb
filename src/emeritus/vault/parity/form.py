"""The bytes of a parity object: one shard of a group of packs, between two copies of what describes the group.

Writes and reads the form (docs/format.md, "Parity"); computes no parity and decides nothing.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from functools import cached_property

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, UnknownFormat
from emeritus.vault.codec.reed_solomon import MOST_DATA, MOST_SHARDS
from emeritus.vault.digests import SIZE, blake3_of
from emeritus.vault.pages import pages

FORMAT = 0
MAGIC = b"EMPARI" + FORMAT.to_bytes(2, "little")
END = b"EMPARE" + FORMAT.to_bytes(2, "little")
HEAD = struct.Struct("<8sIHHH6xQ")  # magic, block, packs, shards described, this shard, length of the shard
MEMBER = struct.Struct("<32sQ")  # a pack's sha256, its length
TAIL = struct.Struct("<Q8s")  # length of the description, END
BLOCK = 1 << 16  # bytes under one BLAKE3: what a flipped bit costs
PREFIX = "parity/"
_KEY = re.compile(r"parity/([0-9a-f]{64})/(0|[1-9][0-9]{0,2})\.([0-9a-f]{64})\.parity", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShardKey:
    """What a parity object's key says: its group, which of the group's shards it is, the sha256 of its bytes."""

    group: str
    shard: int
    sha256: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.group}/{self.shard}.{self.sha256}.parity"


def parse_key(key: str) -> ShardKey | None:
    """The parts of a parity object's key; None when it is none's."""
    match = _KEY.fullmatch(key)
    return ShardKey(match[1], int(match[2]), match[3]) if match else None


def group_name(packs: list[str] | tuple[str, ...]) -> str:
    """A group's name: sha256 (hex) over its packs' sha256, in the order of the matrix's columns."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, packs))).hexdigest()


def blocks_in(length: int) -> int:
    """How many blocks so many bytes are; the last one may be short."""
    return -(-length // BLOCK)


def digests_of(data: bytes | bytearray | memoryview) -> bytes:
    """The BLAKE3 of each block, 32 bytes each, joined."""
    view = memoryview(data)
    return b"".join(blake3_of(view[at : at + BLOCK]) for at in range(0, len(view), BLOCK))


@dataclass(frozen=True)
class Description:
    """What every shard of a group tells: its packs (sha256 hex, bytes) and the BLAKE3 of every block.

    `pack_digests[j]` belong to pack j, `shard_digests[i]` to shard i, for as many shards as there were when this was
    written; each is 32 bytes a block, joined.
    """

    packs: tuple[tuple[str, int], ...]
    pack_digests: tuple[bytes, ...]
    shard_digests: tuple[bytes, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The packs' sha256."""
        return tuple(name for name, _ in self.packs)

    @cached_property
    def group(self) -> str:
        """The group's name."""
        return group_name(self.names)

    @cached_property
    def length(self) -> int:
        """Bytes of each shard's parity: those of the longest pack."""
        return max(length for _, length in self.packs)

    @property
    def columns(self) -> int:
        """Blocks of each shard."""
        return blocks_in(self.length)

    def to_bytes(self, shard: int) -> bytes:
        """The description as it stands in that shard's object."""
        head = HEAD.pack(MAGIC, BLOCK, len(self.packs), len(self.shard_digests), shard, self.length)
        members = b"".join(MEMBER.pack(bytes.fromhex(name), length) for name, length in self.packs)
        told = b"".join((head, members, *self.pack_digests, *self.shard_digests))
        return told + hashlib.sha256(told).digest()


def parity_object(
    description: Description, shard: int, parity: bytes | bytearray | memoryview
) -> tuple[str, memoryview]:
    """(key, bytes) of one shard's object."""
    told, end = around(description, shard)
    parts = (told, parity, end)
    data, at = pages(sum(map(len, parts))), 0
    for part in parts:
        data[at : at + len(part)] = part
        at += len(part)
    return shard_key(description, shard, hashlib.sha256(data).hexdigest()), data


def around(description: Description, shard: int) -> tuple[bytes, bytes]:
    """What stands before a shard's parity in its object, and after it."""
    told = description.to_bytes(shard)
    return told, told + TAIL.pack(len(told), END)


def room_around(packs: int, shards: int, length: int) -> tuple[int, int]:
    """The most bytes that `around` gives for so many packs and shards of at most `length` bytes."""
    told = HEAD.size + MEMBER.size * packs + SIZE * ((packs + shards) * blocks_in(length) + 1)
    return told, told + TAIL.size


def shard_key(description: Description, shard: int, sha256: str) -> str:
    """Where the object of one shard lies, by the sha256 (hex) of its bytes."""
    return str(ShardKey(description.group, shard, sha256))


def parse_description(told: bytes, key: str) -> Description:
    """What a parity object says of its group. Raises IntegrityError or UnknownFormat, naming it."""
    where = parse_key(key)
    if where is None:
        raise IntegrityError(f"{key} is not where a parity object lies", key=key)
    _size(told, key)
    _, _, packs, shards, shard, length = HEAD.unpack_from(told)
    if hashlib.sha256(told[:-SIZE]).digest() != told[-SIZE:]:
        raise _broken(key, "what it says of its group does not have the sha256 beside it")
    members = [MEMBER.unpack_from(told, HEAD.size + MEMBER.size * j) for j in range(packs)]
    at = HEAD.size + MEMBER.size * packs
    digests = []
    for size in [*(size for _, size in members), *[length] * shards]:
        end = at + SIZE * blocks_in(size)
        digests.append(told[at:end])
        at = end
    named = tuple((name.hex(), size) for name, size in members)
    found = Description(named, tuple(digests[:packs]), tuple(digests[packs:]))
    if (found.group, shard, found.length, found.to_bytes(shard)) != (where.group, where.shard, length, told):
        raise _broken(key, "it describes another shard than its name does")
    return found


def read_description(store: BlobStore, key: str) -> Description:
    """What a parity object says of its group, from the first of the two copies in it that is sound.

    Raises NotFound, IntegrityError, UnknownFormat.
    """
    size = store.size(key)
    if size is None:
        raise NotFound(f"{key} is missing", key=key)
    try:
        head = store.get(key, 0, min(size, HEAD.size + MEMBER.size * MOST_DATA))
        told = _size(head, key)
        if told > size:
            raise _broken(key, "it is shorter than what it says of its group")
        return parse_description(store.get(key, 0, told), key)
    except (IntegrityError, UnknownFormat):  # a flipped bit may claim another format
        if size < TAIL.size:
            raise
    told, end = TAIL.unpack(store.get(key, size - TAIL.size, TAIL.size))
    if end != END or told > size - TAIL.size:
        raise _broken(key, "neither of its two descriptions can be read")
    return parse_description(store.get(key, size - TAIL.size - told, told), key)


def read_members(store: BlobStore, key: str) -> tuple[str, ...]:
    """The packs of a parity object's group, from its first bytes, proven by the group's name; or as above."""
    where = parse_key(key)
    size = store.size(key)
    if where is not None and size is not None and size >= HEAD.size:
        head = store.get(key, 0, min(size, HEAD.size + MEMBER.size * MOST_DATA))
        count = HEAD.unpack_from(head)[2]
        if len(head) >= HEAD.size + MEMBER.size * count:
            names = tuple(MEMBER.unpack_from(head, HEAD.size + MEMBER.size * j)[0].hex() for j in range(count))
            if group_name(names) == where.group:
                return names
    return read_description(store, key).names


def _size(head: bytes, key: str) -> int:
    """Bytes of the description that begins so. Raises IntegrityError, UnknownFormat."""
    if len(head) < HEAD.size:
        raise _broken(key, "it is too short for a parity object")
    magic, block, packs, shards, _, length = HEAD.unpack_from(head)
    if magic[:6] != MAGIC[:6]:
        raise _broken(key, "it does not begin as a parity object does")
    if magic != MAGIC:
        raise UnknownFormat(f"{key} is of format {int.from_bytes(magic[6:], 'little')}; this version knows {FORMAT}")
    members = HEAD.size + MEMBER.size * packs
    if block != BLOCK or not 1 <= packs <= MOST_DATA or not 1 <= shards <= MOST_SHARDS or len(head) < members:
        raise _broken(key, "what it says of its group makes no sense")
    sizes = [int(MEMBER.unpack_from(head, HEAD.size + MEMBER.size * j)[1]) for j in range(packs)]
    blocks = sum(map(blocks_in, sizes)) + int(shards) * blocks_in(length)
    return int(members) + SIZE * (blocks + 1)


def _broken(key: str, what: str) -> IntegrityError:
    return IntegrityError(f"{key}: {what}", remedy="`emeritus repair` makes it again from its packs.", key=key)
