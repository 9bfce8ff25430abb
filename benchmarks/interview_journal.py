"""The journal measured: durable turns a second, and what survives kill -9 and power cuts.

`journal_turns_per_s` holds four sessions at once over a model that answers at once: every turn is two lines, each
fsynced before what follows it. `resume_check` kills a process that holds sessions, at random moments, and replays every
prefix of a session's disk operations with what was not fsynced dropped; both count turns that were answered and lost,
and calls to the model that no line records. Run by `python -m benchmarks interview`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.metric import Metric, Options
from emeritus.blobs.disk import Disk
from emeritus.engines.base import Answer, Build, Capabilities, Message, Piece, Sampling, Scored
from emeritus.errors import EmeritusError, NotSupported
from emeritus.interview.sessions.prompts import Turn
from emeritus.interview.sessions.session import Plan, Ways, hold
from emeritus.interview.sessions.transcript import read_journal
from emeritus.testing.faults import Operation, RecordingDisk, lay_out, survivors

SESSIONS, TURNS, DEPTH = 4, 40, 15
QUESTION = "What is to be said about this, in a few words or in many, as it seems right, and what is left out? " * 3
ANSWER = "A sentence of an answer that goes on for a while, as answers of language models do. " * 5
KILLS = 200
KILL_SESSIONS, KILL_TURNS = 4, 60
LONGEST_LIFE_S = 0.15


class Instant:
    """A model that answers at once and tells whoever wants to know which question it was asked."""

    can = Capabilities(seed=True)
    build = Build("instant")

    def __init__(self, calls: Path | None = None, pause_s: float = 0.0) -> None:
        self.calls: list[str] = []
        self._file = None if calls is None else os.open(calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._pause_s = pause_s

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[Piece]:
        """One piece, after the call was noted where a kill cannot undo it."""
        asked = messages[-1].content.split()[-1]
        self.calls.append(asked)
        if self._file is not None:
            os.write(self._file, f"{asked}\n".encode())  # the kernel has it: it outlives the process
        await asyncio.sleep(self._pause_s)
        yield Piece(f"{ANSWER}{asked}", (), "stop", 1, 1)

    async def answer(self, messages: Sequence[Message], sampling: Sampling) -> Answer:
        """Not called: sessions listen to the stream."""
        raise NotSupported("this model only streams")

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """Not called."""
        raise NotSupported("this model only streams")


def plan(session: str, turns: int = TURNS) -> Plan:
    """A session of questions of the usual length; the last word of each names session and turn."""
    return Plan(
        session=session,
        resident="larkspur",
        purpose="interview",
        condition={"id": "baseline"},
        protocol={"id": "bench", "version": "1.0.0", "sha256": "0" * 64},
        briefing={},
        opening="This is an interview; a program reads out written questions. " * 4,
        turns=tuple(Turn(number, f"item-{number}", f"{QUESTION} {session}/{number}") for number in range(1, turns + 1)),
        depth=DEPTH,
        sampling=Sampling(max_tokens=256, temperature=1.0, seed=1),
    )


def clock() -> str:
    """A time that stands still."""
    return "2026-01-10T12:00:00Z"


def measure(options: Options) -> list[Metric]:
    """The journal's figures; at a smaller scale with fewer kills."""
    speeds = sorted(journal_turns_per_s() for _ in range(3))
    found = resume_check(options.of(KILLS, 5))
    beside = {name: value for name, value in found.items() if not name.startswith("resume_")}
    runs = {"runs": ", ".join(f"{each:.0f}" for each in speeds)}
    return [
        Metric("journal_turns_per_s", speeds[1], low=500, unit="/s", beside=runs),
        Metric("resume_lost_turns", found["resume_lost_turns"], high=0, beside=beside),
        Metric("resume_repeated_unrecorded", found["resume_repeated_unrecorded"], high=0),
    ]


def journal_turns_per_s(folder: Path | None = None, rounds: int = 5) -> float:
    """Turns a second, of four sessions of 40 turns held at once, all rounds together; each line fsynced.

    `folder` is where the journals are written: choose the disk that is to be measured. Default: the working folder.
    """

    async def hold_all(at: Path) -> float:
        began = time.perf_counter()
        for each in range(rounds):
            names = [f"s{each}-{number}" for number in range(SESSIONS)]
            await asyncio.gather(*(hold(Instant(), plan(name), at / f"{name}.jsonl", clock) for name in names))
        return rounds * SESSIONS * TURNS / (time.perf_counter() - began)

    with tempfile.TemporaryDirectory(dir=folder or Path.cwd(), prefix="journals-") as name:
        return asyncio.run(hold_all(Path(name)))


def resume_check(kills: int = KILLS, seed: int = 20260110) -> dict[str, int]:
    """Turns lost and calls unrecorded, over so many kills and over every power cut of a session; both must be 0.

    `kills` and `power_cuts` say how many there were, `interrupted` how many calls a kill cut off and the journal shows.
    """
    killed, cut = kill_check(kills, seed), power_check()
    return {
        "resume_lost_turns": killed["lost"] + cut["lost"],
        "resume_repeated_unrecorded": killed["unrecorded"] + cut["unrecorded"],
        "kills": killed["kills"],
        "interrupted": killed["interrupted"],
        "sessions": killed["sessions"],
        "power_cuts": cut["cuts"],
    }


