"""Numbers of equal width as byte planes: the exponent's plane is far from random, the mantissa's is noise.

Encoded form (docs/format.md, encoding 3): u8 width, then for each plane, most significant first: u8 method (0 raw,
1 zlib), u32 length, bytes. Knows no file formats: bf16, fp16, fp32 and fp64 differ only in width here.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from emeritus.errors import IntegrityError

WIDTHS = (2, 4, 8)
RAW, ZLIB = 0, 1
_PLANE = struct.Struct("<BI")
_PROBE_BYTES = 32 << 10
_PAYS = 0.97  # a plane that saves less than 3 % of its probe is left raw: noise costs time and saves nothing


def encode(data: bytes, width: int) -> bytes:
    """The byte planes of `data`, little-endian numbers of `width` bytes; its length must be a multiple of `width`."""
    if width not in WIDTHS or len(data) % width:
        raise ValueError(f"{len(data)} bytes are not numbers of width {width}")
    columns = np.frombuffer(data, np.uint8).reshape(-1, width)
    parts = [bytes([width])]
    for place in reversed(range(width)):
        plane = columns[:, place].tobytes()
        packed = _deflate(plane) if len(_deflate(plane[:_PROBE_BYTES])) < _PAYS * len(plane[:_PROBE_BYTES]) else plane
        method = ZLIB if len(packed) < len(plane) else RAW
        kept = packed if method == ZLIB else plane
        parts += [_PLANE.pack(method, len(kept)), kept]
    return b"".join(parts)


def decode(stored: bytes, length: int) -> bytes:
    """The `length` bytes that were encoded. Raises IntegrityError for anything `encode` could not have written."""
    width = stored[0] if stored else 0
    if width not in WIDTHS or length % width:
        raise IntegrityError(f"byte planes of width {width} cannot hold {length} bytes")
    count, position = length // width, 1
    out = np.empty((count, width), np.uint8)
    for place in reversed(range(width)):
        if position + _PLANE.size > len(stored):
            raise IntegrityError("byte planes end early")
        method, size = _PLANE.unpack_from(stored, position)
        position += _PLANE.size
        if position + size > len(stored):
            raise IntegrityError("byte planes end early")
        plane = (
            inflate(stored[position : position + size], count) if method == ZLIB else stored[position : position + size]
        )
        position += size
        if method not in (RAW, ZLIB) or len(plane) != count:
            raise IntegrityError(f"a byte plane of {count} bytes decodes to {len(plane)} (method {method})")
        out[:, place] = np.frombuffer(plane, np.uint8)
    if position != len(stored):
        raise IntegrityError("byte planes are followed by other bytes")
    return out.tobytes()


def inflate(stored: bytes, length: int) -> bytes:
    """Exactly `length` bytes from exactly one zlib stream; a stream that would give more is stopped, not followed."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(stored, length + 1)
    except zlib.error as error:
        raise IntegrityError(f"a zlib stream is damaged: {error}") from error
    if len(data) != length or not stream.eof or stream.unused_data:
        raise IntegrityError(f"a zlib stream of {length} bytes is damaged: its length differs")
    return data


def _deflate(plane: bytes) -> bytes:
    """Huffman and runs only: on exponents string matching is ten times slower and finds chance."""
    stream = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return stream.compress(plane) + stream.flush()
