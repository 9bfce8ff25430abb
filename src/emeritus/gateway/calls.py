"""One call, in no vendor's words, and its way: admitted, the resident woken, its pieces produced, what it used metered.

Knows nothing of HTTP. A call asks one or more prompts for `n` choices each; all run at once on one resident, and every
piece says which choice it belongs to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType

from emeritus.access.policy import Admission, Tokens
from emeritus.engines.base import Answer, Awake, Capabilities, Message, Piece, Sampling, Tool, collect
from emeritus.errors import AnswerTooLong, Busy, EngineDied, NotSupported
from emeritus.gateway.backend import GatewayBackend, Limits, ModelInfo
from emeritus.gateway.naming import known_model

RETRY_SOON_S = 10.0  # a caller whose wait for a wake ended joins the same load by coming back
MAX_CHOICES = 128  # prompts times n; OpenAI's bound on n
QUEUED_PIECES = 16  # of several choices that are produced at once

Conversation = tuple[Message, ...]
Prompt = Conversation | str  # a text is continued as it is, without a chat template
Said = tuple[int, Piece]  # the choice, counted from 0, and what was added to it


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for."""

    model: str
    prompts: tuple[Prompt, ...]
    sampling: Sampling
    stream: bool = False
    n: int = 1  # choices of each prompt; with a seed, choice i is drawn with seed + i
    tools: tuple[Tool, ...] = ()  # OpenAI's definitions, for the chat template; calls are part of the answer's text
    count_only: bool = False  # nothing is produced: the answer is how many tokens the prompt has
    count_first: bool = False  # have the first piece of a stream say how many tokens the prompts have, where it can


