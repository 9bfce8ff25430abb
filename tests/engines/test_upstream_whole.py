"""Answers asked of an upstream in one document: what is read of them, and every way in which they go wrong."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from emeritus.engines import upstream
from emeritus.engines.base import Message, Sampling, TokenLogprob
from emeritus.engines.upstream import UpstreamEngine, UpstreamOptions
from emeritus.errors import ContextTooLong, EmeritusError, EngineDied, UpstreamRefused

ASKED = [Message("user", "hi")]
SHORT = Sampling(max_tokens=8, temperature=0.0, stop=("END",))
OPENAI: dict[str, Any] = {
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Grüße"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
ANTHROPIC: dict[str, Any] = {
    "type": "message",
    "model": "m",
    "content": [{"type": "text", "text": "Grü"}, {"type": "text", "text": "ße"}],
    "stop_reason": "stop_sequence",
    "stop_sequence": "END",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


class Upstream:
    """A server that answers every request the same way; remembers what it was asked, and who left."""

    def __init__(self, body: bytes, kind: str = "application/json", status: int = 200, delay_s: float = 0.0) -> None:
        self.asked: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.heard = asyncio.Event()
        self.answer = (body, kind, status, delay_s)

    async def __aenter__(self) -> str:
        application = web.Application(client_max_size=1 << 20)
        application.router.add_post("/{path:.*}", self._say)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _say(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        self.heard.set()
        body, kind, status, delay_s = self.answer
        try:
            await asyncio.sleep(delay_s)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return web.Response(body=body, content_type=kind, status=status)


def client(address: str, **options: Any) -> UpstreamEngine:
    """An engine for that address."""
    return UpstreamEngine(UpstreamOptions(base_url=address, model="m", **options), None)


@pytest.mark.parametrize(("wire", "said", "by"), [("openai", OPENAI, None), ("anthropic", ANTHROPIC, "END")])
async def test_read_whole(wire: str, said: dict[str, Any], by: str | None) -> None:
    """Text, end, usage and the stop sequence that ended it are read from the document, whose bytes are kept."""
    server = Upstream(json.dumps(said).encode())
    async with server as address:
        engine = client(address, wire=wire)
        found = await engine.answer(ASKED, SHORT)
        await engine.close()
    assert (found.text, found.finish_reason, found.stop_sequence) == ("Grüße", "stop", by)
    assert (found.prompt_tokens, found.completion_tokens) == (3, 2)
    assert json.loads(found.raw) == said
    assert server.asked[0]["stream"] is False
    assert "stream_options" not in server.asked[0]


async def test_logprobs_of_a_whole_answer() -> None:
    """Log-probabilities come with as many alternatives as were asked for, also none."""
    token = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -0.5}]}
    choice = {**OPENAI["choices"][0], "logprobs": {"content": [token]}}
    async with Upstream(json.dumps({**OPENAI, "choices": [choice]}).encode()) as address:
        engine = client(address, logprobs=True)
        one, none = [await engine.answer(ASKED, Sampling(max_tokens=8, logprobs=count)) for count in (1, 0)]
        await engine.close()
    assert one.logprobs == (TokenLogprob("a", -0.5, (("a", -0.5),)),)
    assert none.logprobs == (TokenLogprob("a", -0.5, ()),)


async def test_long_answers_are_streamed() -> None:
    """What a slow server may not end within its patience is asked for as a stream, so that silence means something."""
    server = Upstream(b"")
    async with server as address:
        engine = client(address, timeout_s=10)
        for most in (5, 6):
            with pytest.raises(EmeritusError):
                await engine.answer(ASKED, Sampling(max_tokens=most))
        await engine.close()
    assert [asked["stream"] for asked in server.asked] == [False, True]


async def test_a_server_that_streams_regardless() -> None:
    """A server that answers with a stream although it was asked for the whole is read as a stream."""
    events = (
        b'data: {"model":"m","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\ndata: [DONE]\n\n'
    )
    async with Upstream(events, "text/event-stream") as address:
        engine = client(address)
        found = await engine.answer(ASKED, SHORT)
        await engine.close()
    assert (found.text, found.prompt_tokens, found.raw) == ("a", 3, events)


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b"", UpstreamRefused, "not JSON"),
        (b"[1,2]", UpstreamRefused, "does not document"),
        (b'{"choices":[7],"type":"message"}', UpstreamRefused, "does not document"),
        (b"\xff\xfe", UpstreamRefused, "UTF-8"),
        (b'{"type":"error","error":{"message":"out of memory"}}', EngineDied, "reported an error"),
        (b'{"choices":[],"type":"ping"}', EngineDied, "no end"),
        (b" " * 3000, UpstreamRefused, "larger than 2000"),
    ],
)
async def test_documents_gone_wrong(
    wire: str, body: bytes, error: type[EmeritusError], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not one whole documented answer is never passed off as an answer."""
    monkeypatch.setattr(upstream, "LARGEST_ANSWER", 2000)
    async with Upstream(body) as address:
        engine = client(address, wire=wire)
        with pytest.raises(error, match=says):
            await engine.answer(ASKED, SHORT)
        await engine.close()


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        ("openai", {**OPENAI, "choices": [{**OPENAI["choices"][0], "finish_reason": "content_filter"}]}),
        ("anthropic", {**ANTHROPIC, "stop_reason": "refusal"}),
    ],
)
async def test_an_answer_broken_off_by_its_server(wire: str, said: dict[str, Any]) -> None:
    """An answer that its server cut short for a reason of its own is refused, with what was sent."""
    async with Upstream(json.dumps(said).encode()) as address:
        engine = client(address, wire=wire)
        with pytest.raises(UpstreamRefused, match="broke the answer off") as refused:
            await engine.answer(ASKED, SHORT)
        await engine.close()
    assert "model" in refused.value.facts["sent"]


async def test_left_out_logprobs() -> None:
    """A server that drops the log-probabilities it was asked for is refused, not believed."""
    async with Upstream(json.dumps(OPENAI).encode()) as address:
        engine = client(address, logprobs=True)
        with pytest.raises(UpstreamRefused, match="left out"):
            await engine.answer(ASKED, Sampling(max_tokens=8, logprobs=1))
        await engine.close()


async def test_context_too_long() -> None:
    """The server's own code for a prompt that does not fit becomes ours."""
    async with Upstream(b'{"error":{"code":"context_length_exceeded"}}', status=400) as address:
        engine = client(address)
        with pytest.raises(ContextTooLong):
            await engine.answer(ASKED, SHORT)
        await engine.close()


async def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has not answered within the timeout is given up, and its connection closed."""
    monkeypatch.setattr(upstream, "TOKEN_S", 0.01)
    server = Upstream(b"{}", delay_s=5)
    async with server as address:
        engine = client(address, timeout_s=0.2)
        with pytest.raises(UpstreamRefused, match="did not answer"):
            await engine.answer(ASKED, SHORT)
        await asyncio.wait_for(server.left.wait(), 3)
        await engine.close()


async def test_leaving_closes_the_connection() -> None:
    """An answer that nobody waits for any longer is cancelled at its server, and the next one is answered."""
    server = Upstream(json.dumps(OPENAI).encode(), delay_s=5)
    async with server as address:
        engine = client(address)
        asking = asyncio.create_task(engine.answer(ASKED, SHORT))
        await asyncio.wait_for(server.heard.wait(), 3)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.left.wait(), 3)
        server.answer = (json.dumps(OPENAI).encode(), "application/json", 200, 0.0)
        assert (await engine.answer(ASKED, SHORT)).text == "Grüße"
        await engine.close()
