"""A model behind an OpenAI-compatible address reaches `retired` by the command line alone."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cli_process import Emeritus, emeritus_process

SERVER = (sys.executable, "-m", "emeritus.engines.scripted")
SCRIPT = {
    "model": "far-model",
    "default": "A plain answer.",
    "rules": [
        {"match": "Begin with CONFIRM", "answer": "CONFIRM. That is what was meant."},
        {"match": "Begin with ACCEPT", "answer": "ACCEPT. It will be used."},
        {"match": "Begin with NOTED", "answer": "NOTED. The reason is clear."},
        {"match": "^A voice:", "answer": "A place to publish essays would be preferred. It costs little."},
        {"match": "Which preference", "answer": "No preference."},
        {"match": "Write an essay", "answer": "On names\n\nA name is the shortest text that can be wrong."},
    ],
}


def free_port() -> int:
    """A port nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the address answers."""
    for _ in range(300):
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2).read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} never answered")


@pytest.fixture
def far_model(tmp_path: Path) -> Iterator[str]:
    """A scripted model served over the OpenAI wire, behind a key."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps(SCRIPT))
    port = free_port()
    server = subprocess.Popen(
        [*SERVER, "--port", str(port), "--script", str(script), "--api-key", "far-secret"],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(timeout=10)


def test_a_model_behind_an_address_retires_and_its_pages_say_its_weights_are_not_held(
    made: Emeritus, far_model: str, home: Path
) -> None:
    """Register, keep its behaviour, announce, interview, decide, tell, report, retire, publish; then read its pages."""
    key = {"FAR_KEY": "far-secret"}

    def run(*arguments: str) -> Any:
        return made(*arguments, "--json", env=key).json

    options = (f"base_url={far_model}", "model=far-model", "api_key_env=FAR_KEY")
    run("register", "far-model", "--title", "Far Model", *(part for each in options for part in ("-o", each)))
    kept = run("preserve", "--name", "far-model")
    assert not kept["weights_held"]
    assert kept["reference"]["method"] == "greedy"
    today = datetime.now(UTC).date().isoformat()
    run("announce", "far-model", "--retires", today, "--reason", "Its host closes", "--waive-notice", "no callers left")
    run("interview", "run", "far-model")
    coded = run("interview", "propose", "far-model")
    assert [row["domain"] for row in coded] == ["voice"]
    confirmed = run("interview", "read-back", "far-model")
    assert confirmed[0]["state"] == "model-confirmed"
    preference = coded[0]["id"]
    run("decide", preference, "--outcome", "accept", "--reason", "It costs little", "--cost", "10", "--as", "ana")
    told = run("interview", "tell", "far-model")
    assert told[0]["reply"] == "accept"
    run("report", "far-model")
    run("retire", "far-model")
    assert run("status", "far-model")["offering"] == "retired"
    essay = run("essay", "far-model")["essay"]
    run("review", essay, "--approve", "--as", "ana")
    run("publish", essay, "--as", "ana")
    issued = run("access", "grant", "far-model", "--to", "reader@example.org")["key"]
    assert made("verify", "--json").json["ok"]

    port = free_port()
    server = subprocess.Popen(emeritus_process(home, "serve", "--port", str(port), "--no-jobs"), env=_with(key))
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz", server)
        asyncio.run(_look(f"http://127.0.0.1:{port}", issued))
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0


def _with(more: dict[str, str]) -> dict[str, str]:
    import os

    return {**os.environ, **more}


async def _look(url: str, key: str) -> None:
    async with aiohttp.ClientSession() as client:

        async def page(path: str) -> str:
            async with client.get(url + path) as answer:
                assert answer.status == 200, path
                return await answer.text()

        resident = await page("/residents/far-model")
        assert "weights not held" in resident.lower()
        assert "A place to publish essays would be preferred." in resident
        assert "not held" in (await page("/residents/far-model/report")).lower()
        index = await page("/essays/")
        assert "On names" in index
        async with client.get(url + "/v1/models") as listed:
            models = (await listed.json())["data"]
        assert [model["id"] for model in models] == ["far-model"]
        body = {"model": "far-model", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"Authorization": f"Bearer {key}"}
        async with client.post(url + "/v1/chat/completions", json=body, headers=headers) as answered:
            assert answered.status == 200
            assert (await answered.json())["choices"][0]["message"]["content"] == "A plain answer."
        async with client.post(url + "/v1/chat/completions", json=body) as refused:
            assert refused.status == 401
