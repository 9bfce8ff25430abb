"""The few system calls that make bytes durable on a local disk, gathered so that a test can refuse or record them.

Knows no keys and no stores; `emeritus.testing.faults` has the disks that fill up and the one that replays a power cut.
"""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """A real disk. Every method raises OSError as the system call does."""

    def create(self, path: Path) -> int:
        """Make a new file (it must not exist) and return its descriptor, open for writing."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def append(self, path: Path) -> int:
        """Open a file that exists, for writing at its end."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def close(self, fd: int) -> None:
        """Let go of a descriptor."""
        os.close(fd)

    def write(self, fd: int, data: memoryview) -> None:
        """Append all of `data`."""
        while data:
            data = data[os.write(fd, data) :]

    def fsync(self, fd: int) -> None:
        """Make the bytes written through `fd` survive a power cut."""
        os.fsync(fd)

    def fsync_folder(self, path: Path) -> None:
        """Make the names in a folder survive a power cut; without this a rename may be undone."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def mkdir(self, path: Path) -> None:
        """Make one folder; no error when it is there."""
        path.mkdir(exist_ok=True)

    def replace(self, old: Path, new: Path) -> None:
        """Rename, taking the place of `new`."""
        os.replace(old, new)

    def link(self, old: Path, new: Path) -> None:
        """Give the file a second name. Raises FileExistsError when `new` exists: the one atomic "only if absent"."""
        os.link(old, new)

    def unlink(self, path: Path) -> None:
        """Remove a name; no error when it is gone."""
        path.unlink(missing_ok=True)
