"""Numbers as planes of bytes: the exponent's plane is far from random and is coded, the mantissa's is noise and is not.

Encoded form: docs/format.md, encoding 3. Knows no file formats: bf16 and fp16 are both layout 2 here. The compiled
kernel does the work where it was built; the rest of this file gives the same bytes without it.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator

import numpy as np

from emeritus.errors import IntegrityError
from emeritus.vault.codec import rans
from emeritus.vault.codec.kernel import kernel
from emeritus.vault.codec.rans import BLOCK, Bytes, Damaged

LAYOUTS = (1, 2, 4, 8)  # bytes of a number, and planes it is taken apart into
RAW, CONSTANT, RANS = 0, 1, 2  # how a plane is kept
_SIZE = struct.Struct("<I")
_STRETCHES, _STRETCH = 16, 256  # of each block, to judge a plane by
_own = threading.local()

Data = bytes | bytearray | memoryview


def encode(data: Data, layout: int, room: memoryview | None = None) -> Data:
    """`data`, little-endian numbers, in encoding 3. May be longer than `data` by 1 + `layout` bytes.

    In `room`, as a view of it, where that is given and long enough: fresh memory costs a fifth of encoding. Raises
    ValueError for an unknown layout, or a length that is no multiple of it.
    """
    length = memoryview(data).nbytes
    if layout not in LAYOUTS or length % layout:
        raise ValueError(f"{length} bytes are not numbers of layout {layout}")
    if kernel is None:
        return _encode(np.frombuffer(data, np.uint8), layout)
    if room is not None and room.nbytes >= length + 1 + layout:
        return room[: kernel.numbers_encode(data, layout, room)]
    own = _room(length + 1 + layout)
    return bytes(own[: kernel.numbers_encode(data, layout, own)])


def decode_into(stored: Data, out: memoryview | bytearray) -> None:
    """Fill `out`, of exactly the length of what was encoded. Raises IntegrityError, and leaves anything in it."""
    if kernel is not None:
        right = bool(kernel.numbers_decode(stored, out))
    else:
        try:
            _decode(np.frombuffer(stored, np.uint8), np.frombuffer(out, np.uint8))
            right = True
        except Damaged:
            right = False
    if not right:
        raise _damaged(out)


def decode_pieces(stored: Data, out: memoryview) -> Iterator[memoryview]:
    """The same, giving each piece of `out` as soon as it is filled, while it is in the processor's cache."""
    if kernel is None or not len(out):
        decode_into(stored, out)
        yield out
        return
    begin = 0
    while begin < len(out):
        end = kernel.numbers_decode_piece(stored, out, begin)
        if end <= begin:
            raise _damaged(out)
        yield out[begin:end]
        begin = end


def proves(stored: Data, data: Data) -> bool:
    """Whether `stored` decodes to exactly `data`: faster than decoding and comparing, as no piece leaves the cache."""
    if kernel is not None:
        return bool(kernel.numbers_prove(stored, data))
    out = bytearray(memoryview(data).nbytes)
    try:
        decode_into(stored, out)
    except IntegrityError:
        return False
    return out == data


def _damaged(out: memoryview | bytearray) -> IntegrityError:
    return IntegrityError(f"encoded numbers are damaged, or are not {memoryview(out).nbytes} bytes of them")


def _room(length: int) -> memoryview:
    """Memory of this thread to encode into, kept: fresh pages cost as much as encoding does."""
    room: bytearray = getattr(_own, "room", bytearray())
    if len(room) < length:
        room = _own.room = bytearray(length)
    return memoryview(room)


def _encode(data: Bytes, layout: int) -> bytes:
    columns = data.reshape(-1, layout)
    return bytes([layout]) + b"".join(_encode_plane(_plane(columns, place)) for place in range(layout))


def _plane(columns: Bytes, place: int) -> Bytes:
    """The planes from the lowest byte up; of the highest two bytes first sign and low bits, last the symbol."""
    layout = columns.shape[1]
    if layout == 1 or place < layout - 2:
        return np.ascontiguousarray(columns[:, place])
    low, high = columns[:, -2], columns[:, -1]
    found = (high & 0x80) | (low & 0x7F) if place == layout - 2 else (high << 1) | (low >> 7)
    return found.astype(np.uint8)


def _encode_plane(plane: Bytes) -> bytes:
    method = _judge(plane)
    if method == CONSTANT and bool((plane == plane[0]).all()):
        return bytes([CONSTANT, plane[0]])
    if method != RAW:
        coded = b"".join(_SIZE.pack(len(block)) + block for block in rans.encode(plane))
        if len(coded) < len(plane):
            return bytes([RANS]) + coded
    return bytes([RAW]) + plane.tobytes()


def _judge(plane: Bytes) -> int:
    """What a plane looks like, from 4096 of each block's symbols: CONSTANT (perhaps), RAW (noise), or RANS.

    Noise: two of the symbols are equal hardly more often than two of 256 at random, so less than 1.1 % is to gain.
    """
    parts = []
    for start in range(0, len(plane), BLOCK):
        block = plane[start : start + BLOCK]
        step = len(block) // _STRETCHES
        whole = len(block) <= _STRETCHES * _STRETCH
        parts += [block] if whole else [block[k * step : k * step + _STRETCH] for k in range(_STRETCHES)]
    if not parts:
        return RAW
    counts = np.bincount(np.concatenate(parts), minlength=256).astype(np.int64)
    drawn = int(counts.sum())
    if counts.max() == drawn:
        return CONSTANT
    return RAW if 4096 * (int((counts * counts).sum()) - drawn) <= 17 * drawn * drawn else RANS


def _decode(stored: Bytes, out: Bytes) -> None:
    layout = int(stored[0]) if len(stored) else 0
    if layout not in LAYOUTS or len(out) % layout:
        raise Damaged
    count, at = len(out) // layout, 1
    columns = out.reshape(-1, layout)
    planes = []
    for _ in range(layout):
        plane, at = _decode_plane(stored, at, count)
        planes.append(plane)
    if at != len(stored):
        raise Damaged
    for place in range(layout if layout == 1 else layout - 2):
        columns[:, place] = planes[place]
    if layout > 1:
        rest, symbol = planes[-2:]
        columns[:, -2] = (rest & 0x7F) | (symbol << 7)
        columns[:, -1] = (rest & 0x80) | (symbol >> 1)


def _decode_plane(stored: Bytes, at: int, count: int) -> tuple[Bytes, int]:
    """A plane's symbols, and where it ends."""
    if at >= len(stored):
        raise Damaged
    method, at = int(stored[at]), at + 1
    if method == RAW and at + count <= len(stored):
        return stored[at : at + count], at + count
    if method == CONSTANT and at < len(stored):
        return np.full(count, stored[at], np.uint8), at + 1
    if method != RANS:
        raise Damaged
    blocks = []
    for _ in range(0, count, BLOCK):
        if at + _SIZE.size > len(stored):
            raise Damaged
        (size,) = _SIZE.unpack(stored[at : at + _SIZE.size].tobytes())
        at += _SIZE.size
        if at + size > len(stored):
            raise Damaged
        blocks.append(stored[at : at + size])
        at += size
    return rans.decode(blocks, count), at
