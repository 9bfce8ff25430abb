"""One piece of a file, and one tensor in it: what the formats give, ingest encodes and readers ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SEGMENT_BYTES = 8 << 20  # the longest segment: a multiple of 2^18 numbers of any width, the blocks of encoding 3


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes [offset, offset + length) of a file. `layout`: what they are, as encoding 3 has it (docs/format.md).

    0: no numbers; 1: single bytes that are numbers; 2, 4, 8: floating point of that many bytes. `start`: where the
    tensor begins of which this is a part. `base`: the BLAKE3 of a segment it may become a difference from.
    """

    offset: int
    length: int
    layout: int = 0
    start: int = 0
    base: bytes | None = None


@dataclass(frozen=True, slots=True)
class Tensor:
    """Bytes [offset, offset + length) of the file `path`: numbers of type `dtype` (safetensors' names) and `shape`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: str
    offset: int
    length: int


def slices(offset: int, length: int, layout: int = 0) -> Iterator[Cut]:
    """A range as cuts of at most SEGMENT_BYTES; an empty range gives none."""
    for start in range(offset, offset + length, SEGMENT_BYTES):
        yield Cut(start, min(SEGMENT_BYTES, offset + length - start), layout, offset)