def kill_check(kills: int = KILLS, seed: int = 20260110) -> dict[str, int]:
    """Kill a process that holds sessions, four at once, so many times; then let each session end, and count."""
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "benchmarks.interview_journal", name, str(kills), str(seed)]
        root = Path(__file__).resolve().parents[1]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        statuses = done.stdout.split()
        found = Counter[str](kills=statuses.count(str(-signal.SIGKILL)))
        calls = Counter((folder / "calls").read_text().split())
        for path in sorted(folder.glob("*.jsonl")):
            before = read_journal(path)
            after = asyncio.run(hold(Instant(), plan(path.stem, KILL_TURNS), path, clock))
            found["sessions"] += 1
            for turn, earlier in zip(after.turns, before.turns, strict=True):
                asked = f"{path.stem}/{turn.turn}"
                answers = [each for each in turn.attempts if each.outcome == "answered"]
                kept = turn.attempts[: len(earlier.attempts)] == earlier.attempts
                found["lost"] += len(answers) != 1 or turn.answer != f"{ANSWER}{asked}" or not kept
                interrupted = sum(each.outcome == "interrupted" for each in turn.attempts)
                found["interrupted"] += interrupted
                made_here = not earlier.answered  # by the run that ended the session, not by the killed ones
                found["unrecorded"] += max(0, calls[asked] - (len(turn.attempts) - made_here))
            found["lost"] += after.status != "complete"
        return {name: found[name] for name in ("kills", "sessions", "interrupted", "lost", "unrecorded")}


def power_check(turns: int = 12, disk_type: type[RecordingDisk] = RecordingDisk) -> dict[str, int]:
    """Cut the power after every disk operation of a session, dropping what was not fsynced; resume, and count.

    Each cut is tried with names surviving and with names lost, and where the last write was on its way, with half of it
    on the platter. Before the cut the model had answered what it had been asked: a turn is lost when a later one had
    been asked and its answer is not in what survived; a call is unrecorded when no surviving line speaks of it.
    `disk_type` is another disk, to see that one which forgets is found out.
    """
    found = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="power-") as name:
        root = Path(name)
        (root / "live").mkdir()
        disk = disk_type(root / "live")
        model = _Noting(disk)
        whole = plan("power", turns)
        asyncio.run(hold(model, whole, root / "live" / "power.jsonl", clock, None, Ways(disk=disk)))
        for number, (operations, keep) in enumerate(_cuts(disk.operations)):
            made = [asked for at, asked in model.made if at <= len(operations)]
            files, folders = survivors(operations, keep)
            folder = root / f"cut-{number}"
            lay_out(files, folders, folder)
            path = folder / "power.jsonl"
            found["cuts"] += 1
            recorded = path.read_text(errors="replace") if path.exists() else ""
            try:
                before = read_journal(path).turns if path.exists() else ()
                after = asyncio.run(hold(Instant(), whole, path, clock, None, Ways(disk=_Fast())))
            except EmeritusError:  # a session that cannot be resumed has lost all that was asked
                found["lost"] += len(made)
                found["unrecorded"] += len(made)
                continue
            for place, asked in enumerate(made):
                turn = int(asked.rpartition("/")[2])
                answered = any(each.turn == turn and each.answered for each in before)
                found["lost"] += place + 1 < len(made) and not answered
                found["unrecorded"] += f'"kind":"asked","turn":{turn},' not in recorded
            found["lost"] += sum(each.answer != f"{ANSWER}power/{each.turn}" for each in after.turns)
            found["lost"] += after.status != "complete"
    return {name: found[name] for name in ("cuts", "lost", "unrecorded")}


class _Noting(Instant):
    """A model that notes how many disk operations there had been when it was asked."""

    def __init__(self, disk: RecordingDisk) -> None:
        super().__init__()
        self._disk = disk
        self.made: list[tuple[int, str]] = []

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[Piece]:
        """One piece, after the call was noted."""
        self.made.append((len(self._disk.operations), messages[-1].content.split()[-1]))
        async for piece in super().stream(messages, sampling):
            yield piece


class _Fast(Disk):
    """A disk that syncs nothing, for the runs after a cut, whose durability is not what is looked at."""

    def fsync(self, fd: int) -> None:
        """Nothing."""

    def fsync_folder(self, path: Path) -> None:
        """Nothing."""


def _cuts(operations: list[Operation]) -> list[tuple[list[Operation], Any]]:
    """Every prefix, as names survive or are lost; and with half of a last write on the platter."""
    cuts: list[tuple[list[Operation], Any]] = []
    for count in range(len(operations) + 1):
        prefix = operations[:count]
        cuts += [(prefix, "names"), (prefix, "nothing")]
        if prefix and prefix[-1].what == "write":
            half = replace(prefix[-1], data=prefix[-1].data[: len(prefix[-1].data) // 2])
            cuts.append(([*prefix[:-1], half, Operation("fsync", inode=half.inode)], "names"))
    return cuts


def _killer(folder: Path, kills: int, seed: int) -> None:
    """Fork so often a process that holds sessions until it is killed, and print how each ended."""
    moments = random.Random(seed)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            asyncio.run(_hold_on(folder))
            os._exit(0)
        time.sleep(moments.uniform(0, LONGEST_LIFE_S))
        os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


async def _hold_on(folder: Path) -> None:
    """Hold sessions, four at once, each from where it stands, and then the next ones."""
    model = Instant(folder / "calls", 0.001)
    first = 0
    while True:
        names = [f"k{first + number}" for number in range(KILL_SESSIONS)]
        await asyncio.gather(*(hold(model, plan(name, KILL_TURNS), folder / f"{name}.jsonl", clock) for name in names))
        first += KILL_SESSIONS


if __name__ == "__main__":
    _killer(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
