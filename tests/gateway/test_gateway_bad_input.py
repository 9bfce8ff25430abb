"""Whatever is sent gets one clear error in OpenAI's shape; never a 500, and nothing half-done."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest
from gateway_house import KEY, LIMITS, House
from hypothesis import given
from hypothesis import strategies as st

from emeritus.errors import BadKey, BadRequest, RequestTooLarge
from emeritus.gateway.keys import bearer
from emeritus.gateway.openai.chat_body import IGNORED, UNUSED, parse_chat
from emeritus.gateway.reading import read_body

GOOD = {"model": "ibis", "messages": [{"role": "user", "content": "hi"}]}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
HEADERS = {"Authorization": f"Bearer {KEY}"}


async def post(address: str, body: bytes | AsyncIterator[bytes], path: str = "chat/completions") -> tuple[int, dict]:
    """The status and error of a raw request."""
    async with (
        aiohttp.ClientSession(headers=HEADERS) as session,
        session.post(f"{address}/{path}", data=body) as response,
    ):
        assert response.content_type == "application/json"
        return response.status, (await response.json())["error"]


def refused(**changes: object) -> BadRequest:
    """The refusal of the good request with these changes."""
    with pytest.raises(BadRequest) as caught:
        parse_chat(json.dumps(GOOD | changes).encode())
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"model": "ibis", "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"model": "ibis", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model":' + b"[" * 50_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"model": "ibis", "messages": [{"role": "user", "content": "x"}], "seed": 1' + b"0" * 9000 + b"}",
        b'{"model": "ibis", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"model": "ibis", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
        "\ufeff{}".encode(),
        json.dumps(GOOD).encode("utf-16"),
    ],
    ids=range(15),
)
async def test_unreadable_bodies(address: str, house: House, body: bytes) -> None:
    """Broken JSON, encodings, depths and numbers are a 400 with our code, and admit nothing."""
    status, error = await post(address, body)
    assert (status, error["code"], error["type"]) == (400, "EM105", "invalid_request_error")
    assert error["remedy"] in error["message"]
    assert house.admitted == 0


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": 7}, "model"),
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "poet", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": "x", "name": "ana"}]}, "messages.0.name"),
        ({"messages": [{"role": "assistant", "content": "x", "tool_calls": [{}]}]}, "messages.0.tool_calls.0.id"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 1 << 40}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"seed": 1 << 63}, "seed"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stop": 3}, "stop"),
        ({"logprobs": 5}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": True}, "n"),
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, "tools.0.function.strict"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools.0.type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [CALL]}]}, "messages.0.tool_calls"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "x", "tool_call_id": "1"}]}, "messages.0.role"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"temprature": 0.5}, "temprature"),
        ({"top_k": 5}, "top_k"),
    ],
)
def test_each_field_is_named(changes: dict[str, object], param: str) -> None:
    """A field of the wrong type or value, unknown or not supported, is refused by its name."""
    assert refused(**changes).facts["param"] == param


def test_unused_fields_may_be_sent_unused() -> None:
    """What clients send by habit is accepted where it changes nothing: defaults, nulls, labels, an answer sent back."""
    echoed = {"role": "assistant", "content": "x", "refusal": None, "tool_calls": None, "annotations": []}
    habits = {name: values[0] for name, values in UNUSED.items() if values}
    nulls = dict.fromkeys(UNUSED)
    labels = dict.fromkeys(IGNORED, "x")
    for extra in (habits, nulls, labels, {"stop": None, "max_tokens": None, "logprobs": None, "stream_options": None}):
        call = parse_chat(json.dumps(GOOD | extra | {"messages": [*GOOD["messages"], echoed]}).encode())
        assert [message.content for message in call.call.prompts[0]] == ["hi", "x"]


@given(st.binary(max_size=200))
def test_no_bytes_are_worse_than_refused(body: bytes) -> None:
    """Any bytes are a call or a BadRequest."""
    try:
        parse_chat(body)
    except BadRequest:
        return


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_fields = ["model", "messages", "stream", "temperature", "stop", "logprobs", "n", "tools", "stream_options", "seed"]


@given(st.dictionaries(st.sampled_from(_fields), _json))
def test_no_values_are_worse_than_refused(changes: dict[str, object]) -> None:
    """Any JSON in any field is a call or a BadRequest that can itself be shown."""
    try:
        parse_chat(json.dumps(GOOD | changes).encode("utf-8", "surrogatepass"))
    except BadRequest as error:
        json.dumps(error.as_dict())


async def test_a_body_that_is_too_large(address: str, house: House) -> None:
    """Announced or not, a body beyond the limit is a 413, and the next request is answered."""
    too_much = b" " * (LIMITS.max_body_bytes + 1)

    async def unannounced() -> AsyncIterator[bytes]:
        for start in range(0, len(too_much), 8192):
            yield too_much[start : start + 8192]

    assert (await post(address, too_much))[0] == 413
    status, error = await post(address, unannounced())
    assert (status, error["code"]) == (413, "EM111")
    assert (await post(address, b"{"))[0] == 400
    assert house.admitted == 0


async def test_a_large_body_is_refused_before_it_is_read() -> None:
    """An announced length is believed at once; a lying one is caught while reading."""

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    async def one() -> AsyncIterator[bytes]:
        yield b"123456"

    with pytest.raises(RequestTooLarge):
        await read_body(never(), "99999999999999999999999999", 5)
    with pytest.raises(RequestTooLarge):
        await read_body(one(), "3", 5)
    assert await read_body(one(), "lies", 6) == b"123456"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "em_key"])
def test_authorization_that_is_no_bearer_key(header: str) -> None:
    """Another scheme or an empty key is a wrong key, not no key."""
    with pytest.raises(BadKey):
        bearer(header)


def test_bearer_keys() -> None:
    """No header is no key; the scheme's case does not matter."""
    assert bearer(None) is None
    assert bearer("bearer  abc ") == "abc"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "chat/completions", 405, "EM105"),
        ("POST", "models", 405, "EM105"),
        ("GET", "nothing", 404, "EM108"),
        ("GET", "", 404, "EM108"),
        ("GET", "models/", 404, "EM108"),
        ("GET", "models/%00", 404, "EM108"),
        ("GET", "models/%ff", 404, "EM108"),
        ("GET", "models/..%2Fibis", 404, "EM108"),
        ("GET", "models/ibis/more", 404, "EM108"),
    ],
)
async def test_wrong_addresses(address: str, method: str, path: str, status: int, code: str) -> None:
    """Unknown addresses, methods and names have OpenAI's error shape too."""
    async with aiohttp.ClientSession() as session, session.request(method, f"{address}/{path}") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (status, code)
        assert (status == 405) == ("Allow" in response.headers)


async def test_a_call_without_a_key(address: str) -> None:
    """No key where one is needed is a 401 that names the scheme."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/chat/completions", json=GOOD) as response,
    ):
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_defect_of_ours_is_a_500_without_its_text(
    address: str, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """An unforeseen exception has OpenAI's shape and keeps its text to the log."""
    house.fault = RuntimeError("secret")
    with caplog.at_level(logging.CRITICAL):
        async with aiohttp.ClientSession() as session, session.get(f"{address}/models") as response:
            text = await response.text()
    assert response.status == 500
    assert json.loads(text)["error"]["code"] == "EM000"
    assert "secret" not in text


async def test_a_body_that_never_ends_is_let_go(address: str, house: House) -> None:
    """A caller who leaves in the middle of its body costs nothing, and the server goes on."""
    host, port = address.removeprefix("http://").removesuffix("/v1").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await post(address, json.dumps(GOOD).encode() + b"x"))[0] == 400
    assert house.admitted == 0
