"""How Python's targets are run: by plain mutations anywhere, by atheris (coverage-guided) where that is installed."""

from __future__ import annotations

import contextlib
import importlib.util
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from fuzz import corpus
from fuzz.mutate import mutate
from fuzz.targets import TARGETS

HANG_S = 5.0  # of computing, for one input
MEMORY_MB = 2048
MOST_BYTES = 16384  # of an input, under atheris


class Hang(Exception):
    """An input took too long."""


@dataclass(slots=True)
class Done:
    """What a run did: inputs tried, seconds, and each fault with the input that found it."""

    executions: int = 0
    seconds: float = 0.0
    faults: list[tuple[bytes, BaseException]] = field(default_factory=list)


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise Hang once this has computed for so long."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang(f"{seconds} s")

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run_one(target: str, data: bytes) -> BaseException | None:
    """The fault that one input finds, if it finds one."""
    try:
        with at_most(HANG_S):
            TARGETS[target].check(data)
    except (Exception, MemoryError, RecursionError) as error:
        return error
    return None


def replay(target: str) -> Done:
    """Every input of the corpus, once."""
    done, start = Done(), time.monotonic()
    for data in [*corpus.read(target), *TARGETS[target].seeds()]:
        done.executions += 1
        if (fault := run_one(target, data)) is not None:
            done.faults.append((data, fault))
    done.seconds = time.monotonic() - start
    return done


def mutations(target: str, seconds: float, seed: int) -> Done:
    """Mutate the corpus for so long; a fault of the same kind and place is reported once."""
    done, start, known = Done(), time.monotonic(), set()
    chance = random.Random(f"{target}:{seed}")  # the same inputs for the same seed
    inputs = [*corpus.read(target), *TARGETS[target].seeds()]
    while time.monotonic() - start < seconds:
        data = mutate(chance.choice(inputs), inputs, chance)
        done.executions += 1
        fault = run_one(target, data)
        if fault is not None and (kind := _place(fault)) not in known:
            known.add(kind)
            done.faults.append((data, fault))
    done.seconds = time.monotonic() - start
    return done


def has_atheris() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec("atheris") is not None


def atheris_run(target: str, seconds: float, keep: bool) -> int:
    """Coverage-guided, in a process of its own; with `keep` the corpus becomes the least that reaches as much code."""
    own = corpus.ROOT / target
    own.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        found = Path(work) / "found"
        found.mkdir()
        limits = [
            f"-timeout={int(HANG_S)}",
            f"-rss_limit_mb={MEMORY_MB}",
            f"-max_len={MOST_BYTES}",
            f"-artifact_prefix=crash-{target}-",
        ]
        script = Path(work) / "program"  # which libFuzzer starts again to merge
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fuzz.atheris_program "$0" {target} "$@"\n')
        script.chmod(0o700)
        program = [str(script)]
        for data in TARGETS[target].seeds():
            (found / corpus.name_of(data)).write_bytes(data)
        done = subprocess.run(
            [*program, *limits, f"-max_total_time={int(seconds)}", "-print_final_stats=1", str(found), str(own)],
            check=False,
        )
        if keep and done.returncode == 0:
            least = Path(work) / "least"
            least.mkdir()
            subprocess.run([*program, *limits, "-merge=1", str(least), str(own), str(found)], check=True)
            corpus.keep(target, least.iterdir())
    return done.returncode


def _place(fault: BaseException) -> tuple[str, str]:
    at, where = fault.__traceback__, ""
    while at is not None:
        where, at = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}", at.tb_next
    return type(fault).__name__, where
