"""Segments out of packs, decoded and verified into the caller's memory: in few large reads, by several threads.

Segments that lie side by side in a pack are read at once, and the store is told what comes next. What cannot be read
where it was expected is looked for everywhere, as `SegmentIndex.read` does. Knows no files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from emeritus.errors import IntegrityError, NotFound, UnknownFormat
from emeritus.vault.formats.cut import SEGMENT_BYTES
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import Entry, open_into, pack_key
from emeritus.vault.workers import THREADS

GAP = 64 << 10  # bytes read in vain rather than read twice
Segment = tuple[str, int]  # BLAKE3 hex and decoded length in bytes, as a manifest has it


@dataclass(frozen=True, slots=True)
class Run:
    """Segments that are read together, in order; `places` are theirs in the pack `key`, or none where none is known.

    `length` counts decoded bytes: at most SEGMENT_BYTES, or one longer segment.
    """

    segments: tuple[Segment, ...]
    length: int
    key: str
    places: tuple[Entry, ...]

    @property
    def start(self) -> int:
        """Where its bytes begin in the pack."""
        return self.places[0].offset

    @property
    def stored(self) -> int:
        """How many bytes of the pack it takes to read it."""
        return self.places[-1].offset + self.places[-1].stored - self.start


class Fetcher:
    """Threads that fetch runs. A context: on leaving, what has not begun is given up."""

    def __init__(self, index: SegmentIndex, threads: int = THREADS) -> None:
        self._index = index
        self._store = index.store
        self.threads = max(threads, self._store.readers)
        self.ahead = 2 * self.threads + 2  # runs worth having under way at once
        self._pool = ThreadPoolExecutor(self.threads)
        self._own = threading.local()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def runs(self, segments: Iterable[Segment]) -> Iterator[Run]:
        """These segments, in this order, as runs."""
        taken: list[Segment] = []
        places: list[Entry] = []
        key, length = "", 0
        for segment in segments:
            here, place = self._place(segment)
            joins = bool(taken and place and places) and here == key and length + segment[1] <= SEGMENT_BYTES
            if joins and place and not 0 <= place.offset - (places[-1].offset + places[-1].stored) <= GAP:
                joins = False
            if taken and not joins:
                yield Run(tuple(taken), length, key, tuple(places))
                taken, places, length = [], [], 0
            key = here
            taken.append(segment)
            places += [place] if place else []
            length += segment[1]
        if taken:
            yield Run(tuple(taken), length, key, tuple(places))

    def fetch(self, run: Run, outs: Sequence[memoryview]) -> Future[None]:
        """Decode each segment of the run into the buffer at its place, of its length.

        The future raises what `SegmentIndex.read` does; the buffers then hold anything.
        """
        if run.places:
            self._store.prefetch(run.key, run.start, run.stored)
        return self._pool.submit(self._fetch, run, outs)

    def part(self, segment: Segment, start: int, out: memoryview) -> Future[None]:
        """Fill `out` with bytes of the segment from `start` on: all of it is decoded and verified for that."""
        return self._pool.submit(self._part, segment, start, out)

    def pour(self, source: Run | tuple[Segment, int], length: int, put: Callable[[memoryview], object]) -> Future[None]:
        """Decode a run, or `length` bytes of a segment from a place on, and give them to `put`, in that thread.

        The bytes are `put`'s until it returns.
        """
        if isinstance(source, Run) and source.places:
            self._store.prefetch(source.key, source.start, source.stored)
        return self._pool.submit(self._pour, source, length, put)

    def _pour(self, source: Run | tuple[Segment, int], length: int, put: Callable[[memoryview], object]) -> None:
        out = self._room("decoded", length)
        if isinstance(source, Run):
            self._fetch(source, split(out, source.segments))
        else:
            self._part(*source, out)
        put(out)

    def _part(self, segment: Segment, start: int, out: memoryview) -> None:
        data = memoryview(self._index.read(bytes.fromhex(segment[0])))
        out[:] = data[start : start + len(out)]

    def _place(self, segment: Segment) -> tuple[str, Entry | None]:
        """One place of the segment, best one where it stands alone."""
        places = self._index.places(bytes.fromhex(segment[0]))
        if not places:
            return "", None
        name, entry = next((place for place in places if place[1].base is None), places[0])
        return pack_key(name), entry

    def _fetch(self, run: Run, outs: Sequence[memoryview]) -> None:
        found = self._read(run)
        for number, (digest, _) in enumerate(run.segments):
            if found is None or not self._open(run, number, found, outs[number]):
                self._index.read_into(bytes.fromhex(digest), outs[number])

    def _read(self, run: Run) -> memoryview | None:
        """The run's stored bytes, in memory of this thread; None where they cannot be had."""
        if not run.places:
            return None
        found = self._room("stored", run.stored)
        try:
            self._store.read_into(run.key, run.start, found)
        except (IntegrityError, NotFound):
            return None
        return found

    def _room(self, what: str, length: int) -> memoryview:
        """Memory of this thread's, the same one for the same purpose."""
        room: bytearray = getattr(self._own, what, bytearray())
        if len(room) < length:
            room = bytearray(max(length, SEGMENT_BYTES))
            setattr(self._own, what, room)
        return memoryview(room)[:length]

    def _open(self, run: Run, number: int, found: memoryview, out: memoryview) -> bool:
        """Whether that segment of the run could be decoded and is what its name says."""
        entry = run.places[number]
        begin = entry.offset - run.start
        try:
            base = None if entry.base is None else self._index.near_base(entry.base)
            open_into(entry, found[begin : begin + entry.stored], out, run.key, base, self._index.keys)
        except (IntegrityError, UnknownFormat):
            return False
        return True


def split(out: memoryview, segments: Sequence[Segment]) -> list[memoryview]:
    """A buffer cut into consecutive pieces, one for each segment."""
    pieces, at = [], 0
    for _, length in segments:
        pieces.append(out[at : at + length])
        at += length
    return pieces
