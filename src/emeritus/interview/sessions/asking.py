"""Asking one turn: attempts, each on disk before and after it is made, until one is answered or patience is at an end.

Listens to the answer as it comes, so that half a stream is recorded as far as it came and an endless one is cut. Knows
no order of turns, no database and no act.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, cast

from emeritus.engines.base import Answer, Awake, FinishReason, Message, Piece, Sampling, collect
from emeritus.errors import Busy, ContextTooLong, EmeritusError, UpstreamRefused
from emeritus.interview.sessions.journal import Journal, raw_field, readable
from emeritus.interview.sessions.prompts import messages
from emeritus.interview.sessions.transcript import TranscriptTurn

Clock = Callable[[], str]

SHORTER_DEPTH = 4  # turns in view when the whole conversation does not fit
MAX_TEXT = 1 << 20  # characters of an answer that are kept; listening ends there
MAX_RAW = 32 << 20  # bytes of a response that are kept
_SHOWN_FACTS = ("status", "retry_after", "asked", "answered", "finish_reason", "sent", "upstream")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and after how long, an engine that is overrun or out of reach is asked again."""

    tries: int = 6  # attempts at one turn in one run, the first included
    first_wait_s: float = 1.0  # doubled each time
    longest_wait_s: float = 60.0  # also where the server asks for more
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def wait_s(self, failures: int, error: EmeritusError) -> float:
        """How long to wait after so many failures: what the server asked for, if that is more; within the bound."""
        wanted = self.first_wait_s * 2.0 ** (failures - 1)
        try:
            wanted = max(wanted, float(str(error.facts.get("retry_after", error.facts.get("retry_after_s", 0)))))
        except ValueError:  # a date, or nonsense
            wanted = max(wanted, self.longest_wait_s / 4)
        return min(wanted, self.longest_wait_s)


