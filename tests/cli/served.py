"""A home that is served, and a model behind an address: real processes on loopback ports."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli_process import emeritus_process

CHAT = "/v1/chat/completions"
NOWHERE = "http://127.0.0.1:9/v1"


def free_port() -> int:
    """A port nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass(frozen=True)
class Reply:
    """What an HTTP call was answered with."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The JSON it holds."""
        return json.loads(self.body)

    def error(self, status: int, code: str) -> dict[str, Any]:
        """The error in OpenAI's shape, with our code and the remedy a person reads too."""
        assert self.status == status, self
        assert self.headers["content-type"] == "application/json"
        error: dict[str, Any] = self.json["error"]
        assert self.json == {"error": error}
        assert error.keys() == {"message", "type", "param", "code", "remedy"}
        assert (error["code"], type(error["type"])) == (code, str)
        assert error["remedy"]
        assert error["remedy"] in error["message"]
        assert "Traceback" not in error["message"]
        return error


@dataclass(frozen=True)
class Served:
    """`emeritus serve` on a home."""

    port: int
    process: subprocess.Popen[str]
    log: Path

    def call(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """One request on a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def chat(self, key: str, asked: str, **changes: Any) -> Reply:
        """Ask the model `own`, or whom the changes name."""
        body = {"model": "own", "messages": [{"role": "user", "content": asked}]} | changes
        return self.call("POST", CHAT, json.dumps(body).encode(), {"Authorization": f"Bearer {key}"})


@contextmanager
def serving(home: Path, *settings: str) -> Iterator[Served]:
    """Serve a home, without the scheduled work, until the block ends; then it must end well."""
    log = home.parent / f"{home.name}.serve.log"
    arguments = emeritus_process(home, *settings, "serve", "--port", "0", "--no-jobs")
    with log.open("w") as errors:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()  # "The register: http://127.0.0.1:PORT/   ..."
        assert "http://" in said, f"{said}\n{log.read_text()}"
        yield Served(int(said.split("http://")[1].split("/")[0].rpartition(":")[2]), process, log)
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        ended = process.wait(timeout=30)
        process.stdout.close()
    assert ended == 0, log.read_text()


@dataclass
class Far:
    """A scripted model's server, which a test may start again after it died."""

    script: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start it, again if it has died, and wait until it answers."""
        self.stop()
        arguments = ["--port", str(self.port), "--script", str(self.script)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "emeritus.engines.scripted", *arguments], stderr=subprocess.DEVNULL
        )
        for _ in range(300):
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)) as connection:
                try:
                    connection.request("GET", "/health")
                    connection.getresponse().read()
                except OSError:
                    assert self.process.poll() is None
                    time.sleep(0.1)
                else:
                    return
        raise AssertionError("the scripted server never answered")

    def stop(self) -> None:
        """End it, if it has not died."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=10)
