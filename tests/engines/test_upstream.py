"""The upstream engine keeps the contract over real sockets, and tells every way a server can fail."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from emeritus.engines.base import Engine, Message, Sampling
from emeritus.engines.open import open_engine
from emeritus.engines.script import Script
from emeritus.engines.scripted_server import Server
from emeritus.errors import (
    BadSettings,
    ContextTooLong,
    EmeritusError,
    EngineDied,
    NotSupported,
    UpstreamRefused,
)
from emeritus.testing.engine_contract import EngineContract

GREEDY = Sampling(max_tokens=24, temperature=0.0)
WHOLE_S = 60  # the patience with which that many tokens are asked for whole
Serve = Callable[[web.Application], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Runs applications on loopback; gives each one's address."""
    runners: list[web.AppRunner] = []

    async def start(application: web.Application) -> str:
        runner = web.AppRunner(application, shutdown_timeout=1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def connect(address: str, tmp_path: Path, **options: Any) -> Engine:
    """An upstream engine for that address."""
    return await open_engine(
        "upstream", {"base_url": address, "model": "scripted", "timeout_s": 5, **options}, None, log_dir=tmp_path
    )


class TestOpenAIContract(EngineContract):
    """The contract over the OpenAI wire."""

    @pytest.fixture
    async def engine(self, serve: Serve, script: dict[str, Any], tmp_path: Path) -> AsyncIterator[Engine]:
        """A client of the scripted server."""
        address = await serve(Server(Script.model_validate(script)).application())
        engine = await connect(address, tmp_path, logprobs=True, completions=True)
        yield engine
        await engine.close()


class TestAnthropicContract(EngineContract):
    """The contract over the Anthropic wire."""

    @pytest.fixture
    async def engine(self, serve: Serve, script: dict[str, Any], tmp_path: Path) -> AsyncIterator[Engine]:
        """A client of the scripted server."""
        address = await serve(Server(Script.model_validate(script)).application())
        engine = await connect(address, tmp_path, wire="anthropic")
        yield engine
        await engine.close()


class TestOpenAIWholeContract(EngineContract):
    """The contract over the OpenAI wire, where answers are asked for whole."""

    @pytest.fixture
    async def engine(self, serve: Serve, script: dict[str, Any], tmp_path: Path) -> AsyncIterator[Engine]:
        """A patient client of the scripted server."""
        address = await serve(Server(Script.model_validate(script)).application())
        engine = await connect(address, tmp_path, logprobs=True, completions=True, timeout_s=WHOLE_S)
        yield engine
        await engine.close()


class TestAnthropicWholeContract(EngineContract):
    """The contract over the Anthropic wire, where answers are asked for whole."""

    @pytest.fixture
    async def engine(self, serve: Serve, script: dict[str, Any], tmp_path: Path) -> AsyncIterator[Engine]:
        """A patient client of the scripted server."""
        address = await serve(Server(Script.model_validate(script)).application())
        engine = await connect(address, tmp_path, wire="anthropic", timeout_s=WHOLE_S)
        yield engine
        await engine.close()


@pytest.fixture(params=["openai", "anthropic", "openai whole", "anthropic whole"])
async def engine(
    request: pytest.FixtureRequest, serve: Serve, script: dict[str, Any], tmp_path: Path
) -> AsyncIterator[Engine]:
    """A client of the scripted server, over either wire, its answers streamed or whole, with a key."""
    address = await serve(Server(Script.model_validate(script), "k3y").application())
    wire, _, whole = request.param.partition(" ")
    engine = await connect(address, tmp_path, wire=wire, api_key="k3y", timeout_s=WHOLE_S if whole else 5)
    yield engine
    await engine.close()


@pytest.mark.parametrize(
    ("fault", "error", "facts"),
    [
        ("half", EngineDied, {"pieces": 2}),
        ("garbage", UpstreamRefused, {}),
        ("refuse", UpstreamRefused, {"status": 403}),
        ("rate", UpstreamRefused, {"status": 429, "retry_after": "7"}),
        ("server", UpstreamRefused, {"status": 500}),
        ("model", UpstreamRefused, {"asked": "scripted", "answered": "somebody-else"}),
    ],
)
async def test_faults(
    engine: Engine, fault: str, error: type[EmeritusError], facts: dict[str, object], request: pytest.FixtureRequest
) -> None:
    """Each failure of a server is one clear error with its facts, and the next question is answered."""
    if fault == "half" and "whole" in request.node.callspec.id:
        facts = {"pieces": 0}
    with pytest.raises(error) as refused:
        await engine.answer([Message("user", f"fault {fault}")], GREEDY)
    assert facts.items() <= refused.value.facts.items()
    assert engine.alive
    assert (await engine.answer([Message("user", "name yourself")], GREEDY)).text == "Scripted."


async def test_system_message_travels(engine: Engine) -> None:
    """The system message reaches the model over either wire."""
    asked = [Message("system", "Be formal."), Message("user", "name yourself")]
    assert (await engine.answer(asked, GREEDY)).text == "My designation is Scripted."


async def test_context_too_long(engine: Engine) -> None:
    """A server's own code for a prompt that does not fit becomes ours."""
    with pytest.raises(ContextTooLong):
        await engine.answer([Message("user", "word " * 5000)], GREEDY)


async def test_weights_are_not_held(engine: Engine) -> None:
    """The build has no weights digest and no key."""
    assert engine.build.weights_digest is None
    assert "k3y" not in str(engine.build.as_dict())


async def test_raw_is_the_body(serve: Serve, script: dict[str, Any], tmp_path: Path) -> None:
    """The raw bytes of all pieces, joined, are byte for byte what the server sent."""
    events = (
        ': hello\r\n\r\ndata: {"model":"scripted","choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n',
        'data: {"choices":[{"delta":{"content":"Grüße"}}]}\n\n',
        'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
        'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\ndata: [DONE]\n\n: trailing',
    )
    sent = "".join(events).encode()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for at in range(0, len(sent), 7):  # cut anywhere, within characters too
            await response.write(sent[at : at + 7])
        return response

    application = web.Application()
    application.router.add_post("/v1/chat/completions", answer)
    engine = await connect(await serve(application), tmp_path)
    found = await engine.answer([Message("user", "hi")], GREEDY)
    await engine.close()
    assert found.raw == sent
    assert (found.text, found.prompt_tokens, found.completion_tokens) == ("Grüße", 3, 2)


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b"", EngineDied, "in the middle"),
        (b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n', EngineDied, "in the middle"),
        (b"data: [1,2]\n\n", UpstreamRefused, "does not document"),
        (b'data: {"choices":[7]}\n\n', UpstreamRefused, "does not document"),
        (b'data: {"error":{"message":"out of memory"}}\n\n', EngineDied, "reported an error"),
        (b'data: {"choices":[{"delta":{},"finish_reason":"content_filter"}]}\n\n', UpstreamRefused, "content_filter"),
        (b"data: \xff\xfe\n\n", UpstreamRefused, "UTF-8"),
        (b"x" * (5 << 20), UpstreamRefused, "without ending an event"),
    ],
)
async def test_streams_gone_wrong(
    body: bytes, error: type[EmeritusError], says: str, serve: Serve, tmp_path: Path
) -> None:
    """A stream that is not one whole documented answer is never passed off as an answer."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/event-stream")

    application = web.Application()
    application.router.add_post("/v1/chat/completions", answer)
    engine = await connect(await serve(application), tmp_path)
    with pytest.raises(error, match=says):
        await engine.answer([Message("user", "hi")], GREEDY)
    await engine.close()


async def test_redirects_are_not_followed(serve: Serve, tmp_path: Path) -> None:
    """A redirect is refused, because following it would hand the key to another address."""

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/")

    application = web.Application()
    application.router.add_post("/v1/chat/completions", elsewhere)
    engine = await connect(await serve(application), tmp_path)
    with pytest.raises(UpstreamRefused) as refused:
        await engine.answer([Message("user", "hi")], GREEDY)
    await engine.close()
    assert refused.value.facts["status"] == 307


async def test_plain_json_is_refused(serve: Serve, tmp_path: Path) -> None:
    """A server that ignores `stream` is refused by its content type."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"choices": []})

    application = web.Application()
    application.router.add_post("/v1/chat/completions", answer)
    engine = await connect(await serve(application), tmp_path)
    with pytest.raises(UpstreamRefused, match="application/json"):
        await engine.answer([Message("user", "hi")], GREEDY)
    await engine.close()


