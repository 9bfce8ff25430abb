"""Memory for many bytes at once: from the system, in large pages where it has them, and untouched until used."""

from __future__ import annotations

import contextlib
import mmap

import numpy as np


def pages(length: int) -> memoryview:
    """`length` zero bytes, writable. Given back to the system when nothing refers to them."""
    # private: shared memory, which is what mmap gives unasked, is a file in the system's eyes and has small pages
    room = mmap.mmap(-1, max(1, length), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError, AttributeError):  # where there are none, small ones serve
        room.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(room)[:length]


def copy(data: bytes | bytearray | memoryview, out: memoryview) -> None:
    """Fill `out` with as many bytes. Other threads run meanwhile, which they do not while a view is assigned to."""
    np.copyto(np.frombuffer(out, np.uint8), np.frombuffer(data, np.uint8))
