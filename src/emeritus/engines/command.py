"""Any OpenAI-compatible server, started from a template, asked through `upstream`'s client, ended with its whole group.

Templates: `vllm serve {folder} --port {port} --served-model-name {model}`, `llama-server -m {file} --port {port}`.
Placeholders: {folder} the resident's files, {light} its files without weights, for servers that read those from a vault
themselves (docs/loading.md), {file} its only .gguf file, {port} a free port, {model} the model's name, {python} this
interpreter. No shell is involved.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import string
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

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
    collect,
)
from emeritus.engines.guard import GRACE_S
from emeritus.engines.log_file import open_log
from emeritus.engines.options import Options, read_options
from emeritus.engines.ports import Port
from emeritus.engines.upstream import UpstreamEngine, UpstreamOptions
from emeritus.errors import BadSettings, EngineDied, EngineFailed, NotSupported, UpstreamRefused

if TYPE_CHECKING:
    import aiohttp

PLACEHOLDERS = frozenset({"folder", "light", "file", "port", "model", "python"})
POLL_S = 0.05
NOTICE_S = 0.5  # after a broken connection: how long the server's own end may take to show
ASK_S = 2.0  # while it starts: how long one question whether it is healthy may take
END_S = 5.0  # beyond the grace a server gets from its guard; then the guard itself is killed


class CommandOptions(Options):
    """Options of a server started here."""

    command: str = Field(
        min_length=1, description="The command, with placeholders; split as a shell would, run without one."
    )
    model: str = Field(default="resident", min_length=1, description="The model's name at the server.")
    health: str = Field(default="/health", pattern=r"^/", description="Path that answers 200 once the server is ready.")
    start_timeout_s: float = Field(default=600.0, gt=0, description="Longest time until it is healthy, in seconds.")
    timeout_s: float = Field(default=120.0, gt=0, description="Longest silence while it answers, in seconds.")
    health_timeout_s: float = Field(
        default=10.0,
        gt=0,
        description="Longest time to say that it is healthy, in seconds, after an answer broke off; a server that does "
        "not is ended.",
    )
    drain_s: float = Field(
        default=5.0,
        ge=0,
        description="Time a server gets after SIGTERM to finish what it is answering, in seconds; then SIGKILL.",
    )
    wire: Literal["openai", "anthropic"] = Field(default="openai", description="The server's wire format.")
    also_named: tuple[str, ...] = Field(
        default=(), description="Other names under which the server may report the model."
    )
    logprobs: bool = Field(default=False, description="Whether the server gives log-probabilities.")
    completions: bool = Field(
        default=True, description="Whether the server has /completions, where raw text goes on (OpenAI wire only)."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables added to the server's environment."
    )

    @field_validator("command")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        words = shlex.split(value)
        if not words:
            raise ValueError("is empty")
        for word in words:
            for _, name, spec, conversion in string.Formatter().parse(word):
                if name is not None and (name not in PLACEHOLDERS or spec or conversion):
                    raise ValueError(f"unknown placeholder {{{name}}}; known: {', '.join(sorted(PLACEHOLDERS))}")
        if "light" in (named := _placeholders(value)) and named & {"folder", "file"}:
            raise ValueError("has both {light} and files that would be restored with the weights")
        return value


async def open_engine(options: Any, source: WeightSource | None, *, log_dir: Path, threads: int) -> CommandEngine:
    """See `engines.open.open_engine`. `threads` is given to the server as OMP_NUM_THREADS when set."""
    chosen = read_options(CommandOptions, "command", options)
    folder = light = None
    if source is not None and "light" in _placeholders(chosen.command):
        light = await asyncio.to_thread(source.light_folder)
    elif source is not None:
        folder = await asyncio.to_thread(source.folder)
    port = Port()
    try:
        return await _open(chosen, port, _fill(chosen, folder, light, port.number), (source, log_dir, threads))
    except BaseException:
        port.close()
        raise


async def _open(
    chosen: CommandOptions, port: Port, words: list[str], where: tuple[WeightSource | None, Path, int]
) -> CommandEngine:
    source, log_dir, threads = where
    digest = None if source is None else source.weights_digest
    log_path = log_dir / f"command-{(digest or chosen.model.replace('/', '_'))[:12]}.log"
    environment = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {}), **chosen.environment}
    process = await _start(words, environment, (log_path, chosen.drain_s))
    address = f"http://127.0.0.1:{port.number}"
    client = UpstreamEngine(
        UpstreamOptions(
            base_url=address + ("/v1" if chosen.wire == "openai" else ""),
            model=chosen.model,
            wire=chosen.wire,
            timeout_s=chosen.timeout_s,
            also_named=chosen.also_named,
            logprobs=chosen.logprobs,
            completions=chosen.completions,
            keep_alive=False,  # on this machine a connection costs nothing
        ),
        key=None,
    )
    build = Build("command", {}, {"command": chosen.command, "model": chosen.model, "wire": chosen.wire}, digest)
    engine = CommandEngine((process, port), client, build, log_path)
    engine.source = source
    try:
        await engine.wait_until_healthy(address + chosen.health, chosen)
    except BaseException:
        await engine.close()
        raise
    return engine


class CommandEngine:
    """A server of our own. One event loop owns it."""

    def __init__(
        self, server: tuple[asyncio.subprocess.Process, Port], client: UpstreamEngine, build: Build, log_path: Path
    ) -> None:
        self._process, self._port = server  # the guard, whose status is the server's
        self._health: tuple[str, CommandOptions] | None = None  # where to ask, once it was healthy
        self._sick = False
        self._client = client
        self._build = build
        self._log_path = log_path
        self._closed = False
        self.source: WeightSource | None = None  # held while the files are used, so that they stay where they are

    @property
    def build(self) -> Build:
        """What answers."""
        return self._build

    @property
    def can(self) -> Capabilities:
        """What its wire can do, and a count of tokens, which it may do by a short answer."""
        return replace(self._client.can, count=True)

    @property
    def alive(self) -> bool:
        """False once closed or once the server has ended."""
        return not self._closed and not self._sick and self._process.returncode is None

    async def wait_until_healthy(self, url: str, options: CommandOptions) -> None:
        """Ask until the server says it is ready. Raises EngineFailed when it ends first, or takes too long."""
        timeout_s = options.start_timeout_s
        deadline = time.monotonic() + timeout_s
        async with _session(ASK_S) as session:
            while self.alive:
                if await _says_ok(session, url):
                    self._health = (url, options)
                    return
                if time.monotonic() > deadline:
                    raise EngineFailed(
                        f"the server was not healthy within {timeout_s:g} s", url=url, log=str(self._log_path)
                    )
                await asyncio.sleep(POLL_S)
        raise EngineFailed(f"the server ended before it was healthy: {self._how()}", log=str(self._log_path))

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()
    ) -> AsyncGenerator[Piece, None]:
        """An answer, piece by piece; see `Awake`."""
        async with self._noticing(), aclosing(self._client.stream(messages, sampling, tools)) as pieces:
            async for piece in pieces:
                yield piece

    async def answer(self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()) -> Answer:
        """The whole answer; see `Awake`."""
        return await collect(self.stream(messages, sampling, tools))

    async def complete(self, text: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """What follows a raw text; see `Awake`."""
        async with self._noticing(), aclosing(self._client.complete(text, sampling)) as pieces:
            async for piece in pieces:
                yield piece

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Tokens of the prompt; see `Awake`. Over OpenAI's wire the usage of an answer of one token says it."""
        async with self._noticing():
            if self._client.can.count:
                return await self._client.count(messages, tools)
            return (await self._client.answer(messages, Sampling(max_tokens=1, temperature=0.0), tools)).prompt_tokens

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """Not part of the OpenAI API."""
        raise NotSupported("a server behind the OpenAI API cannot score a given text", capability="score")

    async def close(self) -> None:
        """End the server and everything it started: it is told to, may finish what it is answering, and is killed."""
        self._closed = True
        await self._end()
        await self._client.close()
        self._port.close()
        self.source = None

    @contextlib.asynccontextmanager
    async def _noticing(self) -> AsyncIterator[None]:
        """Around a call: one that fails because the server has ended says so."""
        self._check_alive()
        try:
            yield
        except (UpstreamRefused, EngineDied) as error:
            if "status" not in error.facts:  # the connection failed: is it because the server is gone?
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self._process.wait()), NOTICE_S)
                self._check_alive(error)
                await self._check_health()
                self._check_alive(error)
            raise

    async def _check_health(self) -> None:
        """A server that says nothing and is not healthy either is stuck: it is ended, and the engine with it."""
        if self._health is None:
            return
        url, options = self._health
        async with _session(options.health_timeout_s) as session:
            if await _says_ok(session, url):
                return
        self._sick = True
        await self._end()

    async def _end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()  # the guard's signal to end the group
        grace = GRACE_S if self._health is None else self._health[1].drain_s
        try:
            await asyncio.wait_for(self._process.wait(), grace + END_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _check_alive(self, cause: Exception | None = None) -> None:
        if not self.alive:
            raise EngineDied(f"the server has ended: {self._how()}", log=str(self._log_path)) from cause

    def _how(self) -> str:
        if self._sick:
            return "it no longer said that it was healthy"
        return "it was closed" if self._closed else f"status {self._process.returncode}"


def _session(timeout_s: float) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s))