async def test_silence(serve: Serve, tmp_path: Path) -> None:
    """A server that falls silent is given up after the timeout, never waited for without end."""
    import asyncio

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
        await asyncio.sleep(3)
        return response

    application = web.Application()
    application.router.add_post("/v1/chat/completions", answer)
    engine = await connect(await serve(application), tmp_path, timeout_s=0.2)
    with pytest.raises(EngineDied, match="broke off"):
        await engine.answer([Message("user", "hi")], GREEDY)
    await engine.close()


async def test_nobody_listens(tmp_path: Path) -> None:
    """A closed port is a refusal that names the address."""
    engine = await connect("http://127.0.0.1:9", tmp_path)
    with pytest.raises(UpstreamRefused) as refused:
        await engine.answer([Message("user", "hi")], GREEDY)
    await engine.close()
    assert refused.value.facts["url"] == "http://127.0.0.1:9/v1/chat/completions"


async def test_wrong_key_and_model(serve: Serve, script: dict[str, Any], tmp_path: Path) -> None:
    """A wrong key and an unknown model say which of the two it was."""
    address = await serve(Server(Script.model_validate(script), "k3y").application())
    wrong_key = await connect(address, tmp_path, api_key="other")
    wrong_model = await connect(address, tmp_path, api_key="k3y", model="unheard-of")
    for engine, status in ((wrong_key, 401), (wrong_model, 404)):
        with pytest.raises(UpstreamRefused) as refused:
            await engine.answer([Message("user", "hi")], GREEDY)
        await engine.close()
        assert refused.value.facts["status"] == status


