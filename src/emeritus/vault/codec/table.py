"""The encodings of a segment by their numbers, and which of them an encoder tries. A number keeps its meaning for ever.

A new encoding is one line in ENCODINGS and a module beside this one. Knows nothing of packs or files.
"""

from __future__ import annotations

import lzma
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from emeritus.errors import IntegrityError, UnknownFormat
from emeritus.vault.codec import difference, numbers
from emeritus.vault.codec.numbers import Data
from emeritus.vault.pages import copy

RAW, ZLIB, XZ, NUMBERS, DIFFERENCE = 0, 1, 2, 3, 4
XZ_MEMORY = 128 << 20  # bytes a decoder may take; preset 6 needs 9 MiB
XZ_BELOW = 0.5  # only what zlib halves is text worth the slow coder; number-like bytes are not
XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
SMALL = 64 << 10  # numbers this few are also tried as bytes: the states of rANS weigh on them, and runs are likelier
SURELY = 0.25  # a difference below this share of the bytes is not compared with the others, which seldom come so low
WORTH = 0.95  # a difference must save this much more than the others do: it is lost when its base is
_own = threading.local()


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way a segment's bytes may lie in a pack.

    `decode_into(stored, out)` fills all of `out` or raises IntegrityError. One that is against a base has
    `decode_against(stored, base, out)` instead, which does the same.
    """

    name: str
    decode_into: Callable[[Data, memoryview], None] | None = None
    decode_against: Callable[[Data, Data, memoryview], None] | None = None


def _raw(stored: Data, out: memoryview) -> None:
    if len(stored) != len(out):
        raise IntegrityError(f"{len(out)} raw bytes are {len(stored)}")
    copy(stored, out)


def _inflate(stored: Data, out: memoryview) -> None:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(stored, len(out) + 1)
    except zlib.error as error:
        raise IntegrityError(f"a zlib stream is damaged: {error}") from error
    if len(data) != len(out) or not stream.eof or stream.unused_data:
        raise IntegrityError(f"a zlib stream of {len(out)} bytes is damaged: its length differs")
    out[:] = data


def _unxz(stored: Data, out: memoryview) -> None:
    stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    try:
        data = stream.decompress(stored, len(out) + 1)
    except lzma.LZMAError as error:
        raise IntegrityError(f"an xz stream is damaged: {error}") from error
    if len(data) != len(out) or not stream.eof or stream.unused_data:
        raise IntegrityError(f"an xz stream of {len(out)} bytes is damaged: its length differs")
    out[:] = data


ENCODINGS: dict[int, Encoding] = {
    RAW: Encoding("raw", _raw),
    ZLIB: Encoding("zlib", _inflate),
    XZ: Encoding("xz", _unxz),
    NUMBERS: Encoding("numbers", numbers.decode_into),
    DIFFERENCE: Encoding("difference", decode_against=difference.decode_into),
}


def decode_into(encoding: int, stored: Data, out: memoryview | bytearray, base: Data | None = None) -> None:
    """Fill `out`, a writable buffer of exactly the decoded length; `base`: the decoded bytes of the base segment.

    Raises UnknownFormat for a number this version lacks, or IntegrityError; `out` then holds anything.
    """
    try:
        known = ENCODINGS[encoding]
    except KeyError:
        raise UnknownFormat(f"encoding {encoding} is unknown; known: {sorted(ENCODINGS)}", encoding=encoding) from None
    view = memoryview(out).cast("B")
    if base is None and known.decode_into is not None:
        known.decode_into(stored, view)
    elif base is not None and known.decode_against is not None:
        known.decode_against(stored, base, view)
    else:
        raise IntegrityError(f"encoding {known.name!r} {'needs a' if base is None else 'takes no'} base")


def decode_pieces(encoding: int, stored: Data, out: memoryview, base: Data | None = None) -> Iterator[memoryview]:
    """Fill `out` as `decode_into` does, giving it in pieces, each as soon as it is filled. Raises the same."""
    if encoding == NUMBERS and base is None:
        yield from numbers.decode_pieces(stored, out.cast("B"))
    else:
        decode_into(encoding, stored, out, base)
        yield out


def decode(encoding: int, stored: Data, length: int, base: Data | None = None) -> bytes:
    """The `length` bytes of a segment. Raises as `decode_into` does."""
    if encoding == RAW and base is None and len(stored) == length:
        return bytes(stored)
    out = bytearray(length)
    decode_into(encoding, stored, out, base)
    return bytes(out)


def encode(data: Data, layout: int, base: Data | None = None, room: memoryview | None = None) -> tuple[int, Data]:
    """(encoding, stored bytes), the smallest found, proven: decoded again and compared.

    `layout`: how the numbers of `data` are laid out (docs/format.md), 0 when they are none; numbers that do not fill
    `data` are taken as bytes. `base`: decoded bytes of a segment that `data` may be kept as a difference from; it is
    one where the encoding is DIFFERENCE, and no other needs it again. `room`: memory in which the stored bytes may be
    given, as a view. Raises IntegrityError when the proof fails: faulty memory or a faulty library.
    """
    found = _candidates(data, layout, base, room)
    encoding, stored = min(found, key=lambda each: len(each[1]))
    if len(stored) >= len(data):
        if room is None or len(room) < len(data):
            return RAW, bytes(data)
        copy(data, room[: len(data)])
        return RAW, room[: len(data)]
    if not _proves(encoding, stored, data, base):
        raise IntegrityError(
            f"encoding {ENCODINGS[encoding].name!r} did not give back the bytes it was given; nothing was stored",
            remedy="Test this machine's memory; the source is untouched.",
        )
    return encoding, stored


def _candidates(data: Data, layout: int, base: Data | None, room: memoryview | None) -> list[tuple[int, Data]]:
    against = difference.encode(data, base, layout) if base is not None and layout in difference.LAYOUTS else None
    if against is not None and len(against) < SURELY * len(data):
        return [(DIFFERENCE, against)]
    if layout not in numbers.LAYOUTS or len(data) % layout:
        found: list[tuple[int, Data]] = [_bytes(data)]
    else:
        found = [(NUMBERS, numbers.encode(data, layout, room))]
        if len(data) <= SMALL:
            found.append(_bytes(data))
    if against is not None and len(against) < WORTH * min(len(data), *(len(stored) for _, stored in found)):
        return [(DIFFERENCE, against)]
    return found


def _proves(encoding: int, stored: Data, data: Data, base: Data | None) -> bool:
    if encoding == NUMBERS:
        return numbers.proves(stored, data)
    out = _scratch(len(data))
    decode_into(encoding, stored, out, base if ENCODINGS[encoding].decode_against else None)
    return out == data  # as bytes: two views would be compared one number at a time


def _scratch(length: int) -> bytearray:
    """Memory of this thread to prove in, of exactly this length: fresh pages cost as much as decoding does."""
    out: bytearray = getattr(_own, "scratch", bytearray())
    if len(out) != length:
        out = _own.scratch = bytearray(length)
    return out


def _bytes(data: Data) -> tuple[int, bytes]:
    packed = zlib.compress(data, 6)
    if len(packed) < XZ_BELOW * len(data):
        smaller = lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=XZ_FILTERS)
        if len(smaller) < len(packed):
            return XZ, smaller
    return ZLIB, packed
