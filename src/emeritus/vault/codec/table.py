"""The encodings of a segment by their numbers, and which of them an encoder tries. A number keeps its meaning for ever.

A new encoding is one line in ENCODINGS and a module beside this one. Knows nothing of packs or files.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from emeritus.errors import IntegrityError, UnknownFormat
from emeritus.vault.codec import planes

RAW, ZLIB, XZ, PLANES = 0, 1, 2, 3
XZ_MEMORY = 128 << 20  # bytes a decoder may take; preset 6 needs 9 MiB
XZ_BELOW = 0.5  # only what zlib halves is text worth the slow coder; number-like bytes are not
XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way a segment's bytes may lie in a pack. `decode(stored, length)` gives exactly `length` bytes or raises."""

    name: str
    decode: Callable[[bytes, int], bytes]


def _raw(stored: bytes, length: int) -> bytes:
    if len(stored) != length:
        raise IntegrityError(f"{length} raw bytes are {len(stored)}")
    return stored


def _unxz(stored: bytes, length: int) -> bytes:
    stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    try:
        data = stream.decompress(stored, length + 1)
    except lzma.LZMAError as error:
        raise IntegrityError(f"an xz stream is damaged: {error}") from error
    if len(data) != length or not stream.eof or stream.unused_data:
        raise IntegrityError(f"an xz stream of {length} bytes is damaged: its length differs")
    return data


ENCODINGS: dict[int, Encoding] = {
    RAW: Encoding("raw", _raw),
    ZLIB: Encoding("zlib", planes.inflate),
    XZ: Encoding("xz", _unxz),
    PLANES: Encoding("planes", planes.decode),
}


def decode(encoding: int, stored: bytes, length: int, base: bytes | None = None) -> bytes:
    """The `length` bytes of a segment, `base` those of the segment it is a difference from.

    Raises UnknownFormat for a number this version lacks, or IntegrityError.
    """
    try:
        known = ENCODINGS[encoding]
    except KeyError:
        raise UnknownFormat(f"encoding {encoding} is unknown; known: {sorted(ENCODINGS)}", encoding=encoding) from None
    if base is not None:
        raise IntegrityError(f"encoding {known.name!r} takes no base")
    return known.decode(stored, length)


def encode(data: bytes, width: int) -> tuple[int, bytes]:
    """(encoding, stored bytes), proven: decoded again and compared. `width`: bytes per number, 0 when they are none.

    Raises IntegrityError when the proof fails, which only faulty memory or a faulty library can cause.
    """
    encoding, stored = _numbers(data, width) if width in planes.WIDTHS else _bytes(data)
    if len(stored) >= len(data):
        encoding, stored = RAW, data
    if decode(encoding, stored, len(data)) != data:
        raise IntegrityError(
            f"encoding {ENCODINGS[encoding].name!r} did not give back the bytes it was given; nothing was stored",
            remedy="Test this machine's memory; the source is untouched.",
        )
    return encoding, stored


def _numbers(data: bytes, width: int) -> tuple[int, bytes]:
    return PLANES, planes.encode(data, width)


def _bytes(data: bytes) -> tuple[int, bytes]:
    packed = zlib.compress(data, 6)
    if len(packed) < XZ_BELOW * len(data):
        smaller = lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=XZ_FILTERS)
        if len(smaller) < len(packed):
            return XZ, smaller
    return ZLIB, packed
