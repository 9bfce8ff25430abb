"""sha256 of two streams side by side: faster than one after the other where the processor has instructions for it.

A preservation takes two: of each file as it is read, of each pack as it grows. Elsewhere hashlib takes them in turn.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition
from types import TracebackType

from emeritus.vault.codec.kernel import kernel
from emeritus.vault.codec.numbers import Data


class Sha256:
    """What hashlib.sha256 gives, able to be taken beside another. Not safe in threads."""

    def __init__(self) -> None:
        self._state = kernel.sha256_new() if kernel is not None else None
        self._plain = hashlib.sha256() if self._state is None else None

    def update(self, data: Data) -> None:
        """Take more bytes."""
        update_both(self, data, Sha256(), b"")

    def digest(self) -> bytes:
        """The sha256 of all bytes taken so far."""
        return self._plain.digest() if self._plain is not None else bytes(kernel.sha256_digest(self._state))

    def hexdigest(self) -> str:
        """The same in hexadecimal."""
        return self.digest().hex()


def update_both(one: Sha256, data: Data, other: Sha256, more: Data) -> None:
    """`data` for `one` and `more` for `other`, side by side for as long as both last. Lets go of the interpreter."""
    if one._plain is not None and other._plain is not None:
        one._plain.update(data)
        other._plain.update(more)
    else:
        kernel.sha256_update(one._state, data, other._state, more)


class Hasher:
    """A thread that takes what must be hashed soon, in order, and beside it what can wait. A context."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._later: deque[tuple[Sha256, memoryview]] = deque()
        self._waiting: Counter[Sha256] = Counter()  # bytes given to `later` and not taken yet
        self._alone = False  # nothing comes soon
        self._changed = Condition()

    def __enter__(self) -> Hasher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def soon(self, digest: Sha256, data: memoryview) -> Future[None]:
        """Have `data` taken; it must not change until the future is done."""
        self._alone = False
        return self._thread.submit(self._take, digest, data)

    def later(self, digest: Sha256, data: memoryview) -> None:
        """Have `data` taken beside what comes soon; it must not change until `settle` returns for that digest."""
        with self._changed:
            self._later.append((digest, data))
            self._waiting[digest] += len(data)

    def hurry(self) -> None:
        """Say that nothing comes soon for now: whoever says so waits for what waits."""
        with self._changed:
            self._alone = True
            self._changed.notify_all()

    def settle(self, digest: Sha256, patience_s: float = 0.0) -> None:
        """Return once everything that `later` was given of this digest is taken, and of those before it.

        For so many seconds it may wait for what comes soon, to be taken beside it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._alone or not self._waiting[digest], patience_s)
            waiting = self._waiting[digest]
        if waiting:
            self._thread.submit(self._take_rest, digest).result()

    def _take(self, digest: Sha256, data: memoryview) -> None:
        while len(data):
            other, more = self._next(len(data))
            if other is None:
                digest.update(data)
                return
            update_both(digest, data[: len(more)], other, more)
            self._taken(other, len(more))
            data = data[len(more) :]

    def _take_rest(self, digest: Sha256) -> None:
        while self._waiting[digest]:
            other, more = self._next(1 << 62)
            if other is None:
                return
            other.update(more)
            self._taken(other, len(more))

    def _next(self, length: int) -> tuple[Sha256 | None, memoryview]:
        """At most that many bytes of what waits, and whose they are."""
        with self._changed:
            if not self._later:
                return None, memoryview(b"")
            digest, data = self._later.popleft()
            if len(data) > length:
                self._later.appendleft((digest, data[length:]))
            return digest, data[:length]

    def _taken(self, digest: Sha256, length: int) -> None:
        with self._changed:
            self._waiting[digest] -= length
            if not self._waiting[digest]:
                del self._waiting[digest]
                self._changed.notify_all()
