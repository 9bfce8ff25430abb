"""A home served in a process of its own, and what its whole tree of processes takes: core-seconds, memory, descriptors.

Core-seconds count those that have ended, too: whoever forks the workers reaps them, and the kernel adds their time to
its own (`children_*` of psutil). Time may be compressed: everything the house does by the clock (`idle_sleep_s`, the
histogram's minutes) is divided by the same factor; what work takes is what it takes. And that clock may stand still
for a while, so that two homes can be driven by turns on one machine, each as though the other's turns were not.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

START_S = 120.0  # for the imports of a server on a busy machine
END_S = 30.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Of the server and all that came from it. Core-seconds since it started; bytes (shared pages shared out)."""

    core_s: float
    memory: int
    server_memory: int  # of the server's own process
    descriptors: int  # of the server's own process
    workers: int


class Served:
    """`with Served(home, compression, settings) as served`: `served.url` answers, until the end."""

    def __init__(self, home: Path, compression: float, settings: dict[str, Any]) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._pipe = ours
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(str(home), compression, settings, theirs)
        )
        self._process.start()
        theirs.close()
        self.url = ""

    def __enter__(self) -> Served:
        if not self._pipe.poll(START_S):
            self.__exit__(None, None, None)
            raise RuntimeError("the server did not start")
        self.url = f"{self._pipe.recv()}/v1"
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._process.is_alive() and self.url:
            self._pipe.send(("end", ""))
        self._process.join(END_S if self.url else 0)
        self._process.kill()
        self._process.join()

    @property
    def alive(self) -> bool:
        """Whether the server still runs."""
        return self._process.is_alive()

    def sleep(self, name: str) -> None:
        """Put that resident to sleep, as an operator does; blocks until it is."""
        self._told("sleep", name)

    def stand(self) -> None:
        """Have the clock that residents fall asleep and wake by stand still until `go`."""
        self._told("stand")

    def go(self) -> None:
        """Have that clock go on."""
        self._told("go")

    def loads(self) -> list[tuple[str, float, float]]:
        """Of every load so far: whom, from when until when, by `perf_counter`."""
        return list(self._told("loads"))

    def _told(self, what: str, name: str = "") -> Any:
        self._pipe.send((what, name))
        return self._pipe.recv()

    def workers(self) -> list[int]:
        """Processes that hold a model: those the zygote forked."""
        zygotes = [each.pid for each in self._root.children() if "emeritus.engines.zygote" in _words(each)]
        return [each.pid for zygote in zygotes for each in psutil.Process(zygote).children()]

    def core_s(self) -> float:
        """Core-seconds of the tree so far."""
        return core_s(self._root)

    def usage(self) -> Usage:
        """All of it, now."""
        memory = 0
        processes = self._root.children(recursive=True)
        for each in processes:
            try:
                memory += each.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it has ended meanwhile
        server = self._root.memory_full_info().pss
        return Usage(core_s(self._root), memory + server, server, self._root.num_fds(), max(0, len(processes) - 1))

    @property
    def _root(self) -> psutil.Process:
        return psutil.Process(self._process.pid)


def core_s(root: psutil.Process) -> float:
    """Core-seconds of a process and all that came from it, those that have ended and were reaped among them."""
    while True:
        found = [root, *root.children(recursive=True)]
        try:
            times = [each.cpu_times() for each in found]
        except psutil.NoSuchProcess:
            continue  # one has ended meanwhile: it counts with its parent from now on
        if {each.pid for each in root.children(recursive=True)} == {each.pid for each in found[1:]}:
            return sum(each.user + each.system + each.children_user + each.children_system for each in times)


class Standing:
    """The event loop's clock, less the time for which it was told to stand. Timers wait with it."""

    def __init__(self) -> None:
        self._lost = 0.0
        self._stood: float | None = None  # since when, by the loop's clock
        self._timers: set[_Timer] = set()

    def time(self) -> float:
        """Seconds."""
        return (asyncio.get_running_loop().time() if self._stood is None else self._stood) - self._lost

    def call_at(self, when: float, callback: Callable[[], None]) -> _Timer:
        """Call back at that time of this clock."""
        timer = _Timer(self._timers, when, callback)
        if self._stood is None:
            timer.arm(self._lost)
        return timer

    def stand(self) -> None:
        """Stop."""
        self._stood = asyncio.get_running_loop().time()
        for timer in self._timers:
            timer.disarm()

    def go(self) -> None:
        """Go on."""
        if self._stood is not None:
            self._lost += asyncio.get_running_loop().time() - self._stood
            self._stood = None
            for timer in self._timers:
                timer.arm(self._lost)


class _Timer:
    """A call arranged by a clock that may stand."""

    def __init__(self, others: set[_Timer], when: float, callback: Callable[[], None]) -> None:
        self._others = others
        self._when = when
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        others.add(self)

    def arm(self, lost: float) -> None:
        """Have it happen, so much later than this clock says."""
        self._handle = asyncio.get_running_loop().call_at(self._when + lost, self._fire)

    def disarm(self) -> None:
        """Not yet."""
        if self._handle is not None:
            self._handle.cancel()

    def cancel(self) -> None:
        """Call it off."""
        self.disarm()
        self._others.discard(self)

    def _fire(self) -> None:
        self._others.discard(self)
        self._callback()


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _serve(home: str, compression: float, given: dict[str, Any], pipe: Connection) -> None:
    """Serve that home until told to end."""
    from benchmarks.serving import serve
    from emeritus.app import App
    from emeritus.residency import idle_times, residency
    from emeritus.residency.wakes import WakeLog, Woke
    from emeritus.settings import load

    logging.basicConfig(filename=Path(home) / "server.log", level=logging.WARNING)  # what goes wrong on purpose is much
    os.environ.pop("EMERITUS_HOME", None)
    idle_times.BIN_S /= compression
    idle_times.WORTH_SLEEPING_S /= compression
    clock, loads, record = Standing(), list[tuple[str, float, float]](), WakeLog.record
    residency.Residency = partial(residency.Residency, clock=clock)

    def noted(log: WakeLog, woke: Woke) -> None:
        now = time.perf_counter()
        loads.append((woke.resident, now - woke.seconds, now))
        record(log, woke)

    WakeLog.record = noted
    settings = load(home=Path(home), **given)
    app = App.open(settings)

    async def heed(what: str, name: str) -> object:
        match what:
            case "sleep":
                await app.residency.sleep(name)
            case "stand":
                clock.stand()
            case "go":
                clock.go()
        return loads if what == "loads" else None

    serve(app, pipe, heed)
