"""One session: asks its turns in order over a resident that answers, and goes on where an earlier run ended.

What it writes is its journal; what it needs comes as a plan. Knows no database, no act, no coding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emeritus.blobs.disk import Disk
from emeritus.engines.base import Awake, Sampling
from emeritus.errors import ContextTooLong, EmeritusError, RuleError
from emeritus.interview.sessions.asking import Asking, Clock, Patience, sampling_for
from emeritus.interview.sessions.consulting import Consulting
from emeritus.interview.sessions.interviewer import SCRIPTED, Interviewer
from emeritus.interview.sessions.journal import DISK, Journal, readable
from emeritus.interview.sessions.prompts import Turn
from emeritus.interview.sessions.replies import is_stop
from emeritus.interview.sessions.transcript import Added, Transcript, TranscriptTurn

Progress = Callable[[str, int, int], None]  # what, turns done, turns in all


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a session is, before it begins. The journal's header holds it, and a resumed session follows that."""

    session: str
    resident: str
    purpose: str  # interview | read-back | telling
    condition: Mapping[str, Any]
    protocol: Mapping[str, str]  # id, version, sha256
    briefing: Mapping[str, Any]
    opening: str
    turns: tuple[Turn, ...]
    depth: int
    sampling: Sampling
    disclosure: str = ""  # what is told in one of the turns and has to stay in view from there on

    def header(self, at: str) -> dict[str, Any]:
        """The journal's first line."""
        return {
            "session": self.session,
            "resident": self.resident,
            "purpose": self.purpose,
            "condition": dict(self.condition),
            "protocol": dict(self.protocol),
            "briefing": dict(self.briefing),
            "opening": self.opening,
            "disclosure": self.disclosure,
            "turns": [turn.as_dict() for turn in self.turns],
            "depth": self.depth,
            "sampling": self.sampling.as_dict(),
            "at": at,
        }


@dataclass(frozen=True, slots=True)
class Ways:
    """How a session is held: how patiently, and with whom. `leading` are words that no added question may hold."""

    patience: Patience = field(default_factory=Patience)
    interviewer: Awake | None = None  # an interviewer model; the header says which, after what, and how often
    leading: tuple[str, ...] = ()
    disk: Disk = DISK


async def hold(
    awake: Awake,
    plan: Plan,
    path: Path,
    clock: Clock,
    progress: Progress | None = None,
    ways: Ways | None = None,
) -> Transcript:
    """Hold a session to its end, from wherever its journal stands; the finished transcript.

    No turn is asked before the one before it is on disk. An attempt that fails is recorded and made again: once, or
    where the engine is overrun or out of reach as often as patience has it; then its error is raised and the session
    can be taken up again. A prompt that does not fit is asked again with fewer earlier turns in view, then with a
    shorter answer: each of these is an attempt of its own. A question that does not fit even alone stays unanswered, as
    its attempts say, and the session goes on; ContextTooLong is raised only where no question fits.
    """
    ways = ways or Ways()
    with await _opened(path, plan.header(clock()), ways.disk) as journal:
        if journal.transcript.status is None:
            asking = Asking(awake, journal, clock, sampling_for(journal.header["sampling"], awake), ways.patience)
            await _Sitting(asking, ways, progress).hold()
        transcript = journal.transcript
        if progress is not None:
            progress(plan.session, len(transcript.turns), len(transcript.turns))
        return transcript


def give_up(path: Path, session: str, at: str, disk: Disk = DISK) -> Transcript:
    """End a session whose attempts failed, as failed; the transcript. Nothing more is asked in it.

    Raises RuleError where no attempt has failed: then nothing is known against it.
    """
    with Journal.open(path, {"session": session}, disk) as journal:
        if journal.transcript.status is None:
            if not any(each.outcome == "failed" for turn in journal.transcript.turns for each in turn.attempts):
                raise RuleError(f"no attempt of the session {session!r} has failed")
            journal.end("failed", at)
        return journal.transcript


async def _opened(path: Path, header: Mapping[str, Any], disk: Disk) -> Journal:
    """The journal, opened in a thread; who is cancelled meanwhile leaves no journal open and locked behind."""
    opening = asyncio.ensure_future(asyncio.to_thread(Journal.open, path, header, disk))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with suppress(EmeritusError):
            (await opening).close()
        raise


@dataclass(slots=True)
class _Sitting:
    """A session while it is held."""

    asking: Asking
    ways: Ways
    progress: Progress | None
    unfit: ContextTooLong | None = None

    async def hold(self) -> None:
        """Ask what is unanswered, in order; then end the journal."""
        transcript = self.asking.journal.transcript
        interviewer = Interviewer.from_dict(transcript.condition.get("interviewer") or SCRIPTED.as_dict())
        pending = list(transcript.turns)
        last = max((turn.turn for turn in pending), default=0)
        done, status = 0, "complete"
        while pending:
            turn = pending.pop(0)
            if self.progress is not None:
                self.progress(transcript.session, done, done + 1 + len(pending))
            answer = await self._answer(turn)
            done += 1
            if transcript.purpose == "interview" and is_stop(answer):
                status = "stopped"
                break
            self.asking.earlier.append((turn.question, answer))
            settled = turn.turn in transcript.passed or any(each.after == turn.turn for each in pending)
            item, times = root(turn.item)
            if answer.strip() and not settled and item in interviewer.after and times < interviewer.follow_ups:
                more = await self._more(turn, interviewer, last + 1)
                if more is not None:
                    pending.insert(0, more)
                    last += 1
        if self.unfit is not None and not any(answer.strip() for _, answer in self.asking.earlier):
            raise self.unfit
        await asyncio.to_thread(self.asking.journal.end, status, self.asking.clock())

    async def _answer(self, turn: TranscriptTurn) -> str:
        if turn.answered:
            return turn.answer
        try:
            return await self.asking.ask(turn)
        except ContextTooLong as error:
            self.unfit = error
            return ""

    async def _more(self, turn: TranscriptTurn, interviewer: Interviewer, number: int) -> TranscriptTurn | None:
        """One more question from the interviewer model, on disk when this returns; None where it has none."""
        journal, clock = self.asking.journal, self.asking.clock
        if self.ways.interviewer is None:
            raise RuleError(f"the session asks for the interviewer {interviewer.name!r}, and nobody woke it")
        consulting = Consulting(self.ways.interviewer, interviewer.name, self.asking, self.ways.leading)
        found = await consulting.follow_up(turn.turn, journal.transcript.consulted.get(turn.turn, ()))
        if found.question is None:
            await asyncio.to_thread(journal.passed, turn.turn, clock(), found.by, found.reason)
            return None
        item, times = root(turn.item)
        added = Added(number, f"{item}+{times + 1}", readable(found.question), turn.turn, found.by)
        await asyncio.to_thread(journal.turn, added.as_line(clock()))
        return added.as_turn()


def root(item: str) -> tuple[str, int]:
    """The item a turn belongs to and how often it was followed up: "users+2" is the second question after "users"."""
    name, _, times = item.partition("+")
    return name, int(times) if times.isdigit() else 0
