"""What a model's process says to whoever asks it: any bytes at all on its socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from emeritus.engines.base import Message, Piece, Sampling, Scored
from emeritus.engines.transformers import TransformersEngine
from emeritus.errors import EngineDied
from fuzz.target import Target, attempt, expect

ASKED = [Message("user", "x")]
TOKEN = {"token": "a", "logprob": -0.5, "top": [["a", -0.5], ["b", float("-inf")]]}
PIECE = {"text": "a", "logprobs": [TOKEN], "finish_reason": None, "prompt_tokens": 0, "completion_tokens": 0}
LAST = {"text": "", "logprobs": [], "finish_reason": "stop", "prompt_tokens": 3, "completion_tokens": 1}
SCORED = {"token_ids": [1, 2], "logprobs": [-0.25]}
READY = {"ready": True, "config": {"threads": 1}, "versions": {"torch": "2"}, "tools": True}
ERROR = {"code": "EM405", "message": "too long", "remedy": "Shorten it.", "facts": {"limit": 9}}


def check_replies(data: bytes) -> None:
    """Calls of each kind wait for these bytes: each ends with what it asked for or one of our errors, none waits on."""
    asyncio.run(_ask(data))


async def _ask(data: bytes) -> None:
    reader = asyncio.StreamReader(limit=1 << 16)
    nothing: Any = SimpleNamespace(write=lambda _order: None, end=lambda _pid: 0)
    engine = TransformersEngine((reader, nothing), nothing, 0, Path("log"))
    calls = [  # numbered from 1, in this order
        asyncio.create_task(_gathered(engine)),
        asyncio.create_task(engine.count(ASKED)),
        asyncio.create_task(engine.score(["x"])),
        asyncio.create_task(engine.load({}, "ab", 600.0)),
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reader.feed_data(data)
    reader.feed_eof()
    _, waiting = await asyncio.wait(calls, timeout=4)
    for each in waiting:
        each.cancel()
    engine._closing = True
    if engine._watching is not None:
        engine._watching.cancel()
    expect(not waiting, "a call waits for ever")
    expect(isinstance(engine._ended, EngineDied), "the engine does not know that its process has ended")
    said, counted, scored, _ = (attempt(each.result) for each in calls)
    expect(not said[0] or all(isinstance(piece, Piece) and isinstance(piece.text, str) for piece in said[1]), "a piece")
    expect(not counted[0] or counted[1] >= 0, "a count")
    expect(not scored[0] or all(isinstance(each, Scored) for each in scored[1]), "a score")


async def _gathered(engine: TransformersEngine) -> list[Piece]:
    return [piece async for piece in engine.stream(ASKED, Sampling())]


def _lines(*said: object) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in said)


def seeds() -> list[bytes]:
    """A sound conversation; what is JSON and no reply; what is no JSON."""
    whole = [PIECE | {"stop_sequence": None}, LAST | {"stop_sequence": "x"}]
    return [
        _lines(
            READY,
            {"beat": True},
            *({"call": 1, "piece": piece} for piece in whole),
            {"call": 1, "end": True},
            {"call": 2, "counted": 3},
            {"call": 2, "end": True},
            {"call": 3, "scored": SCORED},
            {"call": 3, "end": True},
        ),
        _lines({"call": None, "error": ERROR}, {"call": 1, "error": ERROR}, {"call": 2, "error": ERROR}),
        *(_lines(each) for each in (None, [], 7, "x", {"call": []}, {"call": 1, "piece": 5}, {"call": 1, "error": {}})),
        *(_lines(each) for each in ({"call": 1, "counted": 3}, {"call": 2, "end": True}, {"call": 1}, {"ready": True})),
        _lines({"call": 1, "error": ERROR | {"code": "EM999", "facts": {"message": "x"}}}),
        _lines({"call": 1, "piece": PIECE | {"stop_sequence": None, "finish_reason": 5}}),
        b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n",
        b"\xff\xfe\n",
        b'{"call": 1, "piece": {"text": "cut',
        b" " * (1 << 17),
    ]


TARGETS = {"replies": Target(check_replies, seeds)}
