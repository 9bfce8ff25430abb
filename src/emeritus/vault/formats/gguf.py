"""Where the tensors lie in a GGUF file, read from its header alone, which is hostile until checked.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. Other versions, and
types of tensors not known yet, are kept as bytes. What contradicts itself is refused, as with safetensors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import BinaryIO

from emeritus.errors import BadTensorFile
from emeritus.vault.formats.cut import Cut, Tensor, slices

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_HEADER = 256 << 20  # bytes; vocabularies of a million words take a tenth of it
MAX_TENSORS = 1 << 20
MAX_NESTED = 8  # arrays in arrays
# type -> name, elements in a block, bytes of a block (ggml.h and gguf-py's GGML_QUANT_SIZES)
TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}
LAYOUTS = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I16": 0, "I32": 0, "I64": 0}  # blocks of others are bytes: 1
_FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # value's type -> its bytes
_TEXT, _ARRAY = 8, 9
_ALIGNMENT = b"general.alignment"


@dataclass(slots=True)
class _Info:
    """A tensor's line in the header; `length` is None for a type not known."""

    name: str
    kind: str
    shape: tuple[int, ...]
    offset: int
    length: int | None


def is_one(file: BinaryIO, size: int) -> bool:
    """Whether this begins as a GGUF file of a version known here."""
    file.seek(0)
    head = file.read(8) if size >= 24 else b""
    return len(head) == 8 and head[:4] == MAGIC and int.from_bytes(head[4:], "little") in VERSIONS


def cuts(file: BinaryIO, size: int, path: str) -> Iterator[Cut]:
    """Header, tensors (large ones split), padding and trailing bytes, in order and complete. Raises BadTensorFile."""
    start, infos = _header(file, size, path)
    yield from slices(0, start)
    position, last = start, ""
    infos.sort(key=lambda info: (info.offset, info.length or 0))
    for number, info in enumerate(infos):
        following = infos[number + 1].offset if number + 1 < len(infos) else size
        length = following - info.offset if info.length is None else info.length
        if not length:
            continue
        if info.offset < position:
            raise _bad(path, f"tensors {last[:100]!r} and {info.name[:100]!r} overlap")
        yield from slices(position, info.offset - position)
        yield from slices(info.offset, length, 0 if info.length is None else LAYOUTS.get(info.kind, 1))
        position, last = info.offset + length, info.name
    yield from slices(position, size - position)


def tensors(file: BinaryIO, size: int, path: str) -> list[Tensor]:
    """Every tensor of a known type, in the header's order, its shape as NumPy has it. Raises BadTensorFile."""
    return [
        Tensor(info.name, info.kind, info.shape, path, info.offset, info.length)
        for info in _header(file, size, path)[1]
        if info.length is not None
    ]


def _header(file: BinaryIO, size: int, path: str) -> tuple[int, list[_Info]]:
    """(where the data begins, the tensors with their places in the file)."""
    reader = _Reader(file, size, path)
    reader.skip(8)
    count, pairs = reader.number(8), reader.number(8)
    if count > MAX_TENSORS:
        raise _bad(path, f"its header claims {count} tensors, more than the {MAX_TENSORS} allowed")
    alignment = 32
    for _ in range(pairs):
        key, kind = reader.text(), reader.number(4)
        if key == _ALIGNMENT and kind == 4:
            alignment = reader.number(4)
        else:
            reader.value(kind)
    if not alignment or alignment % 8 or alignment > 1 << 20:
        raise _bad(path, f"its tensors are aligned to {alignment} bytes, which is no multiple of 8 below a million")
    infos = [_info(reader, path) for _ in range(count)]
    start = -(-reader.at // alignment) * alignment
    if not infos:
        return min(start, size), infos
    for info in infos:
        info.offset += start
        if info.offset + (info.length or 0) > size:
            end = info.offset + (info.length or 0)
            raise _bad(path, f"tensor {info.name[:100]!r} ends at byte {end} of {size}: truncated, or the header lies")
    if len({info.name for info in infos}) != count:
        raise _bad(path, "a tensor's name occurs twice")
    return start, infos


def _info(reader: _Reader, path: str) -> _Info:
    name = reader.text().decode("utf-8", "backslashreplace")
    dimensions = reader.number(4)
    if dimensions > 16:
        raise _bad(path, f"tensor {name[:100]!r} has {dimensions} dimensions")
    shape = tuple(reader.number(8) for _ in range(dimensions))
    kind, offset = reader.number(4), reader.number(8)
    if kind not in TYPES:
        return _Info(name, f"GGML_{kind}", shape, offset, None)
    title, block, width = TYPES[kind]
    row = shape[0] if shape else 1
    if row % block:
        raise _bad(path, f"tensor {name[:100]!r} has rows of {row} numbers, which {title} cannot have")
    return _Info(name, title, shape[::-1], offset, prod(shape) // block * width)


class _Reader:
    """Reads a header from its start; raises BadTensorFile where the file or the room for headers ends."""

    def __init__(self, file: BinaryIO, size: int, path: str) -> None:
        self._file = file
        self._path = path
        self._room = min(size, MAX_HEADER)
        self._size = size
        self.at = 0
        self._block, self._begin = b"", 0

    def skip(self, count: int) -> None:
        """Move on."""
        self.at += count
        if self.at > self._room:
            what = "it is truncated" if self._room == self._size else f"it is longer than {MAX_HEADER} bytes"
            raise _bad(self._path, f"its header claims more than there is: {what}")

    def take(self, count: int) -> bytes:
        """The next ones."""
        begin = self.at
        self.skip(count)
        if begin < self._begin or self.at > self._begin + len(self._block):
            self._file.seek(begin)
            self._begin, self._block = begin, self._file.read(max(count, 1 << 16))
        found = self._block[begin - self._begin : self.at - self._begin]
        if len(found) != count:
            raise _bad(self._path, "its header ends early")
        return found

    def number(self, width: int) -> int:
        """An unsigned one."""
        return int.from_bytes(self.take(width), "little")

    def text(self) -> bytes:
        """A string."""
        return self.take(self.number(8))

    def value(self, kind: int, depth: int = 0) -> None:
        """Pass over the value of a type."""
        if kind in _FIXED:
            self.skip(_FIXED[kind])
        elif kind == _TEXT:
            self.skip(self.number(8))
        elif kind == _ARRAY and depth < MAX_NESTED:
            inner, count = struct.unpack("<IQ", self.take(12))
            if inner in _FIXED:
                self.skip(_FIXED[inner] * count)
            else:
                for _ in range(count):
                    self.value(inner, depth + 1)
        else:
            raise _bad(self._path, f"its header has a value of type {kind}, which there is not")


def _bad(path: str, reason: str) -> BadTensorFile:
    return BadTensorFile(f"{path}: {reason}", path=path, reason=reason)