async def _says_ok(session: aiohttp.ClientSession, url: str) -> bool:
    import aiohttp

    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _start(words: list[str], environment: dict[str, str], kept: tuple[Path, float]) -> asyncio.subprocess.Process:
    """The command under its guard, output to the log; `kept` are that file and the grace at the end, in seconds."""
    log_path, grace = kept
    with open_log(log_path) as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "emeritus.engines.guard",
            f"--grace={grace:g}",
            f"--log={log_path}",
            "--",
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )


def _placeholders(command: str) -> set[str]:
    parsed = (part for word in shlex.split(command) for part in string.Formatter().parse(word))
    return {name for _, name, _, _ in parsed if name is not None}


def _fill(options: CommandOptions, folder: Path | None, light: Path | None, port: int) -> list[str]:
    """The command's words with their placeholders filled. Raises BadSettings when a file asked for is not there."""
    values = {"port": str(port), "model": options.model, "python": sys.executable}
    if light is not None:
        values["light"] = str(light.resolve())
    if folder is not None:
        values["folder"] = str(folder.resolve())
        files = sorted(folder.rglob("*.gguf"))
        if len(files) == 1:
            values["file"] = str(files[0].resolve())
    try:
        return [word.format_map(values) for word in shlex.split(options.command)]
    except KeyError as error:
        why = "there is not exactly one .gguf file" if error.args[0] == "file" and folder else "no weights are held"
        raise BadSettings(f"engine 'command': {{{error.args[0]}}} cannot be filled: {why}", option="command") from error
