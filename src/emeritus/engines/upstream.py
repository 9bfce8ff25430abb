"""A model behind somebody's API: OpenAI- or Anthropic-compatible, nothing retried, every byte kept.

Answers are taken as streams, whose silence tells a dead server from a slow one. A short answer of which no piece is
wanted is asked for whole: that costs both sides less, and nothing is heard until its end.

The weights are not held, so the build names the address and the model and has no weights digest. What a server sends
that is not an answer to what was asked (another model's name, a stream that stops halfway, no log-probabilities where
they were asked for) is an error with the facts, never a shorter answer.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr, field_validator

from emeritus.engines.base import (
    Answer,
    Build,
    Capabilities,
    Message,
    Piece,
    Sampling,
    Scored,
    Tool,
    WeightSource,
    check_messages,
    check_request,
    collect,
    need,
    unsupported,
)
from emeritus.engines.options import Options, read_options
from emeritus.engines.sse import Event, Splitter
from emeritus.engines.wires import Anthropic, Completions, OpenAI, Reading, Wire
from emeritus.errors import BadSettings, ContextTooLong, EngineDied, NotSupported, UpstreamRefused

if TYPE_CHECKING:
    import aiohttp

CONNECT_S = 10.0
TOO_LONG = ("context_length_exceeded", "exceed_context_size_error")  # OpenAI's word and llama.cpp's
TOKEN_S = 2.0  # an answer that takes longer than `timeout_s` at so many seconds a token is never asked for whole
LARGEST_ANSWER = 16 << 20  # bytes of a whole one: few tokens, but each may bring log-probabilities
MAX_SENT = 4096  # bytes of what a server sent that an error about it repeats


class UpstreamOptions(Options):
    """Options of a remote API."""

    base_url: str = Field(description="Address as that API's own SDK takes it, e.g. https://api.example.org/v1.")
    model: str = Field(min_length=1, description="The model's name there.")
    api_key: SecretStr | None = Field(
        default=None, description="The key itself; rather name a variable with api_key_env."
    )
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Environment variable that holds the key."
    )
    wire: Literal["openai", "anthropic"] = Field(default="openai", description="The API's wire format.")
    timeout_s: float = Field(default=120.0, gt=0, description="Longest silence of the server, in seconds.")
    also_named: tuple[str, ...] = Field(
        default=(), description="Other names under which the API may report this model."
    )
    logprobs: bool = Field(default=False, description="Whether the API gives log-probabilities (OpenAI wire only).")
    completions: bool = Field(
        default=False, description="Whether the API has /completions, where raw text goes on (OpenAI wire only)."
    )
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="What the API calls the limit of an answer (OpenAI wire only)."
    )
    keep_alive: bool = Field(
        default=True,
        description="Use connections again; no for servers that close them unannounced after a stream (llama.cpp).",
    )

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value


async def open_engine(options: Any, source: WeightSource | None, *, log_dir: Path, threads: int) -> UpstreamEngine:
    """See `engines.open.open_engine`. Asks nothing of the API: an address may cost money for every call."""
    chosen = read_options(UpstreamOptions, "upstream", options)
    key = chosen.api_key.get_secret_value() if chosen.api_key else None
    if chosen.api_key_env:
        key = os.environ.get(chosen.api_key_env)
        if not key:
            raise BadSettings(f"engine 'upstream': the environment has no {chosen.api_key_env}", option="api_key_env")
    return UpstreamEngine(chosen, key)


class UpstreamEngine:
    """A remote model. One event loop owns it."""

    def __init__(self, options: UpstreamOptions, key: str | None) -> None:
        import aiohttp

        self._options = options
        openai = options.wire == "openai"
        self._wire: Wire = OpenAI(options.max_tokens_field) if openai else Anthropic()
        self._session = aiohttp.ClientSession(
            # the API bounds how many calls it takes at once; who waits for a connection here would wait unseen
            connector=aiohttp.TCPConnector(limit=0, force_close=not options.keep_alive),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._wire.headers(key),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=options.timeout_s),
        )
        self._can = Capabilities(
            logprobs=options.logprobs and openai,
            stop_sequence=not openai,
            complete=options.completions and openai,
            count=not openai,
        )

    @property
    def build(self) -> Build:
        """What answers, as far as can be known from outside."""
        config = {"base_url": self._options.base_url, "model": self._options.model, "wire": self._options.wire}
        return Build("upstream", {}, config, None)

    @property
    def can(self) -> Capabilities:
        """Text always; a remote seed is a hint and binds nothing."""
        return self._can

    @property
    def alive(self) -> bool:
        """False once closed. A remote failure ends one answer, not the engine."""
        return not self._session.closed

    def stream(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()
    ) -> AsyncGenerator[Piece, None]:
        """An answer, piece by piece; see `Awake`. The pieces' raw bytes, joined, are the response's body."""
        return self._ask(self._wire, messages, sampling, tools)

    async def answer(self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()) -> Answer:
        """The whole answer; see `Awake`. `raw` is the response's body, be it one document or a stream."""
        if sampling.max_tokens * TOKEN_S > self._options.timeout_s:
            return await collect(self.stream(messages, sampling, tools))
        return await self._ask_whole(messages, sampling, tools)

    def complete(self, text: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """What follows a raw text; see `Awake`. The pieces' raw bytes, joined, are the response's body."""
        return self._ask(Completions(), [Message("user", text)], sampling)

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Tokens of the prompt as the API counts them; see `Awake`. Anthropic's wire only: OpenAI's has no call."""
        import aiohttp

        check_messages(messages, tools)
        if not isinstance(self._wire, Anthropic):
            raise unsupported("count")
        self._check_tools(messages, tools)
        self._check_alive()
        url = self._wire.count_url(self._options.base_url)
        body = self._wire.count_body(self._options.model, messages)
        try:
            async with self._session.post(url, json=body, allow_redirects=False) as response:
                await _check_response(response, "application/json")
                said = json.loads(await response.content.read(MAX_SENT))
                return int(said["input_tokens"])
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamRefused(f"the upstream did not answer: {_say(error)}", url=url) from error
        except (ValueError, KeyError, TypeError) as error:
            raise UpstreamRefused("the upstream sent a count that its API does not document", url=url) from error

    def _check_tools(self, messages: Sequence[Message], tools: Sequence[Tool]) -> None:
        if tools or any(each.role == "tool" or each.tool_calls for each in messages):
            need(self._can, "tools")

    def _check_alive(self) -> None:
        if not self.alive:
            raise EngineDied("the engine is closed")

    def _check(self, wire: Wire, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool]) -> None:
        check_request(messages, sampling, tools)
        self._check_tools(messages, tools)
        if isinstance(wire, Completions):
            need(self._can, "complete")
        if sampling.logprobs is not None and not self._can.logprobs:
            raise NotSupported(
                "log-probabilities are not declared for this API (option logprobs)", capability="logprobs"
            )
        self._check_alive()

    async def _ask(
        self, wire: Wire, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()
    ) -> AsyncGenerator[Piece, None]:
        self._check(wire, messages, sampling, tools)
        reading = Reading()
        body = wire.body(self._options.model, messages, _asked(sampling))
        url = wire.url(self._options.base_url)
        with _broken_off(url, reading):
            # A redirect would hand the key to another host.
            async with self._session.post(url, json=body, allow_redirects=False) as response:
                await _check_response(response)
                async for piece in self._pieces(response, (wire, reading), sampling):
                    yield piece

    async def _ask_whole(self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool]) -> Answer:
        """An answer in one document, within `timeout_s`; of a server that streams regardless, the stream gathered.

        Leaving early closes the connection, by which servers know that nobody waits.
        """
        wire = self._wire
        self._check(wire, messages, sampling, tools)
        reading = Reading()
        body = wire.whole_body(self._options.model, messages, _asked(sampling))
        url = wire.url(self._options.base_url)
        with _broken_off(url, reading):
            async with (
                asyncio.timeout(self._options.timeout_s),
                self._session.post(url, json=body, allow_redirects=False) as response,
            ):
                if response.content_type == "text/event-stream":
                    await _check_response(response)
                    return await collect(self._pieces(response, (wire, reading), sampling))
                await _check_response(response, "application/json")
                reading.whole = True
                raw = await _read_all(response)
        return self._whole(raw, (wire, reading), sampling)

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """Not possible over these wires."""
        raise NotSupported("a remote API cannot score a given text", capability="score")

    async def close(self) -> None:
        """Drop the connections."""
        await self._session.close()

    def _whole(self, raw: bytes, reader: tuple[Wire, Reading], sampling: Sampling) -> Answer:
        reading = reader[1]
        try:
            event = Event("", raw.decode(), raw)
        except UnicodeDecodeError as error:
            raise UpstreamRefused("the upstream's answer is not UTF-8", sent=raw[:200].hex()) from error
        piece = self._read(event, reader, raw) or Piece("")
        if reading.finish is None:
            raise EngineDied("the upstream's answer has no end", sent=raw[-MAX_SENT:].decode(errors="replace"))
        piece = _with_logprobs(piece, sampling)
        return Answer(
            piece.text,
            reading.finish,
            reading.prompt_tokens,
            reading.completion_tokens,
            piece.logprobs,
            raw,
            reading.stop_sequence if reading.stop_sequence in sampling.stop else None,
        )

    def _read(self, event: Event, reader: tuple[Wire, Reading], raw: bytes) -> Piece | None:
        wire, reading = reader
        try:
            piece = wire.read(event, reading)
            self._check_model(reading)
        except (UpstreamRefused, EngineDied) as error:  # what was sent is evidence, whoever keeps it
            error.facts.setdefault("sent", raw[-MAX_SENT:].decode(errors="replace"))
            raise
        return piece

    async def _pieces(
        self, response: aiohttp.ClientResponse, reader: tuple[Wire, Reading], sampling: Sampling
    ) -> AsyncIterator[Piece]:
        reading, splitter, raw = reader[1], Splitter(), b""
        async for data in response.content.iter_any():
            for event in splitter.feed(data):
                raw += event.raw
                if not event.data:
                    continue  # a comment, or a keep-alive
                piece = self._read(event, reader, raw)
                if piece is None:
                    continue
                piece = _with_logprobs(piece, sampling)
                reading.pieces += 1
                yield Piece(piece.text, piece.logprobs, raw=raw)
                raw = b""
        if reading.finish is None:
            raise EngineDied("the upstream's stream ended in the middle of the answer", pieces=reading.pieces)
        raw += splitter.rest
        by = reading.stop_sequence if reading.stop_sequence in sampling.stop else None
        yield Piece("", (), reading.finish, reading.prompt_tokens, reading.completion_tokens, raw, by)

    def _check_model(self, reading: Reading) -> None:
        """A server that names a model must name the one asked for."""
        names = (self._options.model, *self._options.also_named)
        if reading.model is not None and reading.model not in names:
            raise UpstreamRefused(
                f"{self._options.model!r} was asked, {reading.model!r} answered",
                remedy="If that is the same model under another name, list it in the option also_named.",
                asked=self._options.model,
                answered=reading.model,
            )


@contextmanager
def _broken_off(url: str, reading: Reading) -> Iterator[None]:
    """Around an exchange: what its failure means by how far the answer had come."""
    import aiohttp

    try:
        yield
    except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
        if reading.pieces or reading.model or reading.whole:
            what = "answer" if reading.whole else "stream"
            raise EngineDied(
                f"the upstream's {what} broke off: {_say(error)}", pieces=reading.pieces, model=reading.model
            ) from error
        raise UpstreamRefused(f"the upstream did not answer: {_say(error)}", url=url) from error


def _asked(sampling: Sampling) -> Sampling:
    return replace(sampling, logprobs=1) if sampling.logprobs == 0 else sampling  # llama.cpp: 0 means none at all


def _with_logprobs(piece: Piece, sampling: Sampling) -> Piece:
    """The piece with as many alternatives as were asked for. Raises UpstreamRefused where there are none at all."""
    if sampling.logprobs is not None and piece.text and not piece.logprobs:
        raise UpstreamRefused("the upstream left out the log-probabilities it was asked for")
    if sampling.logprobs == 0:
        return replace(piece, logprobs=tuple(replace(each, top=()) for each in piece.logprobs))
    return piece


async def _read_all(response: aiohttp.ClientResponse) -> bytes:
    """A body of at most LARGEST_ANSWER bytes. Raises UpstreamRefused."""
    raw = bytearray()
    async for data in response.content.iter_any():
        raw += data
        if len(raw) > LARGEST_ANSWER:
            raise UpstreamRefused(f"the upstream's answer is larger than {LARGEST_ANSWER} bytes")
    return bytes(raw)


async def _check_response(response: aiohttp.ClientResponse, kind: str = "text/event-stream") -> None:
    """Raises UpstreamRefused (with status and Retry-After) or ContextTooLong for anything but that kind of response."""
    if response.status == 200 and response.content_type == kind:
        return
    said = (await response.content.read(4096)).decode(errors="replace")
    facts: dict[str, Any] = {"status": response.status, "sent": said[:500]}
    if response.status == 200:
        raise UpstreamRefused(f"the upstream answered with {response.content_type}, not {kind}", **facts)
    if _error_code(said) in TOO_LONG:
        raise ContextTooLong("the upstream says that the prompt does not fit the model's context", **facts)
    if "Retry-After" in response.headers:
        facts["retry_after"] = response.headers["Retry-After"]
    meaning = {
        401: "the key is wrong",
        403: "the key may not do this",
        404: "no such model or address",
        429: "too many requests",
    }
    reason = meaning.get(response.status, "the server failed" if response.status >= 500 else "the request was refused")
    raise UpstreamRefused(f"the upstream answered {response.status}: {reason}", **facts)


def _error_code(body: str) -> str | None:
    """The error's code; its type where the code is a number, as llama.cpp writes it."""
    try:
        error = json.loads(body)["error"]
        code = error["code"] if isinstance(error["code"], str) else error["type"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, str) else None


def _say(error: BaseException) -> str:
    return str(error) or type(error).__name__
