"""Very many callers at once: a bounded price for each, and every answer comes to its end."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from gateway_house import KEY, LIMITS, House, served, until

from emeritus.access.policy import Tokens
from emeritus.gateway.backend import Limits

BODY = {"model": "ibis", "messages": [{"role": "user", "content": "Who?"}], "stream": True}
HEADERS = {"Authorization": f"Bearer {KEY}"}
MANY = 10_000
OPEN = """
import asyncio, resource, sys
port, count, request = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

class Stream(asyncio.Protocol):
    begun = ended = lost = 0
    last = b""
    def connection_made(self, transport):
        transport.write(request)
    def data_received(self, data):
        if not self.last:
            Stream.begun += 1
        self.last = (self.last + data)[-20:]
        if b"[DONE]" in self.last:
            Stream.ended += 1
            self.last = b"-"
    def connection_lost(self, error):
        Stream.lost += 1

async def main():
    loop, kept = asyncio.get_running_loop(), []
    for first in range(0, count, 100):
        some = range(first, min(first + 100, count))
        kept += await asyncio.gather(*(loop.create_connection(Stream, "127.0.0.1", port) for _ in some))
    while Stream.begun < count:
        await asyncio.sleep(0.05)
    print("open", flush=True)
    while Stream.ended < count and not Stream.lost:
        await asyncio.sleep(0.05)
    print(Stream.ended, flush=True)

asyncio.run(main())
"""


def memory() -> int:
    """Bytes of this process that lie in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def request() -> bytes:
    """A streamed call, as it goes over the wire."""
    body = json.dumps(BODY)
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@pytest.mark.slow
async def test_ten_thousand_streams_are_open_at_once() -> None:
    """All are held open while the resident wakes, at a bounded price each, and all come to their end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(MANY, hard - 500)  # as many as this machine allows
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    house = House(asleep=asyncio.Event(), quota=MANY)
    house.puppet.words = ("one",)
    patient = Limits(LIMITS.max_body_bytes, 60, stream_wake_timeout_s=300, grace_s=1.0, heartbeat_s=60.0)
    before, open_before = memory(), descriptors()
    try:
        async with served(house, patient) as address:
            port = address.split(":")[2].split("/")[0]
            command = [sys.executable, "-c", OPEN, port, str(count), request().decode()]
            callers = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            try:
                assert callers.stdout is not None
                assert await callers.stdout.readline() == b"open\n"
                assert house.admitted == count
                each = (memory() - before) / count
                assert each < 100_000  # bytes
                assert house.asleep is not None
                house.asleep.set()
                assert int(await callers.stdout.readline()) == count
            finally:
                with suppress(ProcessLookupError):
                    callers.kill()
                await callers.communicate()
            await until(lambda: house.held == 0 and len(house.metered) == count)
        assert house.loads == 1
        assert house.metered == [Tokens(12, 1)] * count
        await until(lambda: descriptors() <= open_before)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
