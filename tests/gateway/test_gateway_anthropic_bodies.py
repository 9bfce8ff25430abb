"""Whatever is sent to Anthropic's addresses gets one clear error in Anthropic's shape; never a 500."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
import schemathesis
from anthropic.types.shared import ErrorResponse
from gateway_house import KEY, LIMITS, House
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.datastructures import QueryParams

from emeritus.errors import BadKey, BadRequest
from emeritus.gateway.anthropic.face import AnthropicFace
from emeritus.gateway.anthropic.messages_body import MESSAGE_IGNORED, MESSAGE_UNUSED, parse_count, parse_message
from emeritus.gateway.anthropic.models import page_of

POSTED = ("/messages", "/messages/count_tokens")
HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
GOOD: dict[str, Any] = {"model": "ibis", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
TOOL = {"name": "f", "input_schema": {}}


def saying(*content: object, role: str = "user") -> dict[str, Any]:
    """A request of one turn of these blocks, and a user's after it."""
    return {"messages": [{"role": role, "content": list(content)}, {"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x", "name": "me"}]}, "messages.0.name"),
        ({"messages": [*GOOD["messages"], {"role": "assistant", "content": "I"}]}, "messages.1.role"),
        (saying({"type": "text"}), "messages.0.content.0.text"),
        (saying({"type": "text", "text": "x"}, {"type": "text", "text": 1}), "messages.0.content.1.text"),
        (saying({"type": "image", "source": {}}), "messages.0.content.0"),
        (saying({"type": "document", "source": {}}), "messages.0.content.0"),
        (saying({"type": "thinking", "thinking": "x"}, role="assistant"), "messages.0.content.0"),
        (saying({"type": "text", "text": "x", "citations": [{}]}), "messages.0.content.0.citations"),
        (saying(USE), "messages.0.content.0.type"),
        (saying(RESULT, role="assistant"), "messages.0.content.0.type"),
        (saying(RESULT | {"is_error": True}), "messages.0.content.0.is_error"),
        (saying(RESULT | {"content": [{"type": "image"}]}), "messages.0.content.0.content.0.type"),
        (saying(USE | {"input": "{}"}, role="assistant"), "messages.0.content.0.input"),
        ({"system": [{"type": "image"}]}, "system.0.type"),
        ({"system": 5}, "system"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
        ({"tools": [TOOL | {"strict": True}]}, "tools.0.strict"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, "tool_choice.type"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            "tool_choice.disable_parallel_tool_use",
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"output_config": {"effort": "high"}}, "output_config"),
        ({"speed": "fast"}, "speed"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"temprature": 0.5}, "temprature"),
    ],
)
def test_each_field_is_named(changes: dict[str, Any], param: str) -> None:
    """A field of the wrong type or value, unknown or not followed, is refused by its name, by both addresses alike."""
    body = json.dumps(GOOD | changes).encode()
    counting = json.dumps({k: v for k, v in (GOOD | changes).items() if k != "max_tokens"}).encode()
    for parse, sent in ((parse_message, body), (parse_count, counting)):
        with pytest.raises(BadRequest) as refused:
            parse(sent)
        assert refused.value.facts["param"] == param
        assert "tagged-union" not in refused.value.message


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 1 << 40}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": 1.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": 40}, "top_k"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": ["x"] * 65}, "stop_sequences"),
    ],
)
def test_each_field_of_an_answer_is_named(changes: dict[str, Any], param: str) -> None:
    """So are the fields that only an answer has."""
    with pytest.raises(BadRequest) as refused:
        parse_message(json.dumps(GOOD | changes).encode())
    assert refused.value.facts["param"] == param


def test_max_tokens_is_required() -> None:
    """As with Anthropic, an answer's length is never guessed; a count needs none."""
    body = json.dumps({name: value for name, value in GOOD.items() if name != "max_tokens"}).encode()
    with pytest.raises(BadRequest, match="max_tokens"):
        parse_message(body)
    assert parse_count(body).count_only


