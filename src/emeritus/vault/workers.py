"""Threads that share out work by how urgent it is: as many as processors, so that none is divided among several tasks.

With a thread for each kind of work the system gives them equal time, and what must be done in order falls behind what
need not be. Knows nothing of the work.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition, Thread
from types import TracebackType
from typing import Any

THREADS = min(8, os.cpu_count() or 1)  # capped, because memory grows with it: some 32 MiB each, 64 MiB in a deep scrub
_Task = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class Chain:
    """Tasks done one at a time, in the order given."""

    def __init__(self, workers: Workers) -> None:
        self.tasks: deque[_Task] = deque()
        self.busy = False
        self._workers = workers

    def submit(self, what: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have `what` called with the arguments, after everything this chain was given before."""
        return self._workers.add(self.tasks, what, given)


class Workers:
    """The threads. A context: on leaving, tasks under way end and the others are cancelled."""

    def __init__(self, threads: int = THREADS) -> None:
        self._chains: list[Chain] = []
        self._loose: deque[_Task] = deque()
        self._changed = Condition()
        self._closed = False
        self._threads = [Thread(target=self._run, name=f"emeritus-{number}") for number in range(threads)]

    def __enter__(self) -> Workers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for tasks in (*(chain.tasks for chain in self._chains), self._loose):
            for future, _, _ in tasks:
                future.cancel()

    def chain(self) -> Chain:
        """A chain, less urgent than those made before and more than what stands alone."""
        self._chains.append(Chain(self))
        return self._chains[-1]

    def submit(self, what: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have `what` called with the arguments, beside others."""
        return self.add(self._loose, what, given)

    def add(self, where: deque[_Task], what: Callable[..., Any], given: tuple[Any, ...]) -> Future[Any]:
        """Put a task there. For chains."""
        future: Future[Any] = Future()
        with self._changed:
            where.append((future, what, given))
            self._changed.notify()
        return future

    def _run(self) -> None:
        chain: Chain | None = None
        while True:
            with self._changed:
                if chain is not None:
                    chain.busy = False
                    self._changed.notify()  # what is left of the chain, where this thread takes something else
                found = None
                while not self._closed and (found := self._next()) is None:
                    self._changed.wait()
                if found is None:
                    return
                chain, (future, what, given) = found
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(what(*given))
            except BaseException as error:
                future.set_exception(error)

    def _next(self) -> tuple[Chain | None, _Task] | None:
        for chain in self._chains:
            if chain.tasks and not chain.busy:
                chain.busy = True
                return chain, chain.tasks.popleft()
        return (None, self._loose.popleft()) if self._loose else None
