"""Giving a resident's files back, byte for byte: into a folder beside the destination, proven, then renamed into place.

Every segment is verified by BLAKE3 as it is read and every file by sha256 before the destination appears.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from emeritus.blobs.disk import Disk
from emeritus.errors import DestinationNotEmpty, IntegrityError, StoreError, StoreFull, StoreUnavailable
from emeritus.vault.formats.cut import SEGMENT_BYTES
from emeritus.vault.manifest import FileEntry, Manifest
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.pages import pages
from emeritus.vault.progress import Progress, silent
from emeritus.vault.reading.fetch import Fetcher, split

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def restore(index: SegmentIndex, manifest: Manifest, dest: Path, disk: Disk, progress: Progress | None = None) -> None:
    """Write the resident's files to `dest`, which must be absent or an empty folder.

    Raises DestinationNotEmpty, StoreFull (nothing is left behind), IntegrityError naming segment, pack or file.
    """
    report = progress or silent
    with into_place(dest, disk) as folder:
        done = 0
        index.load(manifest.packs)
        with Stream(index, manifest.files) as stream:
            for file in manifest.files:
                for count in _write(file, folder, stream, disk):
                    done += count
                    report(file.path, done, manifest.total_bytes)
        _make_durable(folder, manifest, disk)


@contextlib.contextmanager
def into_place(dest: Path, disk: Disk | None = None) -> Iterator[Path]:
    """A folder beside `dest` that takes its place when the block ends well, and goes when it does not.

    What is in it must be durable by then. Raises as `restore` does.
    """
    disk = disk or Disk()
    dest = Path(os.path.abspath(dest))
    _require_empty(dest)
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with _workshop(dest) as folder:
            yield folder
            _require_empty(dest)
            disk.replace(folder, dest)  # takes the place of an empty folder, and of no other
            disk.fsync_folder(dest.parent)
    except OSError as error:
        raise _translated(error, dest) from error


class Stream:
    """The bytes of files, one after another, verified by segment and by file, with the next ones being fetched.

    Memory: a few buffers of a segment's length, used again and again. A context; each file is taken once, in order.
    """

    def __init__(self, index: SegmentIndex, files: Sequence[FileEntry]) -> None:
        self._fetcher = Fetcher(index)
        self._hasher = ThreadPoolExecutor(1)
        self._coming = ((file, run) for file in files for run in self._fetcher.runs(file.segments))
        self._free = [pages(SEGMENT_BYTES) for _ in range(self._fetcher.ahead)]
        self._waiting: deque[tuple[FileEntry, memoryview, memoryview, Future[None]]] = deque()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None:
        self._fetcher.__exit__(None, None, None)
        self._hasher.shutdown(cancel_futures=True)

    def take(self, file: FileEntry) -> Iterator[memoryview]:
        """The file's bytes in pieces, each valid until the next is asked for. Raises IntegrityError."""
        digest = hashlib.sha256()
        while self._top_up() and self._waiting[0][0] is file:
            _, room, data, fetched = self._waiting.popleft()
            fetched.result()
            hashed = self._hasher.submit(digest.update, data)
            yield data
            hashed.result()
            self._free.append(room)
        if digest.hexdigest() != file.sha256:
            raise _wrong(file)

    def _top_up(self) -> bool:
        """Have the next runs fetched, as far as there is room; whether any is under way."""
        while self._free and (coming := next(self._coming, None)):
            file, run = coming
            room = self._free.pop()
            data = room[: run.length] if run.length <= len(room) else memoryview(bytearray(run.length))
            self._waiting.append((file, room, data, self._fetcher.fetch(run, split(data, run.segments))))
        return bool(self._waiting)


def read_file(index: SegmentIndex, manifest: Manifest, file: FileEntry) -> bytes:
    """One file's bytes, verified. Raises IntegrityError."""
    index.load(manifest.packs)
    with Stream(index, [file]) as stream:
        return b"".join(map(bytes, stream.take(file)))


def _write(file: FileEntry, folder: Path, stream: Stream, disk: Disk) -> Iterator[int]:
    """Write one file durably, giving the bytes written as they are."""
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = disk.create(path)
    try:
        for piece in stream.take(file):
            disk.write(fd, piece)
            yield len(piece)
        if file.executable:
            mode = os.fstat(fd).st_mode
            os.fchmod(fd, mode | (mode & 0o444) >> 2)  # for whom it is readable
        disk.fsync(fd)
    finally:
        os.close(fd)


def _make_durable(folder: Path, manifest: Manifest, disk: Disk) -> None:
    for path in manifest.folders:
        (folder / path).mkdir(parents=True, exist_ok=True)
    for current, _, _ in os.walk(folder, topdown=False):
        disk.fsync_folder(Path(current))


@contextlib.contextmanager
def _workshop(dest: Path) -> Iterator[Path]:
    """A folder beside `dest`, held by a lock; what a killed restore left in it is removed, and what fails."""
    folder = dest.parent / f".{dest.name}.restoring"
    while True:
        folder.mkdir(exist_ok=True)
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # as below
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), folder.stat()):
                    break
        except BlockingIOError:
            os.close(fd)
            raise DestinationNotEmpty(
                f"another restore to {dest} is running", remedy="Wait for it to end, or restore elsewhere."
            ) from None
        os.close(fd)  # it was renamed into place or removed between our opening and locking it
    try:
        for left in os.scandir(folder):
            shutil.rmtree(left.path) if left.is_dir(follow_symlinks=False) else os.unlink(left.path)
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(fd)


def _require_empty(dest: Path) -> None:
    if dest.is_symlink() or (dest.exists() and not dest.is_dir()) or (dest.is_dir() and any(dest.iterdir())):
        raise DestinationNotEmpty(f"{dest} exists and is not an empty folder")


def _wrong(file: FileEntry) -> IntegrityError:
    return IntegrityError(f"{file.path}: its segments do not give the sha256 its manifest states", path=file.path)


def _translated(error: OSError, dest: Path) -> StoreError:
    if error.errno in _NO_ROOM:
        return StoreFull(
            f"no room to restore to {dest}: {error.strerror}",
            remedy="Free space and restore again; nothing was left behind.",
        )
    if error.errno == errno.ENOTEMPTY:
        return DestinationNotEmpty(f"{dest} was filled while the restore ran")
    return StoreUnavailable(f"cannot write {dest}: {error.strerror or error}")
