"""Files compared with what a manifest lists, every byte: by sha256, or by the segments' BLAKE3, several at once.

Knows no vault and no cache.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from emeritus.preservation.keeper import KeptFile
from emeritus.vault.workers import THREADS

PIECE = 512 << 10  # bytes read at once: they are hashed while they lie in the processor's cache
STRETCH = 32 << 20  # bytes a thread takes at a time


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Consecutive segments of one file, from `start` on."""

    path: str
    start: int
    segments: tuple[tuple[str, int], ...]


def differences(folder: Path, files: Sequence[KeptFile]) -> list[str]:
    """One line for each file that is missing, additional, or not the kept bytes by size and sha256."""
    wrong, present = _listed(folder, files)
    with ThreadPoolExecutor() as threads:  # hashing releases the interpreter's lock
        digests = threads.map(lambda file: _sha256(folder / file.path), present)
        return wrong + [
            f"{file.path}: its bytes differ"
            for file, digest in zip(present, digests, strict=True)
            if digest != (file.size, file.sha256)
        ]


def segments_differ(folder: Path, files: Sequence[KeptFile], ignoring: Collection[str] = ()) -> list[str]:
    """The same by the BLAKE3 of each segment, which is as strong, and faster by the number of processors and more.

    A file whose segments are not known is compared by sha256. `ignoring`: paths that may be there or not.
    """
    wrong, present = _listed(folder, files, ignoring)
    whole = [file for file in present if file.size and not file.segments]
    bad = {file.path for file in present if not _has_size(folder / file.path, file.size)}
    pieces = [each for file in present if file.segments and file.path not in bad for each in _stretches(file)]
    own = threading.local()

    def differs(stretch: _Stretch) -> bool:
        room: bytearray = getattr(own, "room", bytearray())
        if not room:
            room = own.room = bytearray(PIECE)
        return not _sound(folder / stretch.path, stretch, memoryview(room))

    with ThreadPoolExecutor(THREADS) as threads:
        found = threads.map(differs, pieces)
        digests = threads.map(lambda file: _sha256(folder / file.path), whole)
        bad |= {stretch.path for stretch, changed in zip(pieces, found, strict=True) if changed}
        bad |= {file.path for file, digest in zip(whole, digests, strict=True) if digest != (file.size, file.sha256)}
    return wrong + [f"{path}: its bytes differ" for path in sorted(bad)]


def _listed(
    folder: Path, files: Sequence[KeptFile], ignoring: Collection[str] = ()
) -> tuple[list[str], list[KeptFile]]:
    """What is missing or too much, and the files that are there."""
    wanted = {kept.path: kept for kept in files}
    present = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    } - set(ignoring)
    wrong = [f"{path}: not in the manifest" for path in sorted(present - wanted.keys())]
    wrong += [f"{path}: missing" for path in sorted(wanted.keys() - present)]
    return wrong, [wanted[path] for path in sorted(present & wanted.keys())]


def _has_size(path: Path, size: int) -> bool:
    """Whether a plain file of that size is there; what a link shows can change behind the check."""
    return not path.is_symlink() and path.is_file() and path.stat().st_size == size


def _stretches(file: KeptFile) -> Iterator[_Stretch]:
    """A file's segments, in parts for several threads."""
    taken: list[tuple[str, int]] = []
    start = length = 0
    for segment in file.segments:
        taken.append(segment)
        length += segment[1]
        if length >= STRETCH:
            yield _Stretch(file.path, start, tuple(taken))
            start, length, taken = start + length, 0, []
    if taken:
        yield _Stretch(file.path, start, tuple(taken))


def _sound(path: Path, stretch: _Stretch, room: memoryview) -> bool:
    """Whether each segment's bytes are those that its name says."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        at = stretch.start
        for digest, length in stretch.segments:
            found, end = blake3(), at + length
            while at < end:
                read = os.preadv(descriptor, [room[: min(PIECE, end - at)]], at)
                if read == 0:
                    return False
                found.update(room[:read])
                at += read
            if found.hexdigest() != digest:
                return False
        return True
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> tuple[int, str]:
    if path.is_symlink() or not path.is_file():
        return -1, ""  # what a link shows can change behind the check
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