class Calls:
    """The way of every call over one backend."""

    def __init__(self, backend: GatewayBackend, limits: Limits) -> None:
        self._backend = backend
        self._limits = limits

    async def admit(self, key: str | None, model: str) -> tuple[ModelInfo, Admission, str]:
        """Look the model up and count one request; and what its headers note. Raises NotFound, and what refuses."""
        admitted = self._backend.admit_at_once(key, model)
        return await asyncio.to_thread(self._admit, key, model) if admitted is None else admitted

    async def pieces(self, call: Call, admission: Admission) -> AsyncGenerator[Said, None]:
        """The answer's pieces, after one empty piece that says the resident is awake. Meters what was used.

        A request counts when its caller got something: any piece of a stream, or the whole of an answer that is not.
        A stream that its reader leaves, or whose time is over, is charged what was produced until then; one that an
        engine broke off, what had come to its end.
        """
        used: Tokens | None = None
        ended: dict[int, Tokens] = {}
        begun: dict[int, Tokens] = {}
        prompt = 0
        choices = len(call.prompts) * call.n
        try:
            async with self._awake(call.model, call.stream) as awake:
                _refuse_unable(awake.can, call)
                if call.count_first or (call.stream and any(each.unit == "tokens" for each in admission.limits)):
                    prompt = await _count(awake, call)  # or a token budget could be kept by leaving before the end
                yield 0, Piece("", prompt_tokens=prompt)
                async with aclosing(_all(awake, call)) as said:
                    async for index, piece in said:
                        if piece.finish_reason is not None:
                            ended[index] = Tokens(piece.prompt_tokens, piece.completion_tokens)
                        elif call.stream and piece.text:
                            known = begun.get(index, Tokens())
                            begun[index] = Tokens(
                                piece.prompt_tokens, max(known.completion + 1, piece.completion_tokens)
                            )
                        if len(ended) == choices or (call.stream and used is None):
                            used = sum_used(ended, call.n)
                        yield index, piece
            if len(ended) < choices:
                raise EngineDied(f"{call.model!r} stopped answering without an end")
        except (GeneratorExit, asyncio.CancelledError):
            made = sum_used({**begun, **ended}, call.n)
            ended = {0: Tokens(max(prompt, made.prompt), made.completion)}
            raise
        finally:
            if used is not None and call.stream:
                used = sum_used(ended, call.n)
            self._backend.meter(admission, used)

    async def answers(self, call: Call, admission: Admission) -> Sequence[Answer]:
        """The whole answer of every choice, in order; meters what was used."""
        if call.count_only:
            return await self._counted(call, admission)
        if len(call.prompts) * call.n == 1:
            return [await self._answer(call, admission)]
        gathered = [_Gathered() for _ in range(len(call.prompts) * call.n)]
        async with ended_after(self._limits.answer_s) as begin, aclosing(self.pieces(call, admission)) as said:
            async for index, piece in said:
                begin()
                gathered[index].add(piece)
        return [one.answer() for one in gathered]

    async def _answer(self, call: Call, admission: Admission) -> Answer:
        """The one answer of a call that asks for one: without what several need, which costs more than it does."""
        used: Tokens | None = None
        try:
            limit = ended_after(self._limits.answer_s)
            async with limit as begin, self._awake(call.model, stream=False) as awake:
                begin()
                _refuse_unable(awake.can, call)
                prompt = call.prompts[0]
                if isinstance(prompt, str):
                    answer = await collect(awake.complete(prompt, call.sampling))
                elif call.tools:
                    answer = await awake.answer(prompt, call.sampling, call.tools)
                else:
                    answer = await awake.answer(prompt, call.sampling)
                used = Tokens(answer.prompt_tokens, answer.completion_tokens)
                return answer
        finally:
            self._backend.meter(admission, used)

    async def _counted(self, call: Call, admission: Admission) -> Sequence[Answer]:
        """How many tokens the prompts have, as one empty answer. Counts as a request that used none."""
        used: Tokens | None = None
        try:
            async with self._awake(call.model, stream=False) as awake:
                _refuse_unable(awake.can, call)
                if not awake.can.count:
                    raise NotSupported(f"{call.model!r} runs on an engine that counts no tokens without an answer")
                prompt = await _count(awake, call)
                used = Tokens()
                return [Answer("", "stop", prompt, 0)]
        finally:
            self._backend.meter(admission, used)

    def _awake(self, model: str, stream: bool) -> _Held:
        timeout_s = self._limits.stream_wake_timeout_s if stream else self._limits.wake_timeout_s
        return _Held(model, self._backend.awake(model), timeout_s)

    def _admit(self, key: str | None, model: str) -> tuple[ModelInfo, Admission, str]:
        info = known_model(self._backend, model)
        admission = self._backend.admit(key, info.name)
        return info, admission, self._backend.note(admission)


@asynccontextmanager
async def ended_after(answer_s: float) -> AsyncIterator[Callable[[], None]]:
    """End the block so many seconds after the first call of what it is given, which its task alone runs.

    Raises AnswerTooLong. So nobody who waits for a resident's place waits longer than is declared (docs/residency.md).
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as limit:

            def begin() -> None:
                if limit.when() is None:
                    limit.reschedule(loop.time() + answer_s)

            yield begin
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise AnswerTooLong(f"the answer was not at its end after {answer_s:g} s") from error


class _Held:
    """A resident held awake for the length of the block. Raises Busy when it takes too long to wait for."""

    def __init__(self, model: str, resident: AbstractAsyncContextManager[Awake], timeout_s: float) -> None:
        self._model = model
        self._resident = resident
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Awake:
        try:
            async with asyncio.timeout(self._timeout_s) as waiting:
                return await self._resident.__aenter__()
        except TimeoutError as error:
            if not waiting.expired():
                raise
            raise Busy(
                f"{self._model!r} is still waking after {self._timeout_s:g} s",
                remedy="Send the request again: the load goes on meanwhile. A streamed request waits longer.",
                retry_after_s=min(self._timeout_s, RETRY_SOON_S),
            ) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resident.__aexit__(kind, error, trace)


class _Gathered:
    """One choice's pieces, gathered into an answer."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    def add(self, piece: Piece) -> None:
        """Keep a piece."""
        self._pieces.append(piece)

    def answer(self) -> Answer:
        """All of it. `raw` stays empty: nobody here keeps it."""
        last = self._pieces[-1]
        return Answer(
            "".join(piece.text for piece in self._pieces),
            last.finish_reason or "stop",
            last.prompt_tokens,
            last.completion_tokens,
            tuple(entry for piece in self._pieces for entry in piece.logprobs),
            stop_sequence=last.stop_sequence,
        )


