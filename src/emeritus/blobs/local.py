"""A folder on a local disk as a store: our own writer, because object-store clients do not fsync local files.

Every write goes to a temporary file on the same file system, is fsynced, gets its name by one rename or link, and the
folder is fsynced before the call returns. Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from emeritus.blobs.disk import Disk
from emeritus.blobs.keys import check_key, is_segment
from emeritus.errors import BadName, IntegrityError, NotFound, StoreError, StoreFull, StoreUnavailable

TEMP = "~tmp"  # '~' is in no key, so neither name can clash with one
LOCK = "~lock"
COPY_BYTES = 1 << 20
_NEW = "a new object"  # in an error's words, where its key is not known yet
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class LocalStore:
    """BlobStore in the folder `root`, which the first write makes. Safe in threads and beside other processes.

    Versions are the sha256 of the bytes: exact on every file system, at the price of a read; meant for small objects.
    """

    readers = 2

    def __init__(self, root: Path | str, disk: Disk | None = None) -> None:
        self.root = Path(os.path.abspath(root))
        self.url = str(self.root)
        self._disk = disk or Disk()
        self._durable_folders: set[Path] = set()  # whose own name this process has fsynced
        self._swept = False

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Store `data` under `key`, replacing what is there."""
        target = self._path(key)
        with self._reporting(key), self._staged([data]) as temp:
            self._replace(temp, target)

    def put_if_absent(self, key: str, data: bytes | memoryview) -> bool:
        """Store `data` unless `key` exists; False when it does."""
        target = self._path(key)
        with self._reporting(key):
            if target.is_file():  # saves staging bytes that nobody wants; the link below decides
                return self._confirm_existing(target)
            with self._staged([data]) as temp:
                return self._link(temp, target)

    def put_if_match(self, key: str, data: bytes | memoryview, version: str | None) -> str | None:
        """Replace `key` only while its version is `version` (None: only while absent); the new version, or None."""
        new = hashlib.sha256(data).hexdigest()
        if version is None:
            return new if self.put_if_absent(key, data) else None
        target = self._path(key)
        with self._reporting(key), self._staged([data]) as temp:
            self._folder(target.parent)
            with self._lock():
                if self.version(key) != version:
                    return None
                self._disk.replace(temp, target)
            self._disk.fsync_folder(target.parent)
        return new

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's bytes; the file is gone afterwards."""
        target = self._path(key)
        with self._reporting(key), self._staged(_chunks(path)) as temp:
            self._replace(temp, target)
            path.unlink(missing_ok=True)

    def stage(self) -> _StagedFile:
        """Begin an object that is written piece by piece, and named afterwards."""
        return _StagedFile(self, self._disk)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of `key`, or `length` of them from `start`."""
        with self._reporting(key), _reading(key), self._opened(key) as fd:
            size = os.fstat(fd).st_size
            wanted = size - start if length is None else length
            if start < 0 or wanted < 0 or start + wanted > size:
                raise _short(key, start, wanted, size)
            found = os.pread(fd, wanted, start)  # all of it, but for a signal or a range beyond 2 GiB
            if len(found) < wanted:
                whole = bytearray(wanted)
                _fill(fd, memoryview(whole), key, start)
                found = bytes(whole)
            return found

    def read_into(self, key: str, start: int, out: memoryview) -> None:
        """Fill `out` with the bytes of `key` from `start` on."""
        with self._reporting(key), _reading(key), self._opened(key) as fd:
            if start < 0:
                raise _short(key, start, len(out), os.fstat(fd).st_size)
            _fill(fd, out, key, start)

    def prefetch(self, key: str, start: int, length: int) -> None:
        """Let the system begin to read this range into its cache."""
        with contextlib.suppress(NotFound, OSError), self._opened(key) as fd:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(fd, start, length, os.POSIX_FADV_WILLNEED)

    def version(self, key: str) -> str | None:
        """sha256 of the bytes of `key`; None when there is none."""
        try:
            with self._reporting(key), _reading(key), self._opened(key) as fd, os.fdopen(os.dup(fd), "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except NotFound:
            return None

    def size(self, key: str) -> int | None:
        """Length in bytes; None when `key` does not exist."""
        try:
            with self._reporting(key), self._opened(key) as fd:
                return os.fstat(fd).st_size
        except NotFound:
            return None

    def list(self, prefix: str = "") -> Iterator[str]:
        """All keys that begin with `prefix`, sorted."""
        above = prefix[: prefix.rfind("/") + 1]  # begin there: beside it may lie ten thousand other folders
        if all(map(is_segment, above.split("/")[:-1])):
            yield from self._walk(self.root / above, above, prefix)

    def delete(self, key: str) -> None:
        """Remove `key`; no error when it is gone already."""
        target = self._path(key)
        with self._reporting(key):
            if not target.is_file():
                return
            with self._lock():
                self._disk.unlink(target)
            self._disk.fsync_folder(target.parent)

    # -- how -------------------------------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[int]:
        path = self._path(key)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"no object {key!r} in {self.url}", key=key) from error
        try:
            if not os.path.isfile(path):  # a folder of keys is not a key
                raise NotFound(f"no object {key!r} in {self.url}", key=key)
            yield fd
        finally:
            os.close(fd)

    def _replace(self, temp: Path, target: Path) -> None:
        """Give a temporary file this name, whoever has it."""
        self._folder(target.parent)
        with self._lock():
            self._disk.replace(temp, target)
        self._disk.fsync_folder(target.parent)

    def _link(self, temp: Path, target: Path) -> bool:
        """Give a temporary file this name too, unless it is taken."""
        self._folder(target.parent)
        try:
            self._disk.link(temp, target)
        except FileExistsError:
            return self._confirm_existing(target)
        self._disk.fsync_folder(target.parent)
        return True

    @contextlib.contextmanager
    def _staged(self, pieces: Iterable[bytes | memoryview]) -> Iterator[Path]:
        """A temporary file holding the bytes, fsynced; it is gone afterwards, whatever happens."""
        temp, fd = self._begin()
        try:
            try:
                for piece in pieces:
                    self._disk.write(fd, memoryview(piece).cast("B"))
                self._disk.fsync(fd)
                yield temp
            finally:
                os.close(fd)
        finally:
            self._disk.unlink(temp)

    def _begin(self) -> tuple[Path, int]:
        """A new temporary file."""
        folder = self.root / TEMP
        self._folder(folder)
        self._sweep(folder)
        return self._claim(folder)

    def _claim(self, folder: Path) -> tuple[Path, int]:
        """A new temporary file, locked while its writer lives, so that a sweep can tell it from a dead writer's."""
        while True:
            temp = folder / secrets.token_hex(12)
            fd = self._disk.create(temp)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return temp, fd
            os.close(fd)  # swept between its making and its lock: take another

    def _sweep(self, folder: Path) -> None:
        """Remove what killed writers left behind, once per process."""
        if self._swept:
            return
        self._swept = True
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):  # a living writer holds its lock, or has finished meanwhile
                fd = os.open(folder / name, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._disk.unlink(folder / name)
                finally:
                    os.close(fd)

    def _folder(self, path: Path) -> None:
        """Make a folder and see to it that its name, and its parents' up to the root, survive a power cut."""
        if path in self._durable_folders:
            return
        if path != self.root:
            self._folder(path.parent)
            self._disk.mkdir(path)
        else:
            path.mkdir(parents=True, exist_ok=True)
        self._disk.fsync_folder(
            path.parent
        )  # also when another process made it: that one may not have come to its fsync
        self._durable_folders.add(path)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One change of names at a time, over threads and processes."""
        fd = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _confirm_existing(self, target: Path) -> bool:
        """False, once what another writer named is durable: the caller will rely on it."""
        self._disk.fsync_folder(target.parent)
        return False

    def _walk(self, folder: Path, above: str, prefix: str) -> Iterator[str]:
        try:
            with os.scandir(folder) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _translated(error, above or self.url) from error
        for name in sorted(f"{name}/" if is_folder else name for name, is_folder in found):
            key = above + name
            if not is_segment(name.rstrip("/")):  # ours (TEMP, LOCK), or a stranger's file
                continue
            if name.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    yield from self._walk(folder / name, key, prefix)
            elif key.startswith(prefix):
                yield key

    @contextlib.contextmanager
    def _reporting(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _translated(error, f"{key} in {self.url}") from error


class _StagedFile:
    """See base.Staged: a temporary file on the store's own disk."""

    def __init__(self, store: LocalStore, disk: Disk) -> None:
        self._store, self._disk = store, disk
        with store._reporting(_NEW):
            self._temp, self._fd = store._begin()

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`."""
        with self._store._reporting(_NEW):
            self._disk.write(self._fd, memoryview(data).cast("B"))

    def put(self, key: str) -> None:
        """Store all that was written under `key`, replacing what is there."""
        target = self._store._path(key)
        with self._store._reporting(key):
            self._disk.fsync(self._fd)
            self._store._replace(self._temp, target)

    def put_if_absent(self, key: str) -> bool:
        """Store all that was written unless `key` exists; False when it does."""
        target = self._store._path(key)
        with self._store._reporting(key):
            if target.is_file():  # saves an fsync of bytes that nobody wants; the link decides
                return self._store._confirm_existing(target)
            self._disk.fsync(self._fd)
            return self._store._link(self._temp, target)

    def close(self) -> None:
        """Remove the temporary file's own name."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            with self._store._reporting(_NEW):
                self._disk.unlink(self._temp)


@contextlib.contextmanager
def _reading(key: str) -> Iterator[None]:
    """A sector the disk cannot read is damage to this object, not a store that does not answer: repair can help."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise IntegrityError(f"{key}: the disk cannot read it", key=key) from error


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(COPY_BYTES):
            yield piece


def _fill(fd: int, out: memoryview, key: str, start: int) -> None:
    filled = 0
    while filled < len(out):
        count = os.preadv(fd, [out[filled:]], start + filled)
        if not count:
            raise _short(key, start, len(out), os.fstat(fd).st_size)
        filled += count


def _short(key: str, start: int, length: int, size: int) -> IntegrityError:
    return IntegrityError(
        f"{key} holds {size} bytes; {length} from offset {start} were asked for",
        key=key,
        size=size,
        start=start,
        length=length,
    )


def _translated(error: OSError, where: str) -> StoreError | BadName:
    """The system's error as ours."""
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return StoreFull(f"no room to write {where}: {reason}")
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        return BadName(f"{where} is a key and a folder of keys at once", remedy="Give the object another key.")
    return StoreUnavailable(f"cannot reach {where}: {reason}")
