"""A backend that answers at once, and callers that keep it or a gateway before it busy. Knows neither gateway.

The backend is aiohttp: a chat completion made beforehand, whole or as server-sent events, sent in one write. Callers
are bare asyncio in a process of their own, one kept-open connection each, so that what they cost hides little.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

MODEL, WORD = "bench", "word"
FEW, MANY = 8, 512  # words of an answer: of one that is timed as a whole, of one whose events are counted
PATIENCE_S = 60.0  # past the time that traffic was to last
_USAGE = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What callers do for `seconds`: `callers` connections, each sending the request again once it is answered."""

    port: int
    request: bytes
    callers: int
    seconds: float
    words: int  # that every answer must have


def request(path: str, key: str, *, stream: bool, port: int) -> bytes:
    """A chat request over HTTP/1.1. It asks for many words with a stream, for few without."""
    asked = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Who are you?"}],
        "max_tokens": MANY if stream else FEW,
        "stream": stream,
    }
    body = json.dumps(asked).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Callers:
    """A process that calls as it is told. Close it."""

    def __init__(self) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=_call, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, traffic: Traffic) -> dict[str, Any]:
        """Every answer's seconds, the time it all took, words that came. Raises RuntimeError for a wrong answer."""
        self._pipe.send(traffic)
        if not self._pipe.poll(traffic.seconds + PATIENCE_S):
            raise RuntimeError(f"port {traffic.port} leaves a request without an answer for {PATIENCE_S:g} s")
        found = self._pipe.recv()
        if isinstance(found, str):
            raise RuntimeError(found)
        return dict(found)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(2)
        self._process.kill()


class _Caller(asyncio.Protocol):
    """One connection: sends the request, reads the whole answer, sends it again until the time is up."""

    def __init__(self, traffic: Traffic, until: float, times: list[float]) -> None:
        self._traffic = traffic
        self._until = until
        self._times = times
        self._read = bytearray()
        self._whole = 0  # length of the answer, head and all; -1: it comes in chunks; 0: its head is not all there
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Read on; the next request once the answer is whole."""
        self._read += data
        if not self._whole:
            head = self._read.find(b"\r\n\r\n")
            if head < 0:
                return
            said = bytes(self._read[:head]).lower()
            at = said.find(b"\r\ncontent-length:")  # from its line's start: proxies pass on `x-content-length` and such
            self._whole = -1 if at < 0 else head + 4 + int(said[at + 17 :].split(b"\r\n")[0])
        ended = self._read.endswith(b"\r\n0\r\n\r\n") if self._whole < 0 else len(self._read) >= self._whole
        if not ended:
            return
        now = time.perf_counter()
        self._times.append(now - self._sent)
        if not self._read.startswith(b"HTTP/1.1 200") or self._read.count(WORD.encode()) != self._traffic.words:
            self._end(RuntimeError(f"a wrong answer: {_both_ends(self._read)}"))
        elif now < self._until:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        """It should have stayed open."""
        said = _both_ends(self._read)
        self._end(error or RuntimeError(f"port {self._traffic.port} closed the connection after {said}"))

    def _send(self) -> None:
        self._read.clear()
        self._whole = 0
        self._sent = time.perf_counter()
        self._transport.write(self._traffic.request)

    def _end(self, error: Exception | None) -> None:
        if self.over.done():
            return
        if error is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(error)
        self._transport.close()


def _both_ends(read: bytearray) -> str:
    """How an answer begins and ends: an error within a stream is its last event."""
    return repr(bytes(read)) if len(read) < 800 else f"{bytes(read[:300])!r} ... {bytes(read[-500:])!r}"


def _call(pipe: Connection) -> None:
    while True:
        try:
            traffic = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(asyncio.run(_traffic(traffic)))
        except (RuntimeError, OSError) as error:
            pipe.send(str(error) or repr(error))


async def _traffic(traffic: Traffic) -> dict[str, Any]:
    times: list[float] = []
    loop, started = asyncio.get_running_loop(), time.perf_counter()
    until = started + traffic.seconds
    made = [
        await loop.create_connection(lambda: _Caller(traffic, until, times), "127.0.0.1", traffic.port)
        for _ in range(traffic.callers)
    ]
    for end in await asyncio.gather(*(caller.over for _, caller in made), return_exceptions=True):
        if isinstance(end, BaseException):
            raise end
    spent = time.perf_counter() - started
    return {"times": times, "seconds": spent, "words": len(times) * traffic.words}


@contextmanager
def backend() -> Iterator[int]:
    """A backend in a process of its own; yields its port."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_backend, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def _backend(pipe: Connection) -> None:
    from aiohttp import web

    made: dict[tuple[bool, int], bytes] = {}

    async def answer(asked: web.Request) -> web.Response:
        body = await asked.json()
        # a gateway may take the whole answer it was asked for as a stream: the words are as many as were asked for
        which = bool(body.get("stream")), int(body["max_tokens"])
        said = made.get(which) or made.setdefault(which, _said(*which))
        return web.Response(body=said, content_type="text/event-stream" if which[0] else "application/json")

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


def _said(stream: bool, words: int) -> bytes:
    base = {"id": "chatcmpl-1", "created": 1, "model": MODEL}
    used = {**_USAGE, "completion_tokens": words, "total_tokens": 9 + words}
    if not stream:
        message = {"role": "assistant", "content": f"{WORD} " * words}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return json.dumps({**base, "object": "chat.completion", "choices": choices, "usage": used}).encode()
    spoken = [
        {"content": f"{WORD}{number % 10} "} for number in range(words)
    ]  # LiteLLM ends a stream that repeats itself
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, *spoken, {}]
    events: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]} for delta in deltas
    ]
    events.append({"choices": [], "usage": used})
    lines = [json.dumps({**base, "object": "chat.completion.chunk", **each}) for each in events]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


if __name__ == "__main__":
    with backend() as port:
        print(port, flush=True)
        sys.stdin.read()