def test_unused_fields_may_be_sent_unused() -> None:
    """What clients send by habit is accepted where it changes nothing: nulls, labels, an answer sent back."""
    habits = {name: values[0] for name, values in MESSAGE_UNUSED.items() if values}
    echoed = {"role": "assistant", "content": [{"type": "text", "text": "I", "citations": None}]}
    turns = {"messages": [*GOOD["messages"], echoed, {"role": "user", "content": []}]}
    for extra in (
        habits,
        dict.fromkeys(MESSAGE_UNUSED),
        dict.fromkeys(MESSAGE_IGNORED, "x"),
        {"system": "", "tools": None},
    ):
        call = parse_message(json.dumps(GOOD | turns | extra).encode())
        assert [message.content for message in call.prompts[0]] == ["hi", "I", ""]


@given(st.binary(max_size=200))
def test_no_bytes_are_worse_than_refused(body: bytes) -> None:
    """Any bytes are a call or a BadRequest."""
    for parse in (parse_message, parse_count):
        try:
            parse(body)
        except BadRequest:
            continue


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "role", "content"]), inner)
    ),
    max_leaves=8,
)
_fields = ["messages", "system", "tools", "tool_choice", "thinking", "stop_sequences", "max_tokens", "stream"]


@given(st.dictionaries(st.sampled_from(_fields), _json))
def test_no_values_are_worse_than_refused(changes: dict[str, object]) -> None:
    """Any JSON in any field is a call or a BadRequest that can itself be shown."""
    try:
        parse_message(json.dumps(GOOD | changes).encode("utf-8", "surrogatepass"))
    except BadRequest as error:
        json.dumps(error.as_dict())


UNREADABLE = [
    b"",
    b"{",
    b"null",
    b"\xff\xfe\x00",
    b'{"model": "ibis", "messages": [{"role": "user", "content": "\xff"}]}',
    b'{"model": "\\ud800"}',
    b"[" * 50_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b'{"model": "ibis", "unheard_of": 1}',
    b'{"model": 7}',
    json.dumps(GOOD).encode("utf-16"),
    b" " * (LIMITS.max_body_bytes + 1),
]


@pytest.mark.parametrize("path", POSTED)
async def test_unreadable_bodies(address: str, house: House, path: str) -> None:
    """Broken JSON, encodings, depths and sizes are refused in a shape the SDK's own type reads, admitting nothing."""
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        for body in UNREADABLE:
            async with session.post(address + path, data=body) as response:
                sent = await response.json()
            large = len(body) > LIMITS.max_body_bytes
            expected = (413, "request_too_large", "EM111") if large else (400, "invalid_request_error", "EM105")
            found = (response.status, sent["error"]["type"], sent["error"]["details"]["error_code"])
            assert found == expected, body[:50]
            if not large:  # a type that Anthropic sends and its SDK does not list
                assert ErrorResponse.model_validate(sent).request_id == response.headers["request-id"]
    assert house.admitted == 0


WRONG = [
    ("GET", "messages", 405, "invalid_request_error"),
    ("POST", "models", 405, "invalid_request_error"),
    ("GET", "nothing", 404, "not_found_error"),
    ("GET", "models/", 404, "not_found_error"),
    ("GET", "models/%00", 404, "not_found_error"),
    ("GET", "models/dodo", 404, "not_found_error"),
    ("POST", "messages/", 404, "not_found_error"),
    ("GET", "models?limit=0", 400, "invalid_request_error"),
    ("GET", "models?limit=1001", 400, "invalid_request_error"),
    ("GET", "models?limit=%C2%B2", 400, "invalid_request_error"),
    ("GET", "models?after_id=dodo", 400, "invalid_request_error"),
    ("GET", "models?after_id=ibis&before_id=heron", 400, "invalid_request_error"),
    ("GET", "models?lifecycle=gone", 400, "invalid_request_error"),
]


