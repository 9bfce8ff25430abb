"""What callers send: bodies in both vendors' words, the files and lists of batches, the form that brings a file."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
import warnings
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from starlette.datastructures import Headers

from emeritus.correspondence.questions import Question
from emeritus.engines.base import Answer
from emeritus.errors import BadRequest, EmeritusError, NotFound, RequestTooLarge
from emeritus.gateway.anthropic import messages
from emeritus.gateway.anthropic.batches import read_requests
from emeritus.gateway.anthropic.routes import FACE as ANTHROPIC
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.openai import chat, completions, responses
from emeritus.gateway.openai.batches import lines_of
from emeritus.gateway.openai.files import read_form
from emeritus.gateway.openai.routes import FACE as OPENAI
from emeritus.gateway.post import Post, question_of
from emeritus.gateway.wording import Parse, Refusing
from fuzz.target import Target, expect

IBIS = ModelInfo(
    name="ibis",
    title="Ibis",
    owned_by="House",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    tier="on-demand",
    offering="retired",
    access="entitled",
    preservation="proven",
    reachable=True,
    weights_digest="ab" * 32,
)
MOST = 1 << 14  # bytes of a line, and of a form's file
ENDPOINT = "/v1/chat/completions"
BOUNDARY = b"x7"
TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi é"}]}]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {}}}}
CHAT = {
    "model": "ibis",
    "messages": [
        *TURNS,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "1", "tool_call_id": "c"},
        TURNS[1],
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 9,
    "seed": 7,
    "stop": ["a", "b"],
    "logprobs": True,
    "top_logprobs": 2,
    "n": 2,
    "stream": True,
    "stream_options": {"include_usage": True},
    "logit_bias": {},
    "user": "u",
}
COMPLETION = {
    "model": "ibis",
    "prompt": ["Once", "Twice"],
    "max_tokens": 5,
    "echo": True,
    "logprobs": 2,
    "n": 2,
    "stop": "x",
    "seed": 1,
    "suffix": None,
    "best_of": 1,
}
RESPONSE = {
    "model": "ibis",
    "instructions": "Be brief.",
    "max_output_tokens": 9,
    "store": False,
    "temperature": 1,
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": {}}],
    "text": {"format": {"type": "text"}},
}
MESSAGE = {
    "model": "ibis",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "Be brief."}],
    "stop_sequences": ["x"],
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}]},
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto"},
    "temperature": 0.1,
    "top_p": 0.5,
    "metadata": {"user_id": "u"},
    "stream": True,
}
PLAIN = {"model": "ibis", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}


class _House:
    """As much of a backend as reading a batch asks for."""

    def model(self, name: str) -> ModelInfo:
        if name != IBIS.name:
            raise NotFound(f"no resident {name!r}")
        return IBIS


def _post() -> Post:
    house: Any = _House()
    nothing: Any = SimpleNamespace(kept=None)  # what is read is not kept here
    return Post(house, nothing, MOST)


def body(parse: Parse, face: Refusing) -> Callable[[bytes], None]:
    """A body is a call, which is kept and written in the vendor's words, or it is refused in them."""

    def check(data: bytes) -> None:
        try:
            call, render = parse(data)
        except BadRequest as error:
            _refused(error, face)
            return
        expect(1 <= len(call.prompts) * call.n <= 128, "a call without choices, or with too many")
        question = question_of(call)
        kept = json.dumps(question.as_dict()).encode()  # as correspondence keeps it
        expect(Question.of(json.loads(kept)) == question, "a question was kept as another one")
        rendering = render(IBIS)
        json.loads(rendering.whole([Answer("Yes é", "stop", 3, 2)] * (len(call.prompts) * call.n)))

    return check


def check_batch_file(data: bytes) -> None:
    """The file of a batch: each line is a request, or a problem that names its line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        lines, problems = _post().read(lines_of(path, ENDPOINT, MOST), chat.parse)
    expect(len({line.custom_id for line in lines}) == len(lines), "two requests have one name")
    for line in lines:
        expect("\0" not in line.custom_id, "a name that PostgreSQL does not keep")
        json.dumps([line.custom_id, line.body], ensure_ascii=False).encode()
    for problem in problems:
        expect(0 <= problem.line <= data.count(b"\n"), "a problem of a line that is not there")
        _refused(problem.error, OPENAI)


def check_batch_list(data: bytes) -> None:
    """The body of a batch of messages: requests, or one refusal."""
    try:
        lines = read_requests(_post(), data)
    except BadRequest as error:
        _refused(error, ANTHROPIC)
        return
    expect(bool(lines) and all(line.resident == "ibis" for line in lines), "a batch without requests")


def check_form(data: bytes) -> None:
    """The first line is the form's content type, as far as it can be a header; the rest its body."""
    kind, _, rest = data.partition(b"\n")
    header = "".join(char for char in kind.decode("latin-1") if char == "\t" or " " <= char != "\x7f")

    async def chunks() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(rest), 1000):
            yield rest[start : start + 1000]

    async def read() -> tuple[str | None, bytes]:
        form, upload = await read_form(Headers({"content-type": header}), chunks(), MOST)
        try:
            return upload.filename, upload.file.read()
        finally:
            await form.close()

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # Starlette drops the file of a part that breaks off
            _, found = asyncio.run(read())
    except (BadRequest, RequestTooLarge) as error:
        _refused(error, OPENAI)
        return
    expect(found in rest, "a file has bytes that nobody sent")


def _refused(error: EmeritusError, face: Refusing) -> None:
    """It can be told: as JSON in the vendor's shape, with no more than a short piece of what was sent."""
    told = bytes(face.refuse(error).body)
    json.loads(told)
    expect(len(told) < 4000, "a refusal repeats what was sent")


def _json(*values: Any) -> list[bytes]:
    return [json.dumps(value, ensure_ascii=False).encode() for value in values]


def _line(number: int, url: str = ENDPOINT, **more: Any) -> bytes:
    return _json({"custom_id": f"r{number}", "method": "POST", "url": url, "body": PLAIN, **more})[0] + b"\n"


def _form() -> bytes:
    part = b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; name="
    whole = part + b'"purpose"\r\n\r\nbatch\r\n' + part + b'"file"; filename="a.jsonl"\r\n\r\n' + _line(1)
    return b"multipart/form-data; boundary=" + BOUNDARY + b"\n" + whole + b"\r\n--" + BOUNDARY + b"--\r\n"


logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of every form that is broken
TARGETS = {
    "chat": Target(body(chat.parse, OPENAI), lambda: _json(CHAT, PLAIN)),
    "completions": Target(body(completions.parse, OPENAI), lambda: _json(COMPLETION)),
    "responses": Target(body(responses.parse, OPENAI), lambda: _json(RESPONSE, {"model": "ibis", "input": "Hi"})),
    "messages": Target(body(messages.parse, ANTHROPIC), lambda: _json(MESSAGE, PLAIN)),
    "count": Target(
        body(messages.parse_counting, ANTHROPIC), lambda: _json({"model": "ibis", "messages": MESSAGE["messages"]})
    ),
    "batch-file": Target(
        check_batch_file, lambda: [_line(1) + _line(2, url="/v1/responses") + _line(3, body={"model": "dodo"})]
    ),
    "batch-list": Target(
        check_batch_list,
        lambda: _json({"requests": [{"custom_id": "a", "params": PLAIN}, {"custom_id": "b", "params": PLAIN}]}),
    ),
    "form": Target(check_form, lambda: [_form()]),
}
