"""The command engine keeps the contract on a real server process, and leaves none behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FolderSource

from emeritus.blobs.local import LocalStore
from emeritus.engines.base import Engine, Message, Sampling
from emeritus.engines.open import open_engine
from emeritus.errors import BadSettings, EngineDied, EngineFailed, UpstreamRefused
from emeritus.preservation.cache import Cache
from emeritus.preservation.sources import VaultSource
from emeritus.testing.engine_contract import EngineContract
from emeritus.vault.vault import Vault

GREEDY = Sampling(max_tokens=24, temperature=0.0)
SERVER = "{python} -m emeritus.engines.scripted --port {port} --model {model}"


def group_of(words: str) -> list[int]:
    """Processes whose command line holds these words."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if words in line:
                found.append(int(folder.name))
    return found


@pytest.fixture
def script_file(script: dict[str, Any], tmp_path: Path) -> Path:
    """The script on disk; its path names this test's processes."""
    path = tmp_path / "script.json"
    path.write_text(json.dumps(script))
    return path


@pytest.fixture
async def engine(script_file: Path, tmp_path: Path) -> AsyncIterator[Engine]:
    """A scripted server under the command engine."""
    options = {"command": f"{SERVER} --script {script_file}", "logprobs": True, "timeout_s": 10}
    engine = await open_engine("command", options, None, log_dir=tmp_path / "logs")
    yield engine
    await engine.close()


class TestCommandContract(EngineContract):
    """The contract over a server that was started for it; `engine` is the module's fixture."""


async def test_server_dies_while_answering(engine: Engine, tmp_path: Path) -> None:
    """A server that ends in the middle of an answer is reported as ended, with its status and its log."""
    with pytest.raises(EngineDied, match="status 3") as died:
        await engine.answer([Message("user", "fault die")], GREEDY)
    assert died.value.facts["log"] == str(tmp_path / "logs" / "command-resident.log")
    assert not engine.alive
    with pytest.raises(EngineDied):
        await engine.answer([Message("user", "hi")], GREEDY)


async def test_a_refusal_is_not_a_death(engine: Engine) -> None:
    """A server that refuses one request goes on living."""
    with pytest.raises(UpstreamRefused):
        await engine.answer([Message("user", "fault rate")], GREEDY)
    assert engine.alive


async def test_close_ends_the_whole_group(tmp_path: Path) -> None:
    """Closing ends what the server itself has started, even what ignores SIGTERM."""
    mark = f"marker-{os.getpid()}-{time.monotonic_ns()}"
    stubborn = tmp_path / "stubborn.sh"
    stubborn.write_text(f"trap '' TERM\nsleep 300 # {mark}\n")
    server = tmp_path / "server.sh"
    server.write_text(f'sh {stubborn} {mark} &\nexec {sys.executable} -m emeritus.engines.scripted --port "$1"\n')
    options = {"command": f"sh {server} {{port}}", "model": "scripted"}
    engine = await open_engine("command", options, None, log_dir=tmp_path / "logs")
    assert (await engine.answer([Message("user", "hi")], GREEDY)).text
    assert group_of(mark)
    await engine.close()
    assert not group_of(mark)


async def test_a_server_that_ends_at_once(tmp_path: Path) -> None:
    """A server that fails at its start is reported with its status, not waited for."""
    started = time.monotonic()
    with pytest.raises(EngineFailed, match="status 7"):
        await open_engine("command", {"command": "sh -c 'exit 7'"}, None, log_dir=tmp_path)
    with pytest.raises(EngineFailed, match="status 127"):
        await open_engine("command", {"command": "no-such-server-program"}, None, log_dir=tmp_path)
    assert time.monotonic() - started < 30
    assert "no-such-server-program: No such file" in (tmp_path / "command-resident.log").read_text()