async def test_wrong_addresses(address: str) -> None:
    """Unknown addresses, methods, names and pages have Anthropic's error shape too."""
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        for method, path, status, kind in WRONG:
            async with session.request(method, f"{address}/{path}") as response:
                assert (response.status, (await response.json())["error"]["type"]) == (status, kind), path
                assert response.headers["request-id"].startswith("req_")
                assert (status == 405) == ("Allow" in response.headers)


@pytest.mark.parametrize("path", ["models", "models/ibis", "messages"])
async def test_another_version_of_the_api(address: str, house: House, path: str) -> None:
    """A version that is not spoken is refused by the header's name, before anything is admitted."""
    async with aiohttp.ClientSession(headers={**HEADERS, "anthropic-version": "2099-01-01"}) as session:
        method = session.post if path == "messages" else session.get
        async with method(f"{address}/{path}", **({"json": GOOD} if path == "messages" else {})) as response:
            error = (await response.json())["error"]
    assert (response.status, error["details"]["param"]) == (400, "anthropic-version")
    assert house.admitted == 0


def test_keys() -> None:
    """x-api-key goes before Authorization; an empty one is a wrong key, not no key."""
    face = AnthropicFace()
    assert face.key({}) is None
    assert face.key({"x-api-key": " a "}) == "a"
    assert face.key({"x-api-key": "a", "authorization": "Bearer b"}) == "a"
    assert face.key({"authorization": "Bearer b"}) == "b"
    for wrong in ({"x-api-key": " "}, {"authorization": "Basic b"}):
        with pytest.raises(BadKey):
            face.key(wrong)


@given(limit=st.integers(1, 5), names=st.integers(0, 12))
def test_pages_give_each_model_once(limit: int, names: int) -> None:
    """Forwards or backwards, walking the pages to their end gives every resident once, in order."""
    from dataclasses import replace

    from gateway_house import IBIS

    infos = [replace(IBIS, name=f"m{number:02}") for number in range(names)]
    forwards: list[str] = []
    page = page_of(infos, QueryParams({"limit": str(limit)}))
    forwards += [card.id for card in page.data]
    while page.has_more:
        page = page_of(infos, QueryParams({"limit": str(limit), "after_id": str(page.last_id)}))
        forwards += [card.id for card in page.data]
    assert forwards == [info.name for info in infos]
    if not infos:
        return
    backwards = [infos[-1].name]
    while True:
        page = page_of(infos, QueryParams({"limit": str(limit), "before_id": backwards[0]}))
        backwards[:0] = [card.id for card in page.data]
        if not page.has_more:
            break
    assert backwards == forwards


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_requests_made_from_the_description(
    described: schemathesis.BaseSchema, behind: tuple[House, str], path: str, mode: GenerationMode
) -> None:
    """Whatever is generated is answered in the described shape; what breaks the description is refused with a 4xx."""
    answered: list[int] = []

    @settings(
        max_examples=12,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=described[path]["POST"].as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case) -> None:
        headers = HEADERS
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            case.body["model"] = "ibis"  # so that some get as far as an answer
            if len(answered) % 2:  # the others are sent as they are
                case.body["messages"] = GOOD["messages"]
                case.body.pop("stop_sequences", None)
        else:
            headers = {"x-api-key": KEY}  # the version may be what is broken
        response = case.call(headers=headers)
        streamed = response.headers["content-type"][0].startswith("text/event-stream")
        shape = () if streamed else (response_schema_conformance,)
        checks = (not_a_server_error, content_type_conformance, status_code_conformance, *shape)
        case.validate_response(response, checks=list(checks))
        answered.append(response.status_code)

    run()
    assert answered
    if mode is GenerationMode.NEGATIVE:
        assert all(400 <= status < 500 for status in answered)
    else:
        assert 200 in answered
    assert behind[0].held == 0
