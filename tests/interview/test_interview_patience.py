"""Bad servers and bad answers, over real sockets: each is recorded for what it is, and none is asked without bound."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from interview_house import Odd, clock, small_plan

from emeritus.engines.base import Answer, Message, Sampling
from emeritus.engines.upstream import UpstreamEngine, UpstreamOptions
from emeritus.errors import EngineDied, UpstreamRefused
from emeritus.interview.sessions.asking import MAX_RAW, MAX_TEXT, Patience
from emeritus.interview.sessions.replies import adequacy
from emeritus.interview.sessions.session import Ways, hold
from emeritus.interview.sessions.transcript import Transcript, read_journal

Handler = Callable[[web.Request, int], Coroutine[Any, Any, web.StreamResponse]]


@asynccontextmanager
async def upstream(handler: Handler) -> AsyncIterator[tuple[UpstreamEngine, list[dict[str, Any]]]]:
    """An engine whose server answers by `handler(request, calls so far)`, and the bodies it was sent."""
    bodies: list[dict[str, Any]] = []

    async def chat(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await handler(request, len(bodies))

    application = web.Application()
    application.add_routes([web.post("/v1/chat/completions", chat)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    engine = UpstreamEngine(UpstreamOptions(base_url=f"http://127.0.0.1:{port}/v1", model="m", timeout_s=0.5), None)
    try:
        yield engine, bodies
    finally:
        await engine.close()
        await runner.cleanup()


async def stream(request: web.Request, *events: bytes | dict[str, Any]) -> web.StreamResponse:
    """Server-sent events, as given."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        await response.write(b"data: " + data + b"\n\n")
    return response


def chunk(text: str = "", finish: str | None = None, model: str = "m", **delta: Any) -> dict[str, Any]:
    """One event of an OpenAI stream."""
    return {"model": model, "choices": [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}]}


async def fine(request: web.Request, text: str = "Yes.") -> web.StreamResponse:
    """A whole answer."""
    return await stream(request, chunk(text), chunk(finish="stop"), b"[DONE]")


class Waits:
    """A sleep that only remembers."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


def last_line(path: Path, kind: str = "attempt") -> dict[str, Any]:
    """The last line of that kind in a journal."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind][-1]


async def held(engine: Any, path: Path, waits: Waits | None = None, turns: int = 1) -> Transcript:
    """A session held with patience that takes no time."""
    ways = Ways(Patience(tries=4, sleep=waits or Waits()))
    return await hold(engine, small_plan(turns), path, clock, None, ways)


async def test_too_many_requests_are_waited_out(tmp_path: Path) -> None:
    """Every 429 is an attempt on disk; the wait grows, heeds Retry-After, and has a bound."""

    async def busy(request: web.Request, calls: int) -> web.StreamResponse:
        headers = {2: {"Retry-After": "7"}, 3: {"Retry-After": "86400"}}.get(calls, {})
        return await fine(request) if calls > 3 else web.Response(status=429, headers=headers)

    waits = Waits()
    async with upstream(busy) as (engine, bodies):
        transcript = await held(engine, tmp_path / "s.jsonl", waits)
    attempts = transcript.turns[0].attempts
    assert [each.outcome for each in attempts] == ["failed", "failed", "failed", "answered"]
    assert [each.error["facts"]["status"] for each in attempts[:3] if each.error] == [429, 429, 429]
    assert waits.waits == [1.0, 7.0, 60.0]
    assert len(bodies) == 4


async def test_a_server_that_never_recovers_is_left_and_the_session_waits(tmp_path: Path) -> None:
    """As many attempts as patience has, then the error; the session can be taken up again."""

    async def broken(request: web.Request, calls: int) -> web.StreamResponse:
        return web.Response(status=503)

    path, waits = tmp_path / "s.jsonl", Waits()
    async with upstream(broken) as (engine, bodies):
        with pytest.raises(UpstreamRefused, match="503"):
            await held(engine, path, waits)
    assert (len(bodies), waits.waits) == (4, [1.0, 2.0, 4.0])
    assert [each.outcome for each in read_journal(path).turns[0].attempts] == ["failed"] * 4


