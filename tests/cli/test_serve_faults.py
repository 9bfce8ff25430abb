"""Bad requests to a running `emeritus serve`, and engines that die: one clear error each, and the next call answers."""

from __future__ import annotations

import http.client
import json
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from refused import Program, state
from served import CHAT, NOWHERE, Far, Reply, Served, serving

from warm_program import Warm

MAX_BODY = 20_000
RULES = [
    {"match": "die at once", "answer": "never said", "fault": "die", "after": 0},
    {"match": "die", "answer": "one two three four five six", "fault": "die", "after": 3},
    {"match": "half", "answer": "one two three four five six", "fault": "half", "after": 3},
    {"match": "garbage", "answer": "one two three", "fault": "garbage", "after": 1},
    {"match": "refuse", "fault": "refuse"},
    {"match": "fail", "fault": "server_error"},
]
SCRIPT = {"model": "far-model", "default": "A plain answer.", "rules": RULES}


@dataclass(frozen=True)
class House:
    """A served home, keys to it, and the model behind the address."""

    program: Program
    served: Served
    far: Far
    key: str
    elsewhere: str  # a good key, of a grant for another resident
    revoked: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[House]:
    """`own` is a server we start, `far` a model behind an address, `gone` an address where nobody is."""
    folder = tmp_path_factory.mktemp("served")
    script = folder / "script.json"
    script.write_text(json.dumps(SCRIPT))
    far = Far(script)
    command = f"{{python}} -m emeritus.engines.scripted --port {{port}} --script {shlex.quote(str(script))}"
    program = Program(folder / "home", folder, warm.parent)
    program("init")
    program("register", "own", "--engine", "command", "-o", f"command={command}", "-o", "model=far-model")
    program("register", "far", "-o", f"base_url={far.address}", "-o", "model=far-model")
    program("register", "gone", "-o", f"base_url={NOWHERE}", "-o", "model=far-model")
    for name in ("own", "far", "gone"):
        program.say("access", "tier", name, "on-demand", "--access", "entitled", "--reason", "a test")
    keys = [program("access", "grant", name, "--to", "ann@example.org") for name in ("*", "far", "*")]
    assert program.say("access", "revoke-key", keys[2]["key"].split("_")[1]).code == 0
    far.start()
    try:
        with serving(program.home, "--max-body-bytes", str(MAX_BODY)) as served:
            yield House(program, served, far, *(each["key"] for each in keys))
        assert "Traceback (most recent call last)" not in unexpected(served.log)
    finally:
        far.stop()


def unexpected(log: Path) -> str:
    """The server's log without the traces it keeps of errors that have a code."""
    lines = log.read_text().splitlines()
    return "\n".join(line for line in lines if " EM000 " in line or "Exception in ASGI" in line)


def apart_from_counts(home: Path) -> dict[str, Any]:
    """The home without the counts of earlier calls, which the server writes in its own time."""
    return {name: value for name, value in state(home).items() if name != "table usage"}


GOOD: dict[str, Any] = {"model": "own", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe\x00",
        b'{"model": "own", "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"model":' + b"[" * 9_000,
        json.dumps(GOOD).encode("utf-16"),
        json.dumps(GOOD | {"messages": "hi"}).encode(),
        json.dumps(GOOD | {"messages": []}).encode(),
        json.dumps(GOOD | {"model": 7}).encode(),
        json.dumps(GOOD | {"temperature": "hot"}).encode(),
        json.dumps(GOOD | {"max_tokens": -1}).encode(),
        json.dumps(GOOD | {"stream": "yes"}).encode(),
        json.dumps(GOOD | {"surprise": 1}).encode(),
        json.dumps(GOOD).encode()[:-1] + b', "seed": 1' + b"0" * 5_000 + b"}",
    ],
    ids=range(15),
)
def test_unreadable_requests(house: House, body: bytes) -> None:
    """Each is a 400 in OpenAI's shape; nothing is woken, counted or kept."""
    before = apart_from_counts(house.program.home)
    reply = house.served.call("POST", CHAT, body, {"Authorization": f"Bearer {house.key}"})
    assert reply.error(400, "EM105")["type"] == "invalid_request_error"
    assert apart_from_counts(house.program.home) == before


def test_a_body_that_is_too_large(house: House) -> None:
    """Announced or sent in pieces, it is a 413 and the server goes on."""
    headers = {"Authorization": f"Bearer {house.key}"}
    house.served.call("POST", CHAT, b" " * (MAX_BODY + 1), headers).error(413, "EM111")
    with closing(http.client.HTTPConnection("127.0.0.1", house.served.port, timeout=30)) as connection:
        connection.request("POST", CHAT, iter([b" " * 10_000] * 3), headers, encode_chunked=True)
        answer = connection.getresponse()
        Reply(answer.status, {"content-type": answer.headers["content-type"]}, answer.read()).error(413, "EM111")


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "EM601"),
        ("Bearer em_wrong_key", 401, "EM601"),
        ("Bearer ", 401, "EM601"),
        ("Basic abc", 401, "EM601"),
        ("revoked", 401, "EM601"),
        ("elsewhere", 403, "EM602"),
    ],
)
def test_keys_that_open_nothing(house: House, key: str | None, status: int, code: str) -> None:
    """No key, a wrong, revoked or other resident's one: refused before anything is woken, in words a client can use."""
    sent = {"revoked": f"Bearer {house.revoked}", "elsewhere": f"Bearer {house.elsewhere}"}.get(key or "", key)
    before = apart_from_counts(house.program.home)
    headers = {} if sent is None else {"Authorization": sent}
    reply = house.served.call("POST", CHAT, json.dumps(GOOD).encode(), headers)
    assert reply.error(status, code)["type"] == ("authentication_error" if status == 401 else "permission_error")
    assert reply.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert apart_from_counts(house.program.home) == before
    assert house.key not in house.served.log.read_text()


