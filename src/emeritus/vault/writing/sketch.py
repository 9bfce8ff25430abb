"""A sketch of a tensor: a few of its numbers, at places every tensor of that length has, so that near ones show.

Format in docs/format.md. The places grow with the powers of two: a tensor with more rows shares those it has in common
with the shorter one. Knows where numbers lie in a tensor, not where tensors lie in a vault.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from emeritus.errors import BadName, IntegrityError
from emeritus.vault.digests import SIZE, blake3_of
from emeritus.vault.formats.cut import Cut
from emeritus.vault.manifest import check_name

LAYOUTS = (2, 4)  # of numbers that differences are made of
FIRST_POWER, POWERS = 8, 24  # stretches of numbers lie between 2^k and 2^(k+1), for k from 8 to 31
RUN = 16  # numbers side by side in each: few reads for many numbers
PER_WORD = 64 // RUN  # stretches whose numbers make a word
WORDS = POWERS // PER_WORD
STARTS = tuple((1 << k) + (5 << k) // 13 for k in range(FIRST_POWER, FIRST_POWER + POWERS))
LEAST = 64  # numbers in a sketch worth keeping: one word
FAR = 11.0  # bits a number takes, about, beside one that has nothing to do with it
MAGIC = b"EMSKET" + (0).to_bytes(2, "little")
_HEAD = struct.Struct("<8s32s32sIII4x")  # MAGIC, manifest's sha256, BLAKE3 of the values, bytes of names, rows, zero
ROW = np.dtype(
    [
        ("offset", "<u8"),
        ("length", "<u8"),
        ("segment", "<u8"),
        ("words", "<u8", (WORDS,)),
        ("file", "<u4"),
        ("layout", "u1"),
        ("stretches", "u1"),
        ("zero", "<u2"),
    ]
)

Read = Callable[[int, int], bytes]  # offset and length in a file -> its bytes
Rows = npt.NDArray[np.void]
Values = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes [offset, offset + length) of a file that are one tensor, or may be: numbers of `layout` bytes."""

    offset: int
    length: int
    layout: int


@dataclass(frozen=True, slots=True)
class Head:
    """A sketch file without its values: of which manifest (sha256), which residents it rests on, a row per tensor."""

    manifest: bytes
    values_blake3: bytes
    bases: tuple[str, ...]
    rows: Rows
    size: int  # bytes before the values


def tensors(cuts: Iterable[Cut]) -> list[Stretch]:
    """What of a file may be a difference: cuts that lie in one tensor, together."""
    found = []
    for (start, layout), parts in groupby(cuts, lambda cut: (cut.start, cut.layout)):
        if layout in LAYOUTS:
            found.append(Stretch(start, sum(part.length for part in parts), layout))
    return found


def stretches(count: int) -> int:
    """How many of the places a tensor of `count` numbers has."""
    return sum(start + RUN <= count for start in STARTS)


def take(stretch: Stretch, read: Read) -> Values:
    """The numbers of a tensor at its places: the upper two bytes of each."""
    found = []
    for start in STARTS[: stretches(stretch.length // stretch.layout)]:
        data = read(stretch.offset + start * stretch.layout, RUN * stretch.layout)
        found.append(np.frombuffer(data, "<u2").reshape(RUN, -1)[:, -1])
    return np.concatenate(found) if found else np.empty(0, "<u2")


def words(values: Values) -> npt.NDArray[np.uint64]:
    """Of each 64 numbers one word: which of them are above the middle one. 0 where there are no 64, or where it tells
    nothing because nearly all are equal."""
    found = np.zeros(WORDS, np.uint64)
    ordered = order(values)
    for number in range(len(values) // 64):
        part = ordered[64 * number : 64 * number + 64]
        bits = part > np.median(part)
        if 16 <= int(bits.sum()) <= 48:
            found[number] = np.packbits(bits, bitorder="little").view("<u8")[0]
    return found


def order(values: Values) -> npt.NDArray[np.int32]:
    """Numbers of 16 bits, sign first, as whole numbers that rise with them (docs/format.md, Difference)."""
    whole = values.astype(np.int32)
    return np.where(whole & 0x8000, 0x7FFF - whole, whole)


def bits_apart(ours: Values, theirs: Values) -> float:
    """About how many bits a number takes as a difference: the mean of log2 of the steps between them, and one more."""
    shared = min(len(ours), len(theirs))
    if not shared:
        return FAR
    steps = np.abs(order(ours[:shared]) - order(theirs[:shared]))
    return float(np.log2(1.0 + 2.0 * steps).mean())


def pack(manifest: bytes, bases: Sequence[str], rows: Rows, values: Sequence[Values]) -> bytes:
    """The sketch file of a resident. `rows` and `values` go together; `manifest`: the manifest's sha256."""
    numbers = b"".join(each.astype("<u2").tobytes() for each in values)
    names = "".join(f"{name}\n" for name in bases).encode()
    head = _HEAD.pack(MAGIC, manifest, blake3_of(numbers), len(names), len(rows), 0) + names + rows.tobytes()
    return head + blake3_of(head) + numbers


def head_size(first: bytes, key: str) -> int:
    """How long the head is, by the first bytes of the file. Raises IntegrityError."""
    if len(first) < _HEAD.size or not first.startswith(MAGIC):
        raise _damaged(key)
    names, rows = _HEAD.unpack_from(first)[3:5]
    return int(_HEAD.size + names + rows * ROW.itemsize + SIZE)


def parse_head(data: bytes, key: str) -> Head:
    """The head of a sketch file. Raises IntegrityError where it is not what was written."""
    size = head_size(data, key)
    if len(data) < size or blake3_of(data[: size - SIZE]) != data[size - SIZE : size]:
        raise _damaged(key)
    _, manifest, digest, named, count, _ = _HEAD.unpack_from(data)
    try:
        names = data[_HEAD.size : _HEAD.size + named].decode().splitlines()
        rows = np.frombuffer(data, ROW, count, _HEAD.size + named)
        if (rows["stretches"] > POWERS).any():
            raise _damaged(key)
        return Head(manifest, digest, tuple(check_name(name) for name in names), rows, size)
    except (ValueError, BadName) as error:
        raise _damaged(key) from error


def check(data: bytes | bytearray | memoryview, key: str) -> None:
    """Raises IntegrityError where a whole sketch file is not what was written."""
    whole = bytes(data)
    head = parse_head(whole, key)
    if blake3_of(whole[head.size :]) != head.values_blake3:
        raise _damaged(key)


def sketch_key(name: str) -> str:
    """Where a resident's sketch lies."""
    return f"sketches/{name}.bin"


def sketch_name(key: str) -> str | None:
    """The resident of a sketch's key; None for other keys."""
    inner = key.removeprefix("sketches/").removesuffix(".bin")
    return inner if key == sketch_key(inner) else None


def _damaged(key: str) -> IntegrityError:
    return IntegrityError(f"{key} is damaged", remedy="Nothing is lost: it is made again when it is next needed.")
