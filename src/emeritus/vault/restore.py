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
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from emeritus.blobs.disk import Disk
from emeritus.errors import DestinationNotEmpty, IntegrityError, StoreError, StoreFull, StoreUnavailable
from emeritus.vault.index import SegmentIndex
from emeritus.vault.manifest import FileEntry, Manifest
from emeritus.vault.progress import Progress, silent
from emeritus.vault.workers import THREADS

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def restore(index: SegmentIndex, manifest: Manifest, dest: Path, disk: Disk, progress: Progress | None = None) -> None:
    """Write the resident's files to `dest`, which must be absent or an empty folder.

    Raises DestinationNotEmpty, StoreFull (nothing is left behind), IntegrityError naming segment, pack or file.
    """
    dest = Path(os.path.abspath(dest))
    _require_empty(dest)
    report = progress or silent
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with _workshop(dest) as folder:
            done = 0
            index.load(manifest.packs)
            with ThreadPoolExecutor(THREADS) as pool:
                for file in manifest.files:
                    for count in _write(file, folder, segments(index, file, pool), disk):
                        done += count
                        report(file.path, done, manifest.total_bytes)
            _make_durable(folder, manifest, disk)
            _require_empty(dest)
            disk.replace(folder, dest)  # takes the place of an empty folder, and of no other
            disk.fsync_folder(dest.parent)
    except OSError as error:
        raise _translated(error, dest) from error


def segments(index: SegmentIndex, file: FileEntry, pool: ThreadPoolExecutor) -> Iterator[bytes]:
    """The file's segments in order, verified, a few read ahead."""
    waiting: deque[Future[bytes]] = deque()
    try:
        for digest, _ in file.segments:
            waiting.append(pool.submit(index.read, bytes.fromhex(digest)))
            if len(waiting) >= 2 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def read_file(index: SegmentIndex, manifest: Manifest, file: FileEntry) -> bytes:
    """One file's bytes, verified. Raises IntegrityError."""
    index.load(manifest.packs)
    with ThreadPoolExecutor(THREADS) as pool:
        data = b"".join(segments(index, file, pool))
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise _wrong(file)
    return data


def _write(file: FileEntry, folder: Path, pieces: Iterator[bytes], disk: Disk) -> Iterator[int]:
    """Write one file durably, giving the bytes written as they are."""
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    fd = disk.create(path)
    try:
        for piece in pieces:
            digest.update(piece)
            disk.write(fd, memoryview(piece))
            yield len(piece)
        if file.executable:
            mode = os.fstat(fd).st_mode
            os.fchmod(fd, mode | (mode & 0o444) >> 2)  # for whom it is readable
        disk.fsync(fd)
    finally:
        os.close(fd)
    if digest.hexdigest() != file.sha256:
        raise _wrong(file)


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
            if folder.exists() and os.path.samestat(os.fstat(fd), folder.stat()):
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
