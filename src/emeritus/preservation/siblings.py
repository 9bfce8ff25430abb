"""Segments of residents that are awake here, where their bytes lie: what a sibling's differences are decoded against.

So a fine-tune beside its base wakes by reading its differences alone. What is lent is not verified: whatever is decoded
against it is, by the segment's own digest, and read the long way when it is wrong. Nothing is held after the lender
has gone. Knows no vault and no engine.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from emeritus.engines.base import SharedWeights
from emeritus.preservation.keeper import KeptFile
from emeritus.vault.formats.cut import Tensor

Place = tuple[bytes, int, int]  # BLAKE3 of a segment, where it begins, bytes


class Bases:
    """What this process's awake residents lend. Safe in threads; one for each process and home."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[bytes, tuple[Lent, int, int]] = {}

    def lend(self, descriptor: int, places: Sequence[Place]) -> Lent:
        """Lend bytes behind a descriptor, which is taken over, until what is returned is closed or dropped."""
        lent = Lent(self, descriptor, [digest for digest, _, _ in places])
        with self._lock:
            for digest, start, length in places:
                self._places.setdefault(digest, (lent, start, length))
        return lent

    def find(self, blake3: bytes) -> bytes | None:
        """A segment's bytes as they lie there, unverified; None where nobody lends it."""
        with self._lock:
            lent, start, length = self._places.get(blake3, (None, 0, 0))
            if lent is None:
                return None
            descriptor = os.dup(lent.descriptor)
        try:
            found = os.pread(descriptor, length, start)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return found if len(found) == length else None

    def forget(self, lent: Lent, digests: Sequence[bytes]) -> None:
        """Lend these no longer."""
        with self._lock:
            for digest in digests:
                if digest in self._places and self._places[digest][0] is lent:
                    del self._places[digest]


class Lent:
    """What one resident lends, from one descriptor."""

    def __init__(self, bases: Bases, descriptor: int, digests: Sequence[bytes]) -> None:
        self._bases = bases
        self._digests = digests
        self.descriptor = descriptor

    def close(self) -> None:
        """Lend it no longer, and let go of it. Safe to repeat."""
        if self.descriptor >= 0:
            self._bases.forget(self, self._digests)
            os.close(self.descriptor)
        self.descriptor = -1


def lend_files(bases: Bases, folder: Path, files: Sequence[KeptFile]) -> Iterator[Lent]:
    """Lend the segments of restored files."""
    for file in files:
        starts = accumulate((length for _, length in file.segments), initial=0)
        places = [
            (bytes.fromhex(digest), start, length)
            for (digest, length), start in zip(file.segments, starts, strict=False)
        ]
        if places:
            yield bases.lend(os.open(folder / file.path, os.O_RDONLY | os.O_CLOEXEC), places)


def lend_memory(bases: Bases, shared: SharedWeights, tensors: Sequence[Tensor], files: Sequence[KeptFile]) -> Lent:
    """Lend the segments of tensors in memory; of a segment that is no part of one tensor there is nothing to lend."""
    at = {each.name: each.offset for each in shared.tensors}
    places: list[Place] = []
    for file in files:
        inside = sorted((each.offset, each.length, at[each.name]) for each in tensors if each.path == file.path)
        begins = [offset for offset, _, _ in inside]
        start = 0
        for digest, length in file.segments:
            number = bisect_right(begins, start) - 1
            if number >= 0 and start + length <= inside[number][0] + inside[number][1]:
                places.append((bytes.fromhex(digest), inside[number][2] + start - inside[number][0], length))
            start += length
    return bases.lend(os.dup(shared.descriptor), places)
