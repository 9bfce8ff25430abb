"""Callers that leave and callers that read slowly: bounded memory, and nobody else's time."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from gateway_house import KEY, LIMITS, House, served, until

from emeritus.access.limits import LimitState
from emeritus.access.policy import Tokens

BODY = {"model": "ibis", "messages": [{"role": "user", "content": "Who?"}], "stream": True}
HEADERS = {"Authorization": f"Bearer {KEY}"}


def memory() -> int:
    """Bytes of this process that lie in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def request() -> bytes:
    """A streamed call, as it goes over the wire."""
    body = json.dumps(BODY)
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def test_a_slow_reader_slows_only_its_own_answer() -> None:
    """A caller that reads a byte a moment stops its answer's production; others are answered, memory stays."""
    house = House()
    house.puppet.endless = True
    async with served(house) as address:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", int(address.split(":")[2].split("/")[0])))
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(slow, request())
        await until(lambda: house.puppet.running == 1)
        sizes = []
        for _ in range(40):
            await asyncio.wait_for(loop.sock_recv(slow, 1), 5)
            await asyncio.sleep(0.02)
            sizes.append(memory())
        assert sizes[-1] - sizes[len(sizes) // 2] < 2 << 20  # what is produced waits for its reader
        house.puppet.endless = False
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            began = time.monotonic()
            async with session.post(f"{address}/chat/completions", json=BODY | {"stream": False}) as response:
                assert response.status == 200
            assert time.monotonic() - began < 2
        house.puppet.endless = True
        slow.close()
        await until(lambda: house.puppet.running == 0 and house.held == 0)
    assert Tokens(12, 6) in house.metered  # under load the slow one may come to its end first
    assert len(house.metered) == 2


async def test_a_caller_that_leaves_ends_its_answer() -> None:
    """The connection closed in the middle: the engine is told to stop, the call counts, nobody holds the resident."""
    house = House()
    house.puppet.endless, house.puppet.pause_s = True, 0.01
    async with served(house) as address:
        for _ in range(3):
            async with aiohttp.ClientSession(headers=HEADERS) as session:
                response = await session.post(f"{address}/chat/completions", json=BODY)
                await response.content.readuntil(b"again")
                response.close()
        await until(lambda: house.puppet.running == 0 and house.held == 0)
        await until(lambda: len(house.metered) == 3)
    assert house.puppet.cancelled == 3
    for used in house.metered:  # at least what was read: all words, and "again" once
        assert used is not None
        assert used.completion > len(house.puppet.words)


async def test_a_token_budget_is_charged_the_prompt_of_a_stream_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tokens are counted against a limit, the prompt's are too, however soon its caller leaves."""
    house = House()
    house.puppet.endless, house.puppet.pause_s = True, 0.01
    admit, budget = house.admit, (LimitState("tokens_per_day", "tokens", 100, 90, 60),)
    monkeypatch.setattr(house, "admit", lambda key, resident: replace(admit(key, resident), limits=budget))
    async with served(house) as address, aiohttp.ClientSession(headers=HEADERS) as session:
        response = await session.post(f"{address}/chat/completions", json=BODY)
        await response.content.readuntil(b"The")
        response.close()
        await until(lambda: house.metered)
    assert house.metered[0] is not None
    assert (house.metered[0].prompt, house.metered[0].completion > 0) == (12, True)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_takes_too_long_is_ended(stream: bool) -> None:
    """After `longest_answer_s` its caller gets the error, whole or in its stream; the resident is let go for others."""
    house = House()
    house.puppet.endless, house.puppet.pause_s = True, 0.005
    async with (
        served(house, replace(LIMITS, answer_s=0.5)) as address,
        aiohttp.ClientSession(headers=HEADERS) as session,
    ):
        async with session.post(f"{address}/chat/completions", json=BODY | {"stream": stream}) as response:
            sent = await response.text()
        assert response.status == (200 if stream else 422)
        assert '"code":"EM410"' in sent
        assert "[DONE]" not in sent
        assert (house.held, house.puppet.running, house.puppet.cancelled) == (0, 0, 1)
        charged = [0 if used is None else used.completion for used in house.metered]
        assert len(charged) == 1
        assert charged[0] >= sent.count("again") > 0 if stream else charged == [0]
        house.puppet.endless = False
        async with session.post(f"{address}/chat/completions", json=BODY) as response:
            assert (await response.text()).endswith("[DONE]\n\n")


async def test_a_reader_that_stops_keeps_nobody_awake() -> None:
    """A caller that reads no more holds its resident for as long as an answer may take, and not longer."""
    house = House()
    house.puppet.endless, house.puppet.words = True, ("many words " * 4000,)
    async with served(house, replace(LIMITS, answer_s=0.5)) as address:
        stopped = socket.socket()
        stopped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stopped.connect(("127.0.0.1", int(address.split(":")[2].split("/")[0])))
        stopped.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(stopped, request())
        await until(lambda: house.held == 1)
        await until(lambda: house.held == 0)
        assert (house.puppet.running, len(house.metered)) == (0, 1)
        assert house.metered[0] is not None
        assert house.metered[0].completion > 0
        stopped.close()
