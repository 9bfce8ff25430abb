"""The embedded engine: a Hugging Face model directory, run on the CPU by torch in a worker process of its own.

This module is the parent's side and never imports torch. The worker is forked from the zygote; it is killed to free
everything it holds, and it ends by itself when this process does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from dataclasses import astuple
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from emeritus.engines import zygote
from emeritus.engines.base import (
    Build,
    Capabilities,
    SharedWeights,
    WeightSource,
)
from emeritus.engines.heard import read_line
from emeritus.engines.lines import read_error
from emeritus.engines.log_file import open_log
from emeritus.engines.options import Options, read_options
from emeritus.engines.ordered import Ordered
from emeritus.engines.replies import Replies
from emeritus.errors import BadSettings, EmeritusError, EngineDied, EngineFailed, ExtraMissing, IntegrityError

Json = dict[str, Any]
LINE_LIMIT = 64 << 20  # a score of a long text is one line
LOOKS = 8  # times a worker is looked at, in vain, before it counts as stuck


class TransformersOptions(Options):
    """Options of the embedded engine. Whatever changes an answer's bits ends up in the build."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Type to compute in; auto: as stored."
    )
    onednn: bool | None = Field(
        default=None,
        description="Use oneDNN: faster for long prompts and several answers together, slower token by token; unset: "
        "with batching together.",
    )
    attention: Literal["auto", "eager", "sdpa"] = Field(
        default="auto", description="How attention is computed; auto: the library's choice for the architecture."
    )
    batching: Literal["turns", "together"] = Field(
        default="turns",
        description="turns: answers run token by token, each as though alone; together: one pass for all, faster, "
        "but what else runs moves an answer's last bits.",
    )
    at_once: int = Field(default=4, ge=1, le=64, description="Answers that run at once; further calls wait.")
    stuck_s: float = Field(
        default=600.0,
        gt=0,
        description="Longest time without any progress while something is asked, in seconds; then the worker is ended.",
    )
    load_timeout_s: float = Field(default=600.0, gt=0, description="Longest time to load the model, in seconds.")


async def open_engine(options: Any, source: WeightSource | None, *, log_dir: Path, threads: int) -> TransformersEngine:
    """See `engines.open.open_engine`."""
    chosen = read_options(TransformersOptions, "transformers", options)
    if source is None:
        raise BadSettings("engine 'transformers' needs weights, and none are held for this resident")
    if any(find_spec(name) is None for name in ("torch", "transformers", "safetensors")):
        raise ExtraMissing("the embedded engine needs the extra 'local'", extra="local")
    zygote.shared()  # first, so that it imports while the files are fetched
    shared = await asyncio.to_thread(source.shared)
    proof: Callable[[], None] | None = None
    if shared is None:
        folder, proof = await asyncio.to_thread(source.folder_unproven)
    else:
        folder = shared.folder
    order = {
        "do": "open",
        "folder": str(await asyncio.to_thread(folder.resolve)),
        "tensors": None if shared is None else [astuple(each) for each in shared.tensors],
        "dtype": chosen.dtype,
        "threads": threads or _cores(),
        "onednn": chosen.batching == "together" if chosen.onednn is None else chosen.onednn,
        "attention": chosen.attention,
        "at_once": chosen.at_once,
        "batching": chosen.batching,
    }
    try:
        return await _woken(chosen, source, order, log_dir, (shared, proof))
    except IntegrityError:
        if proof is None:
            raise
    order["folder"] = str(await asyncio.to_thread(lambda: source.folder().resolve()))
    return await _woken(chosen, source, order, log_dir, (None, None))


async def _woken(
    chosen: TransformersOptions,
    source: WeightSource,
    order: Json,
    log_dir: Path,
    weights: tuple[SharedWeights | None, Callable[[], None] | None],
) -> TransformersEngine:
    """A worker with the model loaded. `weights`: those in memory; what verifies those in files while they are loaded.

    It is not given out before that has returned. Raises what that and the worker raise; the worker has ended then.
    """
    shared, proof = weights
    starter, log_path = zygote.shared(), log_dir / f"transformers-{source.weights_digest[:12]}.log"
    ours, theirs = socket.socketpair()
    try:
        pid = await asyncio.to_thread(_fork, starter, theirs, log_path, shared)
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
    except BaseException:
        ours.close()
        raise
    engine = TransformersEngine((reader, writer), starter, pid, log_path)
    engine.source = source
    proven = None if proof is None else asyncio.create_task(asyncio.to_thread(proof))
    try:
        async with asyncio.timeout(chosen.load_timeout_s):
            try:
                await engine.load(order, source.weights_digest, chosen.stuck_s)
            finally:
                if proven is not None:
                    await proven  # also where loading failed: damage is the better reason
    except TimeoutError as error:
        await engine.close()
        raise EngineFailed(f"the model was not loaded within {chosen.load_timeout_s:g} s", log=str(log_path)) from error
    except BaseException:
        await engine.close()
        raise
    return engine


def other_configuration(build: Build) -> tuple[dict[str, Any], int]:
    """Options (beside the resident's own) and threads that compute the same in another order than `build` did.

    Everything that may change the last bits is changed: threads, oneDNN, and the attention where it was the fused one.
    """
    config = build.config
    options: dict[str, Any] = {"onednn": not config["onednn"]}
    if config["attention"] == "sdpa":
        options["attention"] = "eager"
    return options, 2 if config["threads"] == 1 else 1


def _fork(starter: zygote.Zygote, theirs: socket.socket, log_path: Path, shared: SharedWeights | None) -> int:
    with theirs, open_log(log_path) as log:
        if shared is None:
            return starter.fork(theirs, log.fileno())
        with closing(shared):  # from here on the memory is the worker's: it goes when the worker does
            return starter.fork(theirs, log.fileno(), shared.descriptor)


