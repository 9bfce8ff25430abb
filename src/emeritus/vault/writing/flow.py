"""A folder's files as segments: read once, hashed, encoded and proven by several threads, given back in order.

Each file is hashed whole, in order, while its segments are encoded; reading, hashing and encoding let go of the
interpreter's lock. Memory: a few buffers of a segment's length, used again and again: whoever takes an encoding
says when its buffer is free. Knows no packs.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from io import FileIO
from queue import SimpleQueue

from emeritus.errors import InputError
from emeritus.vault.formats.cut import SEGMENT_BYTES, Cut
from emeritus.vault.hashing import Hasher, Sha256
from emeritus.vault.packs.pack import Encoded
from emeritus.vault.pages import pages
from emeritus.vault.workers import THREADS
from emeritus.vault.writing.source import SourceFile

_ROOM = 64  # bytes by which an encoding may be longer than what it encodes, before it gives way to raw
AHEAD = 2 * THREADS + 2  # segments under way at once
ROOMS = AHEAD + 3  # encodings: as many, and those that are being kept
Encode = Callable[[memoryview, Cut, memoryview], Encoded]  # a segment's bytes, what they are, room for what they become


@dataclass(frozen=True, slots=True)
class Piece:
    """The next segment of a file. What `encoded` holds may lie in a buffer, which `done`, called once, gives back."""

    file: SourceFile
    encoded: Encoded
    done: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Whole:
    """A file whose last segment was given before, and the sha256 (hex) of its bytes as they were read."""

    file: SourceFile
    sha256: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    file: SourceFile
    encoded: Future[Encoded]
    hashed: Future[None]
    buffer: memoryview
    room: memoryview


@dataclass(frozen=True, slots=True)
class _End:
    file: SourceFile
    digest: Sha256


def flow(plan: Sequence[tuple[SourceFile, Sequence[Cut]]], encode: Encode, hasher: Hasher) -> Iterator[Piece | Whole]:
    """Every segment of every file, in order, each file followed by its Whole. `encode` runs in several threads.

    Raises InputError when a file is not the one that was planned, or changed before the last was read; and whatever
    `encode` raises.
    """
    free = [pages(SEGMENT_BYTES) for _ in range(AHEAD)]
    rooms: SimpleQueue[memoryview] = SimpleQueue()  # those are given back by other threads
    for _ in range(ROOMS):
        rooms.put(pages(SEGMENT_BYTES + _ROOM))
    waiting: deque[_Waiting | _End] = deque()
    seen: list[tuple[SourceFile, os.stat_result]] = []
    try:
        for file, cuts in plan:
            digest = Sha256()
            with _opened(file) as opened:
                seen.append((file, os.fstat(opened.fileno())))
                for cut in cuts:
                    while waiting and (not free or rooms.empty()):
                        yield from _next(waiting, free, rooms)
                    if rooms.empty():
                        hasher.hurry()
                    whole, room = free.pop(), rooms.get()
                    data = whole[: cut.length]
                    _fill(opened.fileno(), data, cut.offset, file)
                    hashed = hasher.soon(digest, data)
                    encoded = hasher.workers.submit(encode, data, cut, room)
                    waiting.append(_Waiting(file, encoded, hashed, whole, room))
            waiting.append(_End(file, digest))
        while waiting:
            yield from _next(waiting, free, rooms)
    finally:
        for each in waiting:
            if isinstance(each, _Waiting):
                each.encoded.cancel()
    for file, before in seen:
        _require_unchanged(file, before)


def _opened(file: SourceFile) -> FileIO:
    try:
        return FileIO(file.real)
    except FileNotFoundError as error:
        raise changed(file) from error


def _next(
    waiting: deque[_Waiting | _End], free: list[memoryview], rooms: SimpleQueue[memoryview]
) -> Iterator[Piece | Whole]:
    """The first of those waiting, once it is done."""
    first = waiting.popleft()
    if isinstance(first, _End):
        yield Whole(first.file, first.digest.hexdigest())
        return
    yield Piece(first.file, first.encoded.result(), partial(rooms.put, first.room))
    first.hashed.result()
    free.append(first.buffer)


def _fill(fd: int, out: memoryview, offset: int, file: SourceFile) -> None:
    """By read, not by mmap: a file cut short under a mapping kills the process."""
    filled = 0
    while filled < len(out):
        count = os.preadv(fd, [out[filled:]], offset + filled)
        if not count:
            raise changed(file)
        filled += count


def _require_unchanged(file: SourceFile, before: os.stat_result) -> None:
    try:
        after = os.stat(file.real)
    except OSError as error:
        raise changed(file) from error
    same = (before.st_ino, before.st_size, before.st_mtime_ns) == (after.st_ino, after.st_size, after.st_mtime_ns)
    if not same or before.st_size != file.size:
        raise changed(file)


def changed(file: SourceFile) -> InputError:
    """The error for a source that does not hold still."""
    return InputError(
        f"{file.path} changed while it was being preserved",
        remedy="Wait until nothing writes to the folder and run the command again; what is stored already is reused.",
    )