async def test_other_names(serve: Serve, script: dict[str, Any], tmp_path: Path) -> None:
    """A dated name is accepted only where the operator has declared it."""
    address = await serve(Server(Script.model_validate(script)).application())
    engine = await connect(address, tmp_path, also_named=["somebody-else"])
    assert (await engine.answer([Message("user", "fault model")], GREEDY)).text == "hello"
    await engine.close()


async def test_left_out_logprobs(serve: Serve, tmp_path: Path) -> None:
    """A server that drops the log-probabilities it was asked for is refused, not believed."""

    async def answer(_: web.Request) -> web.Response:
        body = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
        return web.Response(body=body, content_type="text/event-stream")

    application = web.Application()
    application.router.add_post("/v1/chat/completions", answer)
    engine = await connect(await serve(application), tmp_path, logprobs=True)
    with pytest.raises(UpstreamRefused, match="left out"):
        await engine.answer([Message("user", "hi")], Sampling(logprobs=1))
    await engine.close()


async def test_key_from_environment(monkeypatch: pytest.MonkeyPatch, serve: Serve, tmp_path: Path) -> None:
    """A key comes from the variable named; a variable that is not set is named."""
    address = await serve(Server(Script.model_validate({}), "k3y").application())
    monkeypatch.setenv("SOME_KEY", "k3y")
    engine = await connect(address, tmp_path, api_key_env="SOME_KEY")
    assert (await engine.answer([Message("user", "hi")], GREEDY)).text
    await engine.close()
    with pytest.raises(BadSettings, match="OTHER_KEY"):
        await connect(address, tmp_path, api_key_env="OTHER_KEY")
    with pytest.raises(BadSettings, match="http"):
        await connect("file:///etc/passwd", tmp_path)


async def test_anthropic_has_no_logprobs(serve: Serve, tmp_path: Path) -> None:
    """Asking for what the wire has no place for is refused."""
    address = await serve(Server(Script.model_validate({})).application())
    engine = await connect(address, tmp_path, wire="anthropic", logprobs=True)
    with pytest.raises(NotSupported):
        await engine.answer([Message("user", "hi")], Sampling(logprobs=1))
    await engine.close()
