"""One writer at a time: a lock held by a thread of one process. Knows not what it guards."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emeritus.errors import HomeBusy

_POLL_S = 0.002


class FileLock:
    """Excludes other threads by a mutex and other processes by flock(2), which the kernel lets go when a process dies.

    Re-entrant in the thread that holds it. Waiting longer than `wait_s` seconds raises HomeBusy. Who waits
    first holds a second lock, the turn, which a process that just let go must get before it can have the lock again:
    so two busy processes alternate instead of one starving the other.
    """

    def __init__(self, path: Path, wait_s: float) -> None:
        self._path = path
        self._wait_s = wait_s
        self._mutex = threading.RLock()
        self._owner: int | None = None
        self._depth = 0

    @property
    def held(self) -> bool:
        """Whether the calling thread holds the lock."""
        return self._owner == threading.get_ident()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock while the context lasts."""
        deadline = time.monotonic() + self._wait_s
        if not self._mutex.acquire(timeout=self._wait_s):
            raise self._busy()
        try:
            descriptor = None if self._depth else self._take(deadline)
            self._depth += 1
            self._owner = threading.get_ident()
            try:
                yield
            finally:
                self._depth -= 1
                if descriptor is not None:
                    self._owner = None
                    os.close(descriptor)
        finally:
            self._mutex.release()

    def _take(self, deadline: float) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        turn = self._flock(self._path.with_name(f"{self._path.name}.turn"), deadline)
        try:
            return self._flock(self._path, deadline)
        finally:
            os.close(turn)

    def _flock(self, path: Path, deadline: float) -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return descriptor
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise self._busy() from None
                    time.sleep(_POLL_S)
        except BaseException:
            os.close(descriptor)
            raise

    def _busy(self) -> HomeBusy:
        return HomeBusy(f"another command has held {self._path} for more than {self._wait_s:g} s")
