"""What is sent to the addresses of files and batches is one clear error in its vendor's shape, and keeps nothing."""

from __future__ import annotations

import io
import json
from typing import Any

import aiohttp
from anthropic.types.shared import ErrorResponse
from post_house import PostHouse, chat_line

UNREADABLE = [
    b"",
    b"{",
    b"null",
    b"\xff\xfe\x00",
    b'{"a": "\xff"}',
    b'{"input_file_id": "\\ud800"}',
    b"[" * 50_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b'{"unheard_of": 1}',
    b'{"requests": 7, "endpoint": 7}',
    b'{"requests": [], "input_file_id": "x", "endpoint": "/v1/nothing", "completion_window": "24h"}',
    b'{"requests": [{"custom_id": "a", "params": {"model": NaN}}]}',
    json.dumps({"requests": [{"custom_id": "\0", "params": {}}]}).encode(),
    json.dumps({"requests": [{"custom_id": "a", "params": chat_line(1)["body"] | {"stream": True}}]}).encode(),
]
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


async def refused(
    session: aiohttp.ClientSession, address: str, body: bytes | io.BytesIO, **headers: str
) -> tuple[int, Any, str]:
    """Status, body and request id of a refusal."""
    async with session.post(address, data=body, headers=headers) as response:
        return response.status, await response.json(), response.headers.get("request-id", "")


async def test_unreadable_bodies(post: PostHouse) -> None:
    """Broken JSON, encodings, depths, types, fields and forms: a 400 in the shape of whom the address belongs to."""
    key = post.key()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        for body in UNREADABLE:
            status, sent, _ = await refused(session, f"{post.address}/batches", body)
            assert (status, sent["error"]["code"], sent["error"]["type"]) == (400, "EM105", "invalid_request_error")
            status, sent, request = await refused(session, f"{post.address}/messages/batches", body)
            assert (status, sent["error"]["details"]["error_code"]) == (400, "EM105"), body[:60]
            assert ErrorResponse.model_validate(sent).request_id == request
            assert len(json.dumps(sent)) < 4000
            for headers in ({}, FORM, {"Content-Type": "multipart/form-data"}):
                status, sent, _ = await refused(session, f"{post.address}/files", body, **headers)
                assert (status, sent["error"]["code"]) == (400, "EM105"), (body[:60], headers)
        most = post.app.settings.max_body_bytes
        status, sent, _ = await refused(session, f"{post.address}/batches", io.BytesIO(b" " * (most + 1)))
        assert (status, sent["error"]["code"]) == (413, "EM111")
        for path in ("files/%00", "batches/%00", "files?after=%00", "batches?limit=%C2%B2"):
            async with session.get(f"{post.address}/{path}") as response:
                assert response.status in (400, 404), path
    kept = post.app.settings.home / "correspondence"
    assert [each for each in kept.rglob("*") if each.is_file() and each.parent.name != "turns"] == []
    async with post.client(key) as client:
        assert [each async for each in client.batches.list()] == []
        assert [each async for each in client.files.list()] == []
