"""Stores and disks that fail on purpose: one that fills up, one that crashes, one that replays a power cut.

They are whole working stores otherwise. Know no vault and no ledger: whoever keeps bytes can be tested with them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from emeritus.blobs.base import BlobStore
from emeritus.blobs.disk import Disk
from emeritus.blobs.staged import StagedBytes

T = TypeVar("T")


class Crash(BaseException):
    """The process ended here. Not an Exception, so that no handler of ordinary errors can survive it."""


class FullDisk(Disk):
    """A disk with room for `room` more bytes; then every write fails with ENOSPC, after a part of it was written."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, fd: int, data: memoryview) -> None:
        """As far as there is room."""
        super().write(fd, data[: self.room])
        if len(data) > self.room:
            self.room = 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)


class FaultyStore:
    """A store whose `fail_at`-th call (counted from 1) raises `fault`, before or after it has taken effect.

    `calls` counts on; with `fail_at` 0 nothing fails, which is how a test learns how many calls there are.
    """

    def __init__(
        self,
        inner: BlobStore,
        fail_at: int = 0,
        fault: Callable[[], BaseException] = Crash,
        when: Literal["before", "after"] = "before",
    ) -> None:
        self.inner = inner
        self.url = inner.url
        self.readers = inner.readers
        self.calls = 0
        self._fail_at = fail_at
        self._fault = fault
        self._when = when

    def put(self, key: str, data: bytes | memoryview) -> None:
        """See BlobStore."""
        self._do(lambda: self.inner.put(key, data))

    def put_if_absent(self, key: str, data: bytes | memoryview) -> bool:
        """See BlobStore."""
        return self._do(lambda: self.inner.put_if_absent(key, data))

    def put_if_match(self, key: str, data: bytes | memoryview, version: str | None) -> str | None:
        """See BlobStore."""
        return self._do(lambda: self.inner.put_if_match(key, data, version))

    def stage(self) -> StagedBytes:
        """See BlobStore; its puts are this store's."""
        return StagedBytes(self)

    def put_file(self, key: str, path: Path) -> None:
        """See BlobStore."""
        self._do(lambda: self.inner.put_file(key, path))

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See BlobStore."""
        return self._do(lambda: self.inner.get(key, start, length))

    def read_into(self, key: str, start: int, out: memoryview) -> None:
        """See BlobStore."""
        self._do(lambda: self.inner.read_into(key, start, out))

    def prefetch(self, key: str, start: int, length: int) -> None:
        """See BlobStore. A hint is no call: it can neither fail nor change anything."""
        self.inner.prefetch(key, start, length)

    def version(self, key: str) -> str | None:
        """See BlobStore."""
        return self._do(lambda: self.inner.version(key))

    def size(self, key: str) -> int | None:
        """See BlobStore."""
        return self._do(lambda: self.inner.size(key))

    def list(self, prefix: str = "") -> Iterator[str]:
        """See BlobStore."""
        return self._do(lambda: self.inner.list(prefix))

    def delete(self, key: str) -> None:
        """See BlobStore."""
        self._do(lambda: self.inner.delete(key))

    def _do(self, call: Callable[[], T]) -> T:
        self.calls += 1
        failing = self.calls == self._fail_at
        if failing and self._when == "before":
            raise self._fault()
        try:
            return call()
        finally:
            if failing:  # "after": whatever came of it, the caller does not learn it
                raise self._fault()


@dataclass(frozen=True, slots=True)
class Operation:
    """One call to the disk. `inode` numbers files in the order of their making; `other` is the second path of two."""

    what: Literal["create", "write", "fsync", "fsync_folder", "mkdir", "replace", "link", "unlink"]
    path: str = ""
    other: str = ""
    inode: int = 0
    data: bytes = b""


class RecordingDisk(Disk):
    """A real disk that writes down every operation, so that `survivors` can show any power cut afterwards."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.operations: list[Operation] = []
        self._inodes: dict[int, int] = {}
        self._named: dict[str, int] = {}
        self._made = 0

    def create(self, path: Path) -> int:
        """Record and do."""
        fd = super().create(path)
        self._made += 1
        self._inodes[fd] = self._named[self._name(path)] = self._made
        self._note(Operation("create", self._name(path), inode=self._made))
        return fd

    def append(self, path: Path) -> int:
        """Do, and know the file again by its name."""
        fd = super().append(path)
        self._inodes[fd] = self._named[self._name(path)]
        return fd

    def write(self, fd: int, data: memoryview) -> None:
        """Record and do."""
        self._note(Operation("write", inode=self._inodes[fd], data=bytes(data)))
        super().write(fd, data)

    def fsync(self, fd: int) -> None:
        """Record and do."""
        super().fsync(fd)
        self._note(Operation("fsync", inode=self._inodes[fd]))

    def fsync_folder(self, path: Path) -> None:
        """Record and do."""
        super().fsync_folder(path)
        if path == self.root or self.root in path.parents:
            self._note(Operation("fsync_folder", self._name(path)))

    def mkdir(self, path: Path) -> None:
        """Record and do."""
        super().mkdir(path)
        self._note(Operation("mkdir", self._name(path)))

    def replace(self, old: Path, new: Path) -> None:
        """Record and do."""
        super().replace(old, new)
        self._named[self._name(new)] = self._named[self._name(old)]
        self._note(Operation("replace", self._name(old), self._name(new)))

    def link(self, old: Path, new: Path) -> None:
        """Record and do."""
        super().link(old, new)
        self._named[self._name(new)] = self._named[self._name(old)]
        self._note(Operation("link", self._name(old), self._name(new)))

    def unlink(self, path: Path) -> None:
        """Record and do."""
        super().unlink(path)
        self._note(Operation("unlink", self._name(path)))

    def _note(self, operation: Operation) -> None:
        self.operations.append(operation)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


