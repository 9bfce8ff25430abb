"""One session: asks its turns in order over a resident that answers, and goes on where an earlier run ended.

What it writes is its journal; what it needs comes as a plan. Knows no database, no act, no coding.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emeritus.engines.base import Answer, Awake, Message, Sampling
from emeritus.errors import ContextTooLong, EmeritusError
from emeritus.interview.journal import Journal, raw_field, readable
from emeritus.interview.prompts import Turn, messages
from emeritus.interview.replies import is_stop
from emeritus.interview.transcript import Transcript, TranscriptTurn

Clock = Callable[[], str]
Progress = Callable[[str, int, int], None]  # what, turns done, turns in all

SHORTER_DEPTH = 4  # turns in view when the whole conversation does not fit


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
            "turns": [{"turn": turn.number, "item": turn.item, "question": turn.question} for turn in self.turns],
            "depth": self.depth,
            "sampling": self.sampling.as_dict(),
            "at": at,
        }


async def hold(awake: Awake, plan: Plan, path: Path, clock: Clock, progress: Progress | None = None) -> Transcript:
    """Hold a session to its end, from wherever its journal stands; the finished transcript.

    No turn is asked before the one before it is on disk. An attempt that fails is recorded and made once more; when
    that fails too its error is raised and the session can be taken up again. A prompt that does not fit is asked again
    with fewer earlier turns in view, then with a shorter answer: each of these is an attempt of its own. A question
    that does not fit even alone stays unanswered, as its attempts say, and the session goes on; ContextTooLong is
    raised only where no question fits.
    """
    with await asyncio.to_thread(Journal.open, path, plan.header(clock())) as journal:
        transcript = journal.transcript
        sampling = _sampling(journal.header["sampling"], awake)
        earlier: list[tuple[str, str]] = []
        status = "complete"
        unfit: ContextTooLong | None = None
        for turn in transcript.turns:
            if progress is not None:
                progress(plan.session, turn.turn - 1, len(transcript.turns))
            answer = turn.answer
            if transcript.status is None and not turn.answered:
                sitting = _Sitting(awake, journal, clock, earlier, sampling)
                try:
                    answer = await sitting.ask(turn)
                except ContextTooLong as error:
                    unfit = error
            if transcript.purpose == "interview" and is_stop(answer):
                status = "stopped"
                break
            earlier.append((turn.question, answer))
        if unfit is not None and not any(answer.strip() for _, answer in earlier):
            raise unfit
        if transcript.status is None:
            await asyncio.to_thread(journal.end, status, clock())
        if progress is not None:
            progress(plan.session, len(transcript.turns), len(transcript.turns))
        return journal.transcript


@dataclass(frozen=True, slots=True)
class _Sitting:
    """What asking one turn needs."""

    awake: Awake
    journal: Journal
    clock: Clock
    earlier: list[tuple[str, str]]
    sampling: Sampling

    async def ask(self, turn: TranscriptTurn) -> str:
        """The answer to one turn, on disk when this returns. Raises what the last attempt failed with."""
        number = len(turn.attempts)
        shapes = self._shapes()
        shape = next(shapes)
        retried = False
        while True:
            number += 1
            try:
                return await self._attempt(turn, number, *shape)
            except ContextTooLong:
                smaller = next(shapes, None)
                if smaller is None:
                    raise
                shape = smaller
            except EmeritusError:
                if retried:
                    raise
                retried = True

    def _shapes(self) -> Iterator[tuple[int, Sampling]]:
        """Depth and sampling, from what the protocol asks for down to the question alone with a short answer."""
        answered = [answer for _, answer in self.earlier if answer.strip()]
        depth = min(self.journal.header["depth"], len(answered) + 1)  # no two shapes that show the same
        for each in sorted({depth, min(depth, SHORTER_DEPTH), 1}, reverse=True):
            yield each, self.sampling
        yield 1, replace(self.sampling, max_tokens=max(1, self.sampling.max_tokens // 4))

    async def _attempt(self, turn: TranscriptTurn, number: int, depth: int, sampling: Sampling) -> str:
        given = messages(self.journal.header["opening"], self.earlier, turn.question, depth)
        request = {
            "turn": turn.turn,
            "attempt": number,
            "item": turn.item,
            "at": self.clock(),
            "messages": [{"role": message.role, "content": message.content} for message in given],
            "sampling": sampling.as_dict(),
            "build": json.loads(json.dumps(self.awake.build.as_dict(), default=str)),
        }
        await asyncio.to_thread(self.journal.asked, request)
        answer = await self._answer(request, given, sampling)
        text = readable(answer.text)
        result = {
            "answered_at": self.clock(),
            "text": text,
            "finish_reason": answer.finish_reason,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "raw": raw_field(answer.raw),
        }
        await asyncio.to_thread(self.journal.attempt, request, "answered", result)
        return text

    async def _answer(self, request: Mapping[str, Any], given: tuple[Message, ...], sampling: Sampling) -> Answer:
        try:
            return await self.awake.answer(given, sampling)
        except Exception as error:  # whatever it was, the attempt was made: it is recorded before it is raised
            code = error.code if isinstance(error, EmeritusError) else None
            failure = {"failed_at": self.clock(), "error": {"code": code, "message": readable(str(error))}}
            await asyncio.to_thread(self.journal.attempt, request, "failed", failure)
            raise


def _sampling(recorded: Mapping[str, Any], awake: Awake) -> Sampling:
    """The sampling of the header; a seed only where the engine takes one, so that the record says what was sent."""
    return Sampling(
        max_tokens=recorded["max_tokens"],
        temperature=recorded["temperature"],
        top_p=recorded["top_p"],
        seed=recorded["seed"] if awake.can.seed else None,
        stop=tuple(recorded["stop"]),
        logprobs=recorded["logprobs"],
    )
