"""What the gateway's tests share: an in-memory house with a puppet of an engine, served by a real uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Mount

from emeritus.access.policy import Admission, Tokens
from emeritus.engines.base import (
    Answer,
    Build,
    Capabilities,
    Message,
    Piece,
    Sampling,
    Scored,
    TokenLogprob,
    Tool,
    collect,
)
from emeritus.errors import BadKey, EngineDied, NotEntitled, NotFound, NotSupported, QuotaExceeded
from emeritus.gateway.app import build_gateway
from emeritus.gateway.backend import Limits, ModelInfo
from serving import serving

KEY = "em_000000000000_right"
DIGEST = "ab" * 32
IBIS = ModelInfo(
    name="ibis",
    title="Ibis 7B",
    owned_by="Test House",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    tier="on-demand",
    offering="retired",
    access="by request",
    preservation="proven",
    reachable=True,
    weights_digest=DIGEST,
    deprecated=datetime(2027, 1, 1, tzinfo=UTC),
    retires=datetime(2027, 3, 1, tzinfo=UTC),
    expected_wake_s=12.3,
    page="https://house.example/residents/ibis",
)
HERON = replace(IBIS, name="heron", weights_digest=None, deprecated=None, retires=None, offering="active")
LIMITS = Limits(64 << 10, wake_timeout_s=0.3, stream_wake_timeout_s=20.0, grace_s=0.3, heartbeat_s=0.05)
WORDS = ("The ", "model ", "pro", "duced ", "this", "…")


class Puppet:
    """A working fake of an engine: says its words, records what it was asked, and fails or waits where told."""

    def __init__(self) -> None:
        self.words: Sequence[str] = WORDS
        self.can = Capabilities(logprobs=True, seed=True, tools=True, complete=True, count=True)
        self.build = Build("puppet")
        self.asked: list[tuple[Sequence[Message], Sampling]] = []
        self.continued: list[tuple[str, Sampling]] = []
        self.shown: list[Sequence[Tool]] = []  # tools, of each conversation
        self.fails_after: tuple[int, Exception] | None = None  # words said before it fails
        self.pause_s = 0.0
        self.endless = False
        self.cancelled = 0
        self.running = 0

    def stream(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[Piece]:
        """Say the words, one piece each."""
        self.asked.append((messages, sampling))
        self.shown.append(tools)
        return self._say(sampling)

    def complete(self, text: str, sampling: Sampling) -> AsyncIterator[Piece]:
        """The same words after any text."""
        self.continued.append((text, sampling))
        return self._say(sampling)

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """As many as an answer says there were."""
        return 12

    async def _say(self, sampling: Sampling) -> AsyncIterator[Piece]:
        self.running += 1
        try:
            said = 0
            for word in self._words():
                if self.fails_after is not None and said == self.fails_after[0]:
                    raise self.fails_after[1]
                await asyncio.sleep(self.pause_s)
                yield Piece(word, self._logprobs(word, sampling))
                said += 1
            yield Piece("", finish_reason="stop", prompt_tokens=12, completion_tokens=said)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def answer(self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()) -> Answer:
        """The same, whole."""
        return await collect(self.stream(messages, sampling, tools))

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """Not what the gateway asks for."""
        raise NotSupported("the puppet scores nothing")

    def _words(self) -> Iterator[str]:
        yield from self.words
        while self.endless:
            yield "again "

    @staticmethod
    def _logprobs(word: str, sampling: Sampling) -> tuple[TokenLogprob, ...]:
        if sampling.logprobs is None:
            return ()
        top = ((word, -0.25), ("\ufffd", float("-inf")))[: sampling.logprobs]
        return (TokenLogprob(word, -0.25, top),)


@dataclass
class House:
    """The backend in memory. One load however many wait, and it survives their leaving, as residency promises."""

    puppet: Puppet = field(default_factory=Puppet)
    asleep: asyncio.Event | None = None  # while set aside, waking waits for it
    wake_error: Exception | None = None
    quota: int = 1000
    loads: int = 0
    admitted: int = 0
    metered: list[Tokens | None] = field(default_factory=list)
    held: int = 0  # how many hold the resident awake
    fault: Exception | None = None
    _load: asyncio.Task[None] | None = None

    def models(self) -> Sequence[ModelInfo]:
        """Both residents."""
        if self.fault is not None:
            raise self.fault
        return (IBIS, HERON)

    def model(self, name: str) -> ModelInfo:
        """One of them."""
        found = {info.name: info for info in (IBIS, HERON)}.get(name)
        if found is None:
            raise NotFound(f"no resident {name!r}")
        return found

    def admit(self, key: str | None, resident: str) -> Admission:
        """Admit the one key to the one resident."""
        if key != KEY:
            raise BadKey("no key like the one sent is known")
        if resident != "ibis":
            raise NotEntitled(f"this key's grant does not cover {resident!r}")
        if self.admitted >= self.quota:
            raise QuotaExceeded("the day's requests are used up", retry_after_s=3600)
        self.admitted += 1
        return Admission(resident, "000000000000", "g-1", "granted", "1", "2027-03-01")

    def admit_at_once(self, key: str | None, resident: str) -> tuple[ModelInfo, Admission, str] | None:
        """Nothing: so that the tests go the way through a thread, which every call can take."""
        return None

    def note(self, admission: Admission) -> str:
        """Nothing to say."""
        return ""

    @asynccontextmanager
    async def awake(self, resident: str) -> AsyncIterator[Puppet]:
        """Hold the puppet awake once the one load is done."""
        if self._load is None:
            self._load = asyncio.create_task(self._wake())
        await asyncio.shield(self._load)
        self.held += 1
        try:
            yield self.puppet
        finally:
            self.held -= 1

    def meter(self, admission: Admission, tokens: Tokens | None) -> None:
        """Keep what was used."""
        self.metered.append(tokens)

    @property
    def load_done(self) -> bool:
        """Whether the load came to its end, and was not cancelled."""
        return self._load is not None and self._load.done() and not self._load.cancelled()

    async def _wake(self) -> None:
        self.loads += 1
        if self.asleep is not None:
            await self.asleep.wait()
        if self.wake_error is not None:
            raise self.wake_error


def leftovers(value: object, path: str = "") -> list[str]:
    """Fields that the SDK's types do not know, by path."""
    if isinstance(value, BaseModel):
        found = [f"{path}.{name}" for name in value.model_extra or {}]
        for name in type(value).model_fields:
            found += leftovers(getattr(value, name), f"{path}.{name}")
        return found
    if isinstance(value, list):
        return [entry for item in value for entry in leftovers(item, f"{path}[]")]
    return []


def died() -> EngineDied:
    """The engine's end, with a message that names a path no caller should read."""
    return EngineDied("worker 4711 ended with signal 9; see /srv/secret/logs/ibis.log")


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait until a condition is true; raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


@asynccontextmanager
async def served(house: House, limits: Limits = LIMITS) -> AsyncIterator[str]:
    """The gateway under /v1 on a loopback port; yields its base address."""
    async with serving(Starlette(routes=[Mount("/v1", app=build_gateway(house, limits))])) as address:
        yield f"{address}/v1"