async def test_a_server_that_is_never_healthy(tmp_path: Path) -> None:
    """A server that never gets ready is given up at the deadline and ended."""
    mark = f"3{time.monotonic_ns() % 10**8}"
    with pytest.raises(EngineFailed, match="not healthy"):
        await open_engine(
            "command", {"command": f"sleep {mark}", "start_timeout_s": 0.3}, None, log_dir=tmp_path / "logs"
        )
    assert not group_of(f"sleep {mark}")


async def test_cancelled_start(tmp_path: Path) -> None:
    """Giving up while a server starts ends it too."""
    mark = f"4{time.monotonic_ns() % 10**8}"
    opening = asyncio.create_task(open_engine("command", {"command": f"sleep {mark}"}, None, log_dir=tmp_path / "logs"))
    for _ in range(1000):
        if group_of(f"sleep {mark}"):
            break
        await asyncio.sleep(0.02)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not group_of(f"sleep {mark}")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("serve {nonsense}", "unknown placeholder"),
        ("serve '", "quotation"),
        ("serve {folder}", "no weights are held"),
        ("serve {file}", "no weights are held"),
    ],
)
async def test_bad_templates(command: str, says: str, tmp_path: Path) -> None:
    """A template that cannot be filled is refused before anything starts."""
    with pytest.raises(BadSettings, match=r"(?i)" + says):
        await open_engine("command", {"command": command}, None, log_dir=tmp_path)


async def test_placeholders(tmp_path: Path) -> None:
    """{folder} and {file} reach the command as whole words, spaces and all."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "one.gguf").write_bytes(b"GGUF")
    with pytest.raises(EngineFailed):
        await open_engine(
            "command",
            {"command": "{python} -c 'import sys; print(sys.argv[1:])' {folder} -m {file} x{model}y"},
            FolderSource(folder),
            log_dir=tmp_path / "logs",
        )
    log = "".join(path.read_text() for path in sorted((tmp_path / "logs").iterdir()))
    assert f"['{folder}', '-m', '{folder / 'one.gguf'}', 'xresidenty']" in log
    (folder / "two.gguf").write_bytes(b"GGUF")
    with pytest.raises(BadSettings, match="exactly one"):
        await open_engine("command", {"command": "serve {file}"}, FolderSource(folder), log_dir=tmp_path)


def test_guard_outlives_no_parent(tmp_path: Path) -> None:
    """When the process that started a server is killed, the server ends."""
    mark = f"5{time.monotonic_ns() % 10**8}"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            f"guarded = [sys.executable, '-m', 'emeritus.engines.guard', 'sleep', '{mark}']\n"
            "subprocess.Popen(guarded, stdin=subprocess.PIPE)\n"
            "time.sleep(60)",
        ]
    )
    try:
        deadline = time.monotonic() + 20
        while len(group_of(mark)) < 3 and time.monotonic() < deadline:  # parent, guard, sleep
            time.sleep(0.02)
        assert len(group_of(mark)) == 3
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 10
    while group_of(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not group_of(mark)


async def test_a_server_that_reads_the_vault_gets_no_weights(llama: FolderSource, tmp_path: Path) -> None:
    """{light} is the resident's other files, restored alone; a command that asks for both is refused."""
    vault = Vault.create(LocalStore(tmp_path / "vault"))
    vault.preserve(llama.path, "wren")
    source = VaultSource(vault, "wren", Cache(tmp_path / "cache"))
    lists = "{python} -c 'import os, sys; print(sorted(os.listdir(sys.argv[1])), sys.argv[2])' {light} '{{\"a\": 1}}'"
    with pytest.raises(EngineFailed):
        await open_engine("command", {"command": lists}, source, log_dir=tmp_path / "logs")
    (log,) = [path.read_text() for path in (tmp_path / "logs").iterdir()]
    assert "config.json" in log
    assert "safetensors" not in log
    assert log.strip().endswith('{"a": 1}')
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    with pytest.raises(BadSettings, match="both"):
        await open_engine("command", {"command": "x {light} {folder}"}, source, log_dir=tmp_path / "logs")
    with pytest.raises(BadSettings, match="no weights are held"):
        await open_engine("command", {"command": "x {light}"}, None, log_dir=tmp_path / "logs")
