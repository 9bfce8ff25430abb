"""Bytes that nothing is known of, cut where their content says: what was shifted is cut in the same places again.

A rolling hash of the last 32 bytes (gear hash, as in FastCDC: Xia et al., USENIX ATC 2016, with two masks) ends a chunk
where some of its bits are zero. The places are recorded by the segments; no reader computes them, so they may change.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from emeritus.vault.codec.kernel import kernel
from emeritus.vault.formats.cut import Cut

LEAST, USUAL, MOST = 256 << 10, 1 << 20, 4 << 20  # bytes of a chunk
WINDOW = 32  # bytes the hash depends on: one bit of it for each
BEFORE, AFTER = 21, 19  # bits that are zero where a chunk shorter or longer than usual ends
_PIECE = 1 << 18
GEAR: npt.NDArray[np.uint32] = np.array([random.Random(byte).getrandbits(32) for byte in range(256)], "<u4")


def cuts(file: BinaryIO, size: int) -> Iterator[Cut]:
    """The whole file as chunks of LEAST to MOST bytes, the last as long as it is. Reads all of a longer file."""
    at = 0
    file.seek(0)
    ahead = b""
    while at < size:
        if size - at <= LEAST:
            yield Cut(at, size - at, 0, at)
            return
        if len(ahead) < MOST:
            ahead += file.read(MOST - len(ahead))
        length = boundary(ahead) if ahead else size - at  # shorter than it was: whoever reads it next says so
        length = min(length, size - at)
        yield Cut(at, length, 0, at)
        ahead = ahead[length:]
        at += length


def boundary(data: bytes) -> int:
    """How long the chunk is that begins `data`, of which there are MOST bytes, or fewer at the end of a file."""
    if len(data) <= LEAST:
        return len(data)
    for start, end, bits in ((LEAST, USUAL, BEFORE), (USUAL, MOST, AFTER)):
        end = min(end, len(data))
        found = find(data, start, end, bits) if start < end else -1
        if found >= 0:
            return found
    return len(data)


def find(data: bytes, start: int, end: int, bits: int) -> int:
    """The first place after byte `start` and up to `end` where the upper `bits` bits of the hash are zero; -1: none.

    The hash at a place is that of the WINDOW bytes before it; `start` is at least WINDOW.
    """
    if kernel is not None and hasattr(kernel, "gear_find"):
        return int(kernel.gear_find(data, GEAR, start, end, bits))
    return find_numpy(data, start, end, bits)


def find_numpy(data: bytes, start: int, end: int, bits: int) -> int:
    """The same without the kernel: the sum over the window by doubling it five times."""
    for begin in range(start, end, _PIECE):
        stop = min(begin + _PIECE, end)
        first = begin + 1 - WINDOW
        hashes = GEAR[np.frombuffer(data, np.uint8, stop - first, first)]
        for step in (1, 2, 4, 8, 16):
            hashes[step:] = hashes[step:] + (hashes[:-step] << np.uint32(step))
        hits = np.flatnonzero(hashes[WINDOW - 1 :] >> np.uint32(32 - bits) == 0)
        if len(hits):
            return begin + 1 + int(hits[0])
    return -1