@pytest.mark.parametrize("model", ["nobody", "../own", "OWN", "", "own\0", "o" * 300, "\ud800"])
def test_models_that_are_not_there(house: House, model: str) -> None:
    """An unknown model is a 404 as OpenAI's clients expect it; what is no text at all is a 400."""
    status, code = (400, "EM105") if model == "\ud800" else (404, "EM108")
    house.served.chat(house.key, "hi", model=model).error(status, code)


def spoken(reply: Reply) -> tuple[str, list[dict[str, Any]]]:
    """The text of a stream, and the errors in it."""
    events = [line[6:] for line in reply.body.split(b"\n\n") if line.startswith(b"data: {")]
    parsed = [json.loads(event) for event in events]
    text = "".join(choice["delta"].get("content") or "" for each in parsed for choice in each.get("choices", ()))
    return text, [each["error"] for each in parsed if "error" in each]


@pytest.mark.parametrize("asked", ["die", "die at once", "half", "garbage"])
def test_an_engine_that_dies_while_it_answers(house: House, asked: str) -> None:
    """The caller gets an error and never a shorter answer; the server stays up and revives the resident."""
    code = "EM404" if asked == "garbage" else "EM403"
    error = house.served.chat(house.key, asked).error(502, code)
    assert error["type"] == "server_error"
    assert house.served.chat(house.key, "hi").json["choices"][0]["message"]["content"] == "A plain answer."


@pytest.mark.parametrize("asked", ["die", "half", "garbage"])
def test_an_engine_that_dies_in_a_stream(house: House, asked: str) -> None:
    """The stream ends with the error and without [DONE], so that no client takes its beginning for the whole."""
    reply = house.served.chat(house.key, asked, stream=True)
    text, errors = spoken(reply)
    assert "one two three four five six".startswith(text.strip())
    assert [error["code"] for error in errors] == ["EM404" if asked == "garbage" else "EM403"]
    assert errors[0]["remedy"] in errors[0]["message"]
    assert b"[DONE]" not in reply.body
    again = house.served.chat(house.key, "hi", stream=True)
    assert spoken(again) == ("A plain answer.", [])
    assert b"[DONE]" in again.body


def test_an_address_that_fails(house: House) -> None:
    """Nobody there, a refusal, a failure, a death: each is named, and a server that is back answers."""
    house.served.chat(house.key, "hi", model="gone").error(502, "EM404")
    house.served.chat(house.key, "refuse", model="far").error(502, "EM404")
    house.served.chat(house.key, "fail", model="far").error(502, "EM404")
    house.served.chat(house.key, "die", model="far").error(502, "EM403")
    house.served.chat(house.key, "hi", model="far").error(502, "EM404")
    house.far.start()
    answered = house.served.chat(house.key, "hi", model="far").json
    assert answered["choices"][0]["message"]["content"] == "A plain answer."


def test_a_port_in_use(house: House) -> None:
    """A second server is refused by the port's number, and the first one goes on."""
    port = str(house.served.port)
    before = apart_from_counts(house.program.home)
    said = house.program.say("serve", "--port", port, "--no-jobs")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("error EM106: ")
    assert port in said.err
    assert "--port 0" in said.err
    assert apart_from_counts(house.program.home) == before
    with socket.create_connection(("127.0.0.1", house.served.port), timeout=5):
        pass


def test_an_interview_whose_engine_dies(tmp_path: Path, warm: Warm) -> None:
    """The failed attempts stay in the journal, nothing is recorded as held; with the engine healed, it is finished."""
    script = tmp_path / "script.json"
    voice = {"match": "^A voice", "answer": "A place to publish essays would be preferred.", "fault": "die", "after": 2}
    script.write_text(json.dumps({"model": "m", "default": "A plain answer.", "rules": [voice]}))
    command = f"{shlex.quote(sys.executable)} -m emeritus.engines.scripted --port {{port}} --script {script}"
    program = Program(tmp_path / "home", tmp_path, warm.parent)
    program("init")
    program("register", "own", "--engine", "command", "-o", f"command={command}", "-o", "model=m")
    arguments = ("interview", "run", "own")
    said = program.say(*arguments, "--json")
    assert (said.code, said.err) == (6, "")
    assert said.json["error"]["code"] == "EM403"
    text = program.say(*arguments)
    assert (text.code, text.out) == (6, "")
    assert text.err.startswith("error EM403: ")
    assert text.err.count("\n") == 2
    assert state(program.home)["table interview_sessions"] == []
    (journal,) = (program.home / "journals").glob("*.jsonl")
    kept = [json.loads(line) for line in journal.read_text().splitlines()]
    failed = [line for line in kept if line.get("outcome") == "failed"]
    assert [line["error"]["code"] for line in failed] == ["EM403"] * 4
    assert len({line["turn"] for line in failed}) == 1
    before = journal.read_bytes()

    script.write_text(json.dumps({"model": "m", "default": "A plain answer.", "rules": [voice | {"fault": None}]}))
    held = program(*arguments)
    assert [each["status"] for each in held] == ["complete", "complete"]
    assert journal.read_bytes().startswith(before)
    turns = program("interview", "show", held[0]["id"])["turns"]
    turn = next(each for each in turns if each["turn"] == failed[0]["turn"])
    assert turn["answer"] == voice["answer"]
    assert program("verify")["ok"]
