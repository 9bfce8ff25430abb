"""Files, batches and models against their own description, over the real correspondence room of a served home."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from post_house import PostHouse, chat_line, jsonl, served
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from emeritus.gateway.anthropic.face import VERSIONS
from emeritus.gateway.anthropic.operations import operations as anthropics
from emeritus.gateway.app import build_gateway
from emeritus.gateway.backend import Limits
from emeritus.gateway.house import House
from emeritus.gateway.openai.operations import operations as openais

DESCRIBED = [*openais(True), *anthropics(True)]
HERE = dict.fromkeys((each.method, each.path) for each in DESCRIBED if each.keyed or each.path.startswith("/models"))
BREAKABLE = dict.fromkeys(
    (each.method, each.path)
    for each in DESCRIBED
    if (each.method, each.path) in HERE and (each.body is not None or (each.parameters and "{id}" not in each.path))
)
LARGEST = 10_000
CHAT = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
EXAMPLES = settings(
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
CURSORS = ("after", "after_id", "before_id")
SHAPES = [not_a_server_error, content_type_conformance, status_code_conformance, response_schema_conformance]


@dataclass
class Room:
    """A served home, its description, and a key that may do everything."""

    house: PostHouse
    loop: asyncio.AbstractEventLoop
    client: httpx.Client
    key: str
    described: Any = None
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def run(self, work: Coroutine[Any, Any, int]) -> int:
        """Have the house's loop do that."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def headers(self, path: str) -> dict[str, str]:
        """Those of the vendor whose address it is; Anthropic's where it may be either's."""
        return {"Authorization": f"Bearer {self.key}"} if "batch" in path or "file" in path else {"x-api-key": self.key}

    def file(self) -> str:
        """A new file with one request that `wren` answers at once."""
        form = {"file": ("a.jsonl", jsonl(chat_line(1))), "purpose": (None, "batch")}
        return str(self._made("/files", files=form))

    def batch(self) -> str:
        """A new batch of it."""
        return str(self._made("/batches", json={**CHAT, "input_file_id": self.file()}))

    def messages(self) -> str:
        """A new batch of one message."""
        asked = {"custom_id": "a", "params": {**chat_line(1)["body"], "max_tokens": 5}}
        return str(self._made("/messages/batches", json={"requests": [asked]}))

    def _made(self, path: str, **body: Any) -> Any:
        return self.client.post(path, headers=self.headers(path), **body).raise_for_status().json()["id"]

    def names(self, path: str, count: int) -> list[str]:
        """What `{id}` may be at an address: new ones, all ended where only such are of use."""
        if path.startswith("/models"):
            return ["wren", "heron"]
        make = self.messages if "messages" in path else self.file if "files" in path else self.batch
        names = [make() for _ in range(count)]
        if not path.endswith("/cancel"):
            self.run(self.house.round())
        return names


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """The room, served from a thread of its own for clients that block."""
    house = PostHouse.make(tmp_path_factory.mktemp("post") / "home")
    ready, ended, loops = threading.Event(), asyncio.Event(), list[asyncio.AbstractEventLoop]()

    async def serve() -> None:
        async with served(house):
            loops.append(asyncio.get_running_loop())
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    with httpx.Client(base_url=house.address) as client:
        found = Room(house, loops[0], client, house.key())
        description = client.get("/openapi.json").json()
        for operation in itertools.chain.from_iterable(each.values() for each in description["paths"].values()):
            operation.pop("security", None)  # or keys are generated, and nothing gets past them
        found.described = schemathesis.openapi.from_dict(description)
        found.described.config.update(base_url=house.address)
        yield found
    loops[0].call_soon_threadsafe(ended.set)
    thread.join()
    house.app.close()


@pytest.mark.parametrize(("method", "path"), HERE)
def test_what_fits_the_description(room: Room, method: str, path: str) -> None:
    """Whatever is generated is answered in the described shape, and some of it with what was asked for."""
    names = room.names(path, 2) if "{id}" in path else []
    answered: list[int] = []

    @settings(EXAMPLES, max_examples=3 if path == "/messages/batches" else 8)  # those take long to make
    @given(case=room.described[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def run(case: schemathesis.Case) -> None:
        if len(answered) % 2:  # the others are sent as they are
            settle(room, case, path, names)
        response = case.call(headers=room.headers(path))
        case.validate_response(response, checks=SHAPES)
        answered.append(response.status_code)

    run()
    assert 200 in answered


@pytest.mark.parametrize(("method", "path"), BREAKABLE)
def test_what_breaks_the_description(room: Room, method: str, path: str) -> None:
    """A wrong body, page or version is refused in the described shape; names that nobody reads change nothing."""
    refused: list[int] = []

    @settings(EXAMPLES, max_examples=3 if path == "/messages/batches" else 8)  # those take long to make
    @given(case=room.described[path][method].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def run(case: schemathesis.Case) -> None:
        response = case.call(headers=room.headers(path))
        case.validate_response(response, checks=SHAPES)
        if method == "post" or wrong(case):
            refused.append(response.status_code)

    run()
    assert refused
    assert all(400 <= status < 500 for status in refused)


def wrong(case: schemathesis.Case) -> bool:
    """Is a page's size or the API's version none?"""
    limit = str((case.query or {}).get("limit", "1"))
    version = (case.headers or {}).get("anthropic-version", VERSIONS[0])
    return not limit.isdecimal() or not 1 <= int(limit) <= LARGEST or version not in VERSIONS


def settle(room: Room, case: schemathesis.Case, path: str, names: list[str]) -> None:
    """Have a request ask for what is there."""
    if names:
        case.path_parameters = {"id": names[next(room.numbers) % len(names)]}
    case.query = {name: value for name, value in (case.query or {}).items() if name not in CURSORS}
    if not isinstance(case.body, dict):
        return
    if path == "/batches":
        case.body |= {**CHAT, "metadata": None, "input_file_id": room.file()}
    elif path == "/messages/batches":
        asked = {**chat_line(1)["body"], "max_tokens": 5}
        case.body["requests"] = [{"custom_id": f"q-{number}", "params": asked} for number in range(2)]


def test_everything_served_is_described(room: Room) -> None:
    """Every route is in the description, and nothing else is."""
    app = room.house.app
    gateway = build_gateway(House(app, ""), Limits.of(app.settings), app.answering)
    served_here = {
        (method, route.path.replace("{name:path}", "{id}").replace("{name}", "{id}"))
        for route in gateway.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    paths = room.described.raw_schema["paths"]
    named = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert served_here - {("GET", "/openapi.json")} == named