def _cores() -> int:
    """Cores this process may use; macOS cannot tell them from all there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class TransformersEngine(Ordered):
    """A loaded model. One event loop owns it."""

    def __init__(
        self,
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        starter: zygote.Zygote,
        pid: int,
        log_path: Path,
    ) -> None:
        self._reader, self._writer = connection
        self._starter = starter
        self._log_path = log_path
        self._build = Build("transformers")
        self._can = Capabilities()
        self._calls: dict[int, Replies] = {}
        self._last_call = 0
        self._heard = 0  # lines
        self._stuck_s: float | None = None  # set when it was ended for being stuck
        self._garbled = False  # it was ended for saying what is no reply
        self._ended: EmeritusError | None = None
        self._closing = False
        self._listening = asyncio.create_task(self._listen())
        self._watching: asyncio.Task[None] | None = None
        self.pid = pid  # the worker's, for operators and tests
        self.source: WeightSource | None = None  # held while the files are used, so that they stay where they are

    @property
    def build(self) -> Build:
        """What answers."""
        return self._build

    @property
    def can(self) -> Capabilities:
        """Everything; tools where the model's chat template has a place for them."""
        return self._can

    @property
    def alive(self) -> bool:
        """False once closed or once the worker has ended."""
        return self._ended is None and not self._closing

    async def load(self, order: Json, weights_digest: str, stuck_s: float) -> None:
        """Have the worker load its model; once, by `open_engine`. Raises what the worker raised."""
        replies = self._calls[0] = Replies()
        self._send(order)
        reply = _unless_error(await replies.get())
        del self._calls[0]
        if not {"config", "versions", "tools"} <= reply.keys():
            raise EngineDied("the model's process did not say what it loaded", log=str(self._log_path))
        self._build = Build("transformers", reply["versions"], reply["config"], weights_digest)
        self._can = Capabilities(
            logprobs=True,
            score=True,
            seed=True,
            stop_sequence=True,
            tools=reply["tools"],
            complete=True,
            count=True,
            perturb=True,
        )
        self._watching = asyncio.create_task(self._watch(stuck_s))

    async def close(self) -> None:
        """Kill the worker and reap it. Answers under way end with EngineDied."""
        self._closing = True
        if self._watching is not None:
            self._watching.cancel()
        self._writer.close()  # the worker ends as soon as it reads this
        await asyncio.to_thread(self._starter.end, self.pid)
        await self._listening
        self.source = None
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _call(self, order: Json) -> AsyncGenerator[Json, None]:
        if self._ended or self._closing:
            raise self._ended or EngineDied("the engine is closed")
        self._last_call += 1
        call, running = self._last_call, True
        replies = self._calls[call] = Replies()
        try:
            self._send({**order, "call": call})
            while True:
                reply = await replies.get()
                running = isinstance(reply, dict) and "error" not in reply and "end" not in reply
                reply = _unless_error(reply)
                if not running:
                    return
                yield reply
        finally:
            del self._calls[call]
            if running and self.alive:
                self._send({"do": "cancel", "call": call})

    def _send(self, order: Json) -> None:
        # Orders are small and the worker always reads, so the transport's buffer needs no waiting for.
        self._writer.write(json.dumps(order, separators=(",", ":")).encode() + b"\n")

    async def _listen(self) -> None:
        """Hand each reply to its call; when the worker ends, tell every call at once."""
        line = b"\n"  # what is too long for a line never gets here
        try:
            while line := await self._reader.readline():
                self._heard += 1
                reply = read_line(line)
                waiting = self._calls.get(reply.get("call") or 0)
                if waiting is not None:  # None: cancelled meanwhile
                    waiting.put(reply)
        except OSError:  # reset
            pass
        except ValueError:  # no reply at all, or the beginning of one, cut off by the worker's end
            self._garbled = line.endswith(b"\n")
        status = None if self._closing else await asyncio.to_thread(self._starter.end, self.pid)
        self._ended, self.source = self._obituary(status), None  # nobody uses its files or lends its weights any more
        for waiting in self._calls.values():
            waiting.put(self._ended)

    async def _watch(self, stuck_s: float) -> None:
        """End a worker that was asked something and gets nothing done: it says at least once a second that it does."""
        silent, heard = 0, self._heard
        while silent < LOOKS:
            await asyncio.sleep(stuck_s / LOOKS)
            # Counted in looks, so that time in which this process itself stood still counts for one at most.
            silent = silent + 1 if self._calls and heard == self._heard else 0
            heard = self._heard
        self._stuck_s = stuck_s
        await asyncio.to_thread(self._starter.end, self.pid)

    def _obituary(self, status: int | None) -> EngineDied:
        if self._closing:
            return EngineDied("the engine was closed")
        if self._stuck_s is not None:
            return EngineDied(
                f"the model's process got nothing done for {self._stuck_s:g} s and was ended",
                stuck_s=self._stuck_s,
                log=str(self._log_path),
            )
        if self._garbled:
            said = "the model's process said what is no reply and was ended"
            return EngineDied(said, status=status, log=str(self._log_path))
        how = (
            "for an unknown reason"
            if status is None
            else f"with status {status}"
            if status >= 0
            else f"by signal {-status}"
        )
        hint = " (the system kills this way when memory runs out)" if status == -9 else ""
        return EngineDied(f"the model's process ended {how}{hint}", status=status, log=str(self._log_path))


def _unless_error(reply: Json | EmeritusError) -> Json:
    """The reply, or the error it carries, raised afresh for this caller."""
    if isinstance(reply, EmeritusError):
        raise type(reply)(reply.message, remedy=reply.remedy, **reply.facts)
    if "error" in reply:
        raise read_error(reply["error"])
    return reply
