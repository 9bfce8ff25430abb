"""The API against its own description: what fits is answered as described, what does not refused, none is a 500."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import openai
import pytest
import schemathesis
from gateway_house import KEY, LIMITS, House
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from emeritus.gateway.app import build_gateway

HEADERS = {"Authorization": f"Bearer {KEY}"}
POSTED = ("/chat/completions", "/completions", "/responses")
ANTHROPICS = ("/messages", "/messages/count_tokens")
BOUND_TO_OTHERS = ("stream_options", "max_tokens", "top_logprobs", "stop", "echo")  # no schema says what they need
PLAIN = {"messages": [{"role": "user", "content": "Who are you?"}], "prompt": "Once", "input": "Hello"}
ALWAYS = (not_a_server_error, content_type_conformance, status_code_conformance)


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_requests_made_from_the_description(
    described: schemathesis.BaseSchema, behind: tuple[House, str], path: str, mode: GenerationMode
) -> None:
    """Whatever is generated is answered in the described shape; what breaks the description is refused with a 4xx."""
    operation = described[path]["POST"]
    answered: list[int] = []

    @settings(
        max_examples=30,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case) -> None:
        if isinstance(case.body, dict) and mode is GenerationMode.POSITIVE:
            if len(answered) % 2:  # the others are sent as they are
                case.body = {name: value for name, value in case.body.items() if name not in BOUND_TO_OTHERS}
                case.body |= {name: value for name, value in PLAIN.items() if name in case.body}
            case.body["model"] = "ibis"  # so that some get as far as an answer
        response = case.call(headers=HEADERS)
        streamed = response.headers["content-type"][0].startswith("text/event-stream")
        shape = () if streamed else (response_schema_conformance,)
        case.validate_response(response, checks=[*ALWAYS, *shape])
        answered.append(response.status_code)

    run()
    assert answered
    if mode is GenerationMode.NEGATIVE:
        assert all(400 <= status < 500 for status in answered)
    else:
        assert 200 in answered
    assert behind[0].held == 0


async def test_the_description_and_the_routes_are_the_same(address: str) -> None:
    """Every route is described and every description is served, with OpenAI's shapes behind it."""
    async with aiohttp.ClientSession() as session, session.get(f"{address}/openapi.json") as response:
        assert response.status == 200
        description = json.loads(await response.text())
    named = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}
    served_here = {
        (method, route.path.replace("{name:path}", "{id}"))
        for route in build_gateway(House(), LIMITS).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert named <= served_here
    assert {each for each in served_here if each[1] in ("/models", "/models/{id}", *POSTED, *ANTHROPICS)} == named
    chat = description["components"]["schemas"]["ChatBody"]
    assert chat["additionalProperties"] is False
    assert chat["properties"]["frequency_penalty"] == {"enum": [None, 0]}


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"model":' * 20_000 + b"1" + b"}" * 20_000,
        b'{"model": "ibis", "unheard_of": 1}',
        b'{"model": 7}',
        b'{"model": "\\ud800"}',
    ],
    ids=["empty", "not utf-8", "deep list", "deep object", "unknown field", "wrong type", "half a character"],
)
async def test_bad_bodies_everywhere(address: str, house: House, path: str, body: bytes) -> None:
    """Every endpoint refuses what it cannot read, in OpenAI's shape, with a request id, admitting nothing."""
    async with aiohttp.ClientSession(headers=HEADERS) as session, session.post(address + path, data=body) as response:
        error = (await response.json())["error"]
    if len(body) > 64 << 10:
        assert (response.status, error["code"]) == (413, "EM111")
    else:
        assert (response.status, error["code"], error["type"]) == (400, "EM105", "invalid_request_error")
    assert response.headers["x-request-id"].startswith("req_")
    assert house.admitted == 0


async def test_a_cold_start_and_its_retries_are_one_load(client: openai.AsyncOpenAI, house: House) -> None:
    """The SDK's own two retries after a 503 join the load under way, and the last one is answered."""
    house.asleep = asyncio.Event()
    asyncio.get_running_loop().call_later(1.9, house.asleep.set)
    response = await client.with_options(max_retries=2).responses.create(model="ibis", input="x")
    assert response.status == "completed"
    assert (house.loads, house.admitted) == (1, 3)
    assert house.metered[:2] == [None, None]
