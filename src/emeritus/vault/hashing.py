"""sha256 of two streams side by side: faster than one after the other where the processor has instructions for it.

A preservation takes two: of each file as it is read, of each pack as it grows. Elsewhere hashlib takes them in turn.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock

from emeritus.vault.codec.kernel import kernel
from emeritus.vault.codec.numbers import Data
from emeritus.vault.workers import Workers

_ALONE = 4 << 20  # bytes taken alone before it is asked whether others have come


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


@dataclass(slots=True)
class _Job:
    """Bytes that a digest is still to take, and who waits for that."""

    digest: Sha256
    left: memoryview
    done: Future[None] = field(default_factory=Future)


class Hasher:
    """Takes what must be hashed soon, in order, and beside it what can wait: the most urgent work of `workers`."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self._chain = workers.chain()
        self._soon: deque[_Job] = deque()
        self._later: deque[_Job] = deque()
        self._alone = False
        self._changing = Lock()

    def soon(self, digest: Sha256, data: memoryview) -> Future[None]:
        """Have `data` taken; it must not change until the future is done."""
        return self._add(self._soon, _Job(digest, data), False)

    def later(self, digest: Sha256, data: memoryview) -> Future[None]:
        """Have `data` taken beside what comes soon, or once one hurries; it must not change until then."""
        return self._add(self._later, _Job(digest, data), self._alone)

    def hurry(self) -> None:
        """Say that nothing comes soon for now: what waits is taken at once."""
        with self._changing:
            self._alone = True
        self._chain.submit(self._take_all)

    def _add(self, where: deque[_Job], job: _Job, alone: bool) -> Future[None]:
        with self._changing:
            where.append(job)
            self._alone = alone
        if alone or where is self._soon:
            self._chain.submit(self._take_all)
        return job.done

    def _take_all(self) -> None:
        while True:
            with self._changing:
                if not self._soon and not (self._later and self._alone):
                    return
                one = self._soon[0] if self._soon else self._later[0]
                other = self._later[0] if self._soon and self._later else None
            self._take(one, other)

    def _take(self, one: _Job, other: _Job | None) -> None:
        """As much of both as the shorter has, or some of the one."""
        if other is None:
            count = min(len(one.left), _ALONE)
            one.digest.update(one.left[:count])
        else:
            count = min(len(one.left), len(other.left))
            update_both(one.digest, one.left[:count], other.digest, other.left[:count])
        for job in (one, other) if other is not None else (one,):
            job.left = job.left[count:]
            if not job.left:
                with self._changing:
                    (self._soon if self._soon and self._soon[0] is job else self._later).popleft()
                job.done.set_result(None)