def total(answers: Sequence[Answer], n: int) -> Tokens:
    """What answers used together: a prompt counts once however many choices it was asked for."""
    return sum_used({i: Tokens(one.prompt_tokens, one.completion_tokens) for i, one in enumerate(answers)}, n)


def sum_used(ended: Mapping[int, Tokens], n: int) -> Tokens:
    """What choices used together, by their index: `n` of them share a prompt, which counts once."""
    prompts = {index // n: tokens.prompt for index, tokens in ended.items()}
    return Tokens(sum(prompts.values()), sum(tokens.completion for tokens in ended.values()))


def _refuse_unable(can: Capabilities, call: Call) -> None:
    if call.sampling.logprobs is not None and not can.logprobs:
        raise NotSupported(f"{call.model!r} runs on an engine that reports no log-probabilities", param="logprobs")
    if call.sampling.stop and not can.stop:
        raise NotSupported(f"{call.model!r} runs on an engine that knows no stop sequences", param="stop")
    if not can.tools and (call.tools or any(_of_tools(prompt) for prompt in call.prompts)):
        raise NotSupported(f"{call.model!r} has no place for tools in its chat template", param="tools")
    if not can.complete and any(isinstance(prompt, str) for prompt in call.prompts):
        raise NotSupported(f"{call.model!r} runs on an engine that answers conversations only", param="prompt")


def _of_tools(prompt: Prompt) -> bool:
    return not isinstance(prompt, str) and any(turn.role == "tool" or turn.tool_calls for turn in prompt)


async def _count(awake: Awake, call: Call) -> int:
    """Tokens of all prompts, where the engine tells; else 0."""
    if not awake.can.count:
        return 0
    conversations = [prompt for prompt in call.prompts if not isinstance(prompt, str)]
    return sum([await awake.count(messages, call.tools) for messages in conversations])


def _produced(awake: Awake, prompt: Prompt, sampling: Sampling, tools: Sequence[Tool]) -> AsyncIterator[Piece]:
    if isinstance(prompt, str):
        return awake.complete(prompt, sampling)
    return awake.stream(prompt, sampling, tools) if tools else awake.stream(prompt, sampling)


def _all(awake: Awake, call: Call) -> AsyncGenerator[Said, None]:
    """What every choice says, as it comes."""
    streams: list[AsyncGenerator[Said, None]] = []
    for place, prompt in enumerate(call.prompts):
        for choice in range(call.n):
            sampling = call.sampling
            if choice and sampling.seed is not None:
                sampling = replace(sampling, seed=sampling.seed + choice)
            streams.append(_one(place * call.n + choice, _produced(awake, prompt, sampling, call.tools)))
    return streams[0] if len(streams) == 1 else _merged(streams)


async def _one(index: int, pieces: AsyncIterator[Piece]) -> AsyncGenerator[Said, None]:
    """One choice's pieces; leaving the iteration cancels the generation."""
    try:
        async for piece in pieces:
            yield index, piece
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


async def _merged(streams: Sequence[AsyncGenerator[Said, None]]) -> AsyncGenerator[Said, None]:
    """Several choices at once, in the order in which their pieces come; the first failure ends all of them."""
    queue: asyncio.Queue[Said | Exception | None] = asyncio.Queue(QUEUED_PIECES)

    async def pour(stream: AsyncGenerator[Said, None]) -> None:
        try:
            async with aclosing(stream) as said:
                async for item in said:
                    await queue.put(item)
            await queue.put(None)
        except Exception as error:  # handed to whoever reads: a task of its own has no caller
            await queue.put(error)

    tasks = [asyncio.create_task(pour(stream)) for stream in streams]
    try:
        running = len(tasks)
        while running:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
