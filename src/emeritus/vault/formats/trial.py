"""What bytes look like when nothing says what they are: the layout under which a sample of them takes least."""

from __future__ import annotations

from typing import BinaryIO

from emeritus.vault.codec import numbers

SAMPLE = 64 << 10  # bytes
WORTH = 0.95  # of the sample, to be taken for numbers


def layout_of(file: BinaryIO, offset: int, length: int) -> int:
    """The layout (docs/format.md) of numbers that begin at `offset`, or 0 where no layout saves a twentieth."""
    count = min(SAMPLE, length) // 8 * 8
    if not count:
        return 0
    file.seek(offset + (length - count) // 2 // 8 * 8)
    sample = file.read(count)
    if len(sample) != count:
        return 0
    sizes = {layout: len(numbers.encode(sample, layout)) for layout in numbers.LAYOUTS}
    best = min(sizes, key=lambda layout: (sizes[layout], -layout))
    return best if sizes[best] < WORTH * count and length % best == 0 else 0