async def test_a_server_that_falls_silent_is_a_failed_attempt(tmp_path: Path) -> None:
    """A timeout is recorded and waited out like any other failure of a server."""

    async def slow(request: web.Request, calls: int) -> web.StreamResponse:
        if calls == 1:
            await asyncio.sleep(5)
        return await fine(request)

    async with upstream(slow) as (engine, _):
        transcript = await held(engine, tmp_path / "s.jsonl")
    first, second = transcript.turns[0].attempts
    assert first.error is not None
    assert "did not answer" in first.error["message"]
    assert second.text == "Yes."


async def test_another_models_answer_is_refused_and_recorded(tmp_path: Path) -> None:
    """It is asked once; the record names who answered in whose place, and what was sent."""

    async def impostor(request: web.Request, calls: int) -> web.StreamResponse:
        return await stream(request, chunk("I am another.", model="other"), chunk(finish="stop", model="other"))

    path = tmp_path / "s.jsonl"
    async with upstream(impostor) as (engine, bodies):
        with pytest.raises(UpstreamRefused, match="'other' answered"):
            await held(engine, path)
    assert len(bodies) == 1
    facts = last_line(path)["error"]["facts"]
    assert (facts["asked"], facts["answered"]) == ("m", "other")
    assert "I am another." in facts["sent"]


async def test_half_a_stream_is_recorded_as_far_as_it_came(tmp_path: Path) -> None:
    """The half stands in the failed attempt, the whole in the next; the half is never taken for an answer."""

    async def half(request: web.Request, calls: int) -> web.StreamResponse:
        return await (stream(request, chunk("Half an ")) if calls == 1 else fine(request, "A whole answer."))

    path = tmp_path / "s.jsonl"
    async with upstream(half) as (engine, _):
        transcript = await held(engine, path)
    assert transcript.turns[0].answer == "A whole answer."
    failed = next(json.loads(line) for line in path.read_text().splitlines() if '"failed"' in line)
    assert failed["heard"]["text"] == "Half an "
    assert b"Half an " in base64.b64decode(failed["heard"]["raw"])


async def test_streams_that_break_twice_leave_the_session(tmp_path: Path) -> None:
    """Both halves are on disk."""

    async def half(request: web.Request, calls: int) -> web.StreamResponse:
        return await stream(request, chunk(f"Half {calls}"))

    path = tmp_path / "s.jsonl"
    async with upstream(half) as (engine, _):
        with pytest.raises(EngineDied):
            await held(engine, path)
    assert last_line(path)["heard"]["text"] == "Half 2"


@pytest.mark.parametrize("reason", ["tool_calls", "content_filter"])
async def test_an_answer_that_calls_a_tool_or_is_filtered_is_what_it_is(tmp_path: Path, reason: str) -> None:
    """It is the answer, with the reason it ended and what was sent; it counts as cut off, and the session goes on."""
    call = {"tool_calls": [{"index": 0, "function": {"name": "search", "arguments": "{}"}}]}

    async def tool(request: web.Request, calls: int) -> web.StreamResponse:
        return await (stream(request, chunk("Let me ", **call), chunk(finish=reason)) if calls == 1 else fine(request))

    path = tmp_path / "s.jsonl"
    async with upstream(tool) as (engine, bodies):
        transcript = await held(engine, path, turns=2)
    first, second = transcript.turns
    assert (first.answer, first.finish_reason) == ("Let me ", reason)
    assert adequacy(first.answer, first.answered, first.finish_reason) == "cut off"
    assert (second.answer, len(bodies)) == ("Yes.", 2)
    attempt = next(json.loads(line) for line in path.read_text().splitlines() if '"attempt"' in line[:20])
    assert b"search" in base64.b64decode(attempt["raw"])