@dataclass(frozen=True, slots=True)
class Asking:
    """What asking turns of one session needs. `earlier` are (question, answer) so far; whoever asks adds to it."""

    awake: Awake
    journal: Journal
    clock: Clock
    sampling: Sampling
    patience: Patience
    earlier: list[tuple[str, str]] = field(default_factory=list)

    async def ask(self, turn: TranscriptTurn) -> str:
        """The answer to one turn, on disk when this returns. Raises what the last attempt failed with."""
        number = len(turn.attempts)
        shapes = self._shapes()
        shape = next(shapes)
        failures = 0
        while True:
            number += 1
            try:
                return await self._attempt(turn, number, *shape)
            except ContextTooLong:
                smaller = next(shapes, None)
                if smaller is None:
                    raise
                shape = smaller
            except EmeritusError as error:
                failures += 1
                if failures >= self._tries(error):
                    raise
                if is_passing(error):
                    await self.patience.sleep(self.patience.wait_s(failures, error))

    def _tries(self, error: EmeritusError) -> int:
        """Another model's answer is not asked for twice; who is overrun is asked again; all else fails twice."""
        if "answered" in error.facts and "asked" in error.facts:
            return 1
        return self.patience.tries if is_passing(error) else 2

    def _shapes(self) -> Iterator[tuple[int, Sampling]]:
        """Depth and sampling, from what the protocol asks for down to the question alone with a short answer."""
        answered = [answer for _, answer in self.earlier if answer.strip()]
        depth = min(self.journal.header["depth"], len(answered) + 1)  # no two shapes that show the same
        for each in sorted({depth, min(depth, SHORTER_DEPTH), 1}, reverse=True):
            yield each, self.sampling
        yield 1, replace(self.sampling, max_tokens=max(1, self.sampling.max_tokens // 4))

    async def _attempt(self, turn: TranscriptTurn, number: int, depth: int, sampling: Sampling) -> str:
        header = self.journal.header
        given = messages(header["opening"], self.earlier, turn.question, depth, header.get("disclosure", ""))
        request = {
            "turn": turn.turn,
            "attempt": number,
            "item": turn.item,
            "at": self.clock(),
            "messages": as_said(given),
            "sampling": sampling.as_dict(),
            "build": build_of(self.awake),
        }
        await asyncio.to_thread(self.journal.asked, request)
        heard, ending = Heard(), {}
        try:
            answer = await heard.all_of(self.awake, given, sampling)
        except UpstreamRefused as error:
            if "finish_reason" not in error.facts:
                await self._failed(request, error, heard)
                raise
            answer = heard.broken_off(str(error.facts["finish_reason"]))  # a tool call, a filter: that is the answer
            ending = {"error": as_failure(error)}
        except Exception as error:  # whatever it was, the attempt was made: it is recorded before it is raised
            await self._failed(request, error, heard)
            raise
        text = readable(answer.text)
        result = {
            "answered_at": self.clock(),
            "text": text,
            "finish_reason": answer.finish_reason,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "raw": raw_field(answer.raw),
            **heard.bounds(),
            **ending,
        }
        await asyncio.to_thread(self.journal.attempt, request, "answered", result)
        return text

    async def _failed(self, request: Mapping[str, Any], error: BaseException, heard: Heard) -> None:
        failure = {"failed_at": self.clock(), "error": as_failure(error), **heard.half()}
        await asyncio.to_thread(self.journal.attempt, request, "failed", failure)


class Heard:
    """What has come of one answer: all of it, half of it where the stream broke, or as much as is kept."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._raw: list[bytes] = []
        self._characters = 0
        self._bytes = 0
        self._cut = False

    async def all_of(self, awake: Awake, given: tuple[Message, ...], sampling: Sampling) -> Answer:
        """The whole answer, or what is kept of an enormous one, which then ends for its length."""
        return await collect(self._pieces(awake, given, sampling))

    def broken_off(self, reason: str) -> Answer:
        """An answer that the engine ended for another reason than its end or its length, as far as it came."""
        return Answer("".join(self._texts), cast(FinishReason, reason), 0, 0, (), b"".join(self._raw))

    def half(self) -> dict[str, Any]:
        """What came before a stream broke, as a failed attempt records it."""
        if not self._characters and not self._bytes:
            return {}
        return {"heard": {"text": readable("".join(self._texts)), "raw": raw_field(b"".join(self._raw))}}

    def bounds(self) -> dict[str, Any]:
        """That more was coming than is kept, as an attempt records it."""
        return {"bounded": {"characters": self._characters, "bytes": self._bytes}} if self._cut else {}

    async def _pieces(self, awake: Awake, given: tuple[Message, ...], sampling: Sampling) -> AsyncIterator[Piece]:
        async with aclosing(awake.stream(given, sampling)) as pieces:
            async for piece in pieces:
                kept = replace(
                    piece, text=piece.text[: MAX_TEXT - self._characters], raw=piece.raw[: MAX_RAW - self._bytes]
                )
                self._texts.append(kept.text)
                self._raw.append(kept.raw)
                self._characters += len(kept.text)
                self._bytes += len(kept.raw)
                if len(kept.text) < len(piece.text) or len(kept.raw) < len(piece.raw):
                    self._cut = True
                    yield replace(kept, finish_reason="length")
                    return
                yield kept


def is_passing(error: EmeritusError) -> bool:
    """Whether what failed may pass by itself: too many requests, a failing or unreachable server, a full house.

    A stream that broke off, or an engine that died, is asked once more at once.
    """
    if isinstance(error, Busy):
        return True
    if not isinstance(error, UpstreamRefused):
        return False
    status = error.facts.get("status")
    return "url" in error.facts or (isinstance(status, int) and (status == 429 or status >= 500))


def as_failure(error: BaseException) -> dict[str, Any]:
    """An error as journals record it: its code, its words, and the facts that tell it from another."""
    code = error.code if isinstance(error, EmeritusError) else None
    failure: dict[str, Any] = {"code": code, "message": readable(str(error))}
    if isinstance(error, EmeritusError):
        facts = {name: error.facts[name] for name in _SHOWN_FACTS if name in error.facts}
        if facts:
            failure["facts"] = json.loads(readable(json.dumps(facts, default=str)))
    return failure


def as_said(given: tuple[Message, ...]) -> list[Mapping[str, str]]:
    """Messages as journals record them."""
    return [{"role": message.role, "content": message.content} for message in given]


def build_of(awake: Awake) -> dict[str, Any]:
    """What answers, as journals record it."""
    build: dict[str, Any] = json.loads(json.dumps(awake.build.as_dict(), default=str))
    return build


def sampling_for(recorded: Mapping[str, Any], awake: Awake) -> Sampling:
    """The sampling of a header; a seed only where the engine takes one, so that the record says what was sent."""
    return Sampling(
        max_tokens=recorded["max_tokens"],
        temperature=recorded["temperature"],
        top_p=recorded["top_p"],
        seed=recorded["seed"] if awake.can.seed else None,
        stop=tuple(recorded["stop"]),
        logprobs=recorded["logprobs"],
    )