@dataclass(slots=True)
class _Folder:
    """A folder's names as running programs see them and as the platter has them: a file's inode, or a folder."""

    now: dict[str, int | _Folder] = field(default_factory=dict)
    kept: dict[str, int | _Folder] = field(default_factory=dict)


def survivors(operations: list[Operation], keep: Literal["names", "nothing"]) -> tuple[dict[str, bytes], list[str]]:
    """What a power cut after these operations may leave: (path -> bytes, folders).

    File contents survive only as far as they were fsynced. With keep="nothing" names survive only if their folder was
    fsynced after; with "names" all of them do, which is how a rename can outlive the bytes it was to publish.
    """
    root = _Folder()
    content: dict[int, bytes] = {}
    durable: dict[int, bytes] = {}
    for op in operations:
        if op.what == "create":
            _parent(root, op.path).now[_leaf(op.path)] = op.inode
            content[op.inode] = durable[op.inode] = b""
        elif op.what == "write":
            content[op.inode] += op.data
        elif op.what == "fsync":
            durable[op.inode] = content[op.inode]
        elif op.what == "fsync_folder":
            folder = _find(root, op.path)
            folder.kept = dict(folder.now)
        elif op.what == "mkdir":
            _parent(root, op.path).now.setdefault(_leaf(op.path), _Folder())
        elif op.what == "unlink":
            _parent(root, op.path).now.pop(_leaf(op.path), None)
        else:
            moved = _parent(root, op.path).now[_leaf(op.path)]
            if op.what == "replace":
                del _parent(root, op.path).now[_leaf(op.path)]
            _parent(root, op.other).now[_leaf(op.other)] = moved
    files: dict[str, bytes] = {}
    folders: list[str] = []

    def collect(folder: _Folder, above: str) -> None:
        for name, entry in sorted((folder.now if keep == "names" else folder.kept).items()):
            if isinstance(entry, _Folder):
                folders.append(above + name)
                collect(entry, f"{above}{name}/")
            else:
                files[above + name] = durable[entry]

    collect(root, "")
    return files, folders


def lay_out(files: dict[str, bytes], folders: list[str], root: Path) -> None:
    """Write what survived into a new folder, for a program to start from."""
    root.mkdir()
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        (root / path).write_bytes(data)


def _leaf(path: str) -> str:
    return path.rpartition("/")[2]


def _parent(root: _Folder, path: str) -> _Folder:
    return _find(root, path.rpartition("/")[0])


def _find(root: _Folder, path: str) -> _Folder:
    folder = root
    for name in path.split("/") if path not in ("", ".") else []:
        entry = folder.now[name]
        if not isinstance(entry, _Folder):
            raise TypeError(f"{path} is not a folder")
        folder = entry
    return folder