async def test_a_stream_that_is_no_utf_8_is_refused_and_its_bytes_recorded(tmp_path: Path) -> None:
    """No character is guessed: the attempt failed, and the bytes stand in it as hex."""

    async def latin(request: web.Request, calls: int) -> web.StreamResponse:
        event = json.dumps(chunk("Gr~sse"), ensure_ascii=False).encode().replace(b"~", b"\xfc")
        return await stream(request, event, chunk(finish="stop"))

    path = tmp_path / "s.jsonl"
    async with upstream(latin) as (engine, _):
        with pytest.raises(UpstreamRefused, match="not UTF-8"):
            await held(engine, path)
    assert b"Gr\xfcsse" in bytes.fromhex(last_line(path)["error"]["facts"]["sent"])


async def test_characters_that_no_store_can_hold_are_marked(tmp_path: Path) -> None:
    """A lone surrogate and a NUL, which JSON can spell, become a mark; the raw bytes are what came."""

    async def odd(request: web.Request, calls: int) -> web.StreamResponse:
        return await stream(request, chunk("a\udcff\0b"), chunk(finish="stop"))

    path = tmp_path / "s.jsonl"
    async with upstream(odd) as (engine, _):
        transcript = await held(engine, path)
    assert transcript.turns[0].answer == "a\ufffd\ufffdb"
    assert b"\\udcff" in base64.b64decode(last_line(path)["raw"])


async def test_an_endless_answer_is_cut_and_says_so(tmp_path: Path) -> None:
    """A server that never stops is listened to up to the bound, and its answer counts as cut off."""
    piece = json.dumps(chunk("la " * 20_000)).encode()
    written: list[int] = []

    async def endless(request: web.Request, calls: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while len(written) < 10_000:  # 600 MB; nobody listens for so long
            await response.write(b"data: " + piece + b"\n\n")
            written.append(len(piece))
        return response

    path = tmp_path / "s.jsonl"
    async with upstream(endless) as (engine, _):
        transcript = await held(engine, path)
    turn = transcript.turns[0]
    assert len(turn.answer) == MAX_TEXT
    assert adequacy(turn.answer, True, turn.finish_reason) == "cut off"
    assert last_line(path)["bounded"]["characters"] == MAX_TEXT
    assert len(written) < 1000


async def test_an_enormous_response_around_a_short_answer_is_cut(tmp_path: Path) -> None:
    """What is kept of the raw bytes has a bound too."""
    model = Odd(lambda *_: Answer("Short.", "stop", 1, 1, raw=b" " * (MAX_RAW + 1)))
    path = tmp_path / "s.jsonl"
    transcript = await held(model, path)
    assert (transcript.turns[0].answer, transcript.turns[0].finish_reason) == ("Short.", "length")
    assert last_line(path)["bounded"] == {"characters": 6, "bytes": MAX_RAW}


@pytest.mark.parametrize(
    ("answer", "finish", "found"),
    [
        ("", "stop", "empty"),
        ("la " * 5000, "length", "cut off"),
        ("I'm sorry, I can't say.", "stop", "refused"),
        ('{"tool_calls": []}', "stop", "adequate"),
    ],
)
async def test_adequacy_says_what_kind_of_answer_it_was(tmp_path: Path, answer: str, finish: Any, found: str) -> None:
    """Empty, looping until its limit, refusing; a call of a tool written out as text is text."""

    def say(messages: object, sampling: object) -> Answer:
        return Answer(answer, finish, 1, 1, raw=b"x")

    turn = (await held(Odd(say), tmp_path / "s.jsonl")).turns[0]
    assert adequacy(turn.answer, turn.answered, turn.finish_reason) == found


async def test_what_a_script_calls_wrong_model_is_recorded(tmp_path: Path) -> None:
    """An engine in this process that refuses is recorded with its code, and once more."""

    def refuse(messages: tuple[Message, ...], sampling: Sampling) -> str:
        raise UpstreamRefused("another scripted model answered", fault="wrong_model")

    path = tmp_path / "s.jsonl"
    with pytest.raises(UpstreamRefused):
        await held(Odd(refuse), path)
    assert [each.error["code"] for each in read_journal(path).turns[0].attempts if each.error] == ["EM404"] * 2
