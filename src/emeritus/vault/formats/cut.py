"""One piece of a file: what the formats give and ingest encodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SEGMENT_BYTES = 8 << 20  # the longest segment; a multiple of every number's width


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes [offset, offset + length) of a file, holding numbers of `width` bytes (0: not numbers)."""

    offset: int
    length: int
    width: int = 0


def slices(offset: int, length: int, width: int = 0) -> Iterator[Cut]:
    """A range as cuts of at most SEGMENT_BYTES; an empty range gives none."""
    for start in range(offset, offset + length, SEGMENT_BYTES):
        yield Cut(start, min(SEGMENT_BYTES, offset + length - start), width)
