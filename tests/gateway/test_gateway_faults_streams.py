"""Callers that leave and callers that read slowly: bounded memory, and nobody else's time."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time
from pathlib import Path

import aiohttp
from gateway_house import KEY, House, served, until

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
    assert house.metered[0] == Tokens(12, 6)
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
    assert house.metered == [Tokens()] * 3
