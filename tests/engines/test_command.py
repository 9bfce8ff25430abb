"""The command engine keeps the contract on a real server process, and leaves none behind."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FolderSource

from emeritus.blobs.local import LocalStore
from emeritus.engines.base import Engine, Message, Sampling, collect
from emeritus.engines.log_file import keep_log
from emeritus.engines.open import open_engine
from emeritus.engines.ports import Port
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
    options = {"command": f"sh {server} {{port}}", "model": "scripted", "drain_s": 0.5}
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


async def test_a_server_that_hangs_is_ended(script: dict[str, Any], tmp_path: Path) -> None:
    """A server that falls silent and does not say that it is healthy either is ended, and the engine says why."""
    mark = tmp_path / "hangs.json"
    mark.write_text(json.dumps({**script, "token_delay_s": 0.05}))
    options = {"command": f"{SERVER} --script {mark}", "timeout_s": 0.6, "health_timeout_s": 0.4, "drain_s": 0.2}
    engine = await open_engine("command", options, None, log_dir=tmp_path / "logs")
    pieces: Any = engine.stream([Message("user", "count")], GREEDY)
    await anext(pieces)
    for each in group_of(str(mark)):
        if b"guard" not in await asyncio.to_thread(Path(f"/proc/{each}/cmdline").read_bytes):
            os.kill(each, signal.SIGSTOP)
    with pytest.raises(EngineDied, match="no longer said that it was healthy"):
        await collect(pieces)
    assert not engine.alive
    assert not group_of(str(mark))
    await engine.close()


async def test_what_is_being_answered_may_be_finished(script: dict[str, Any], tmp_path: Path) -> None:
    """Closing asks the server to end and leaves it the time for an answer under way; new ones are refused."""
    path = tmp_path / "slow.json"
    path.write_text(json.dumps({**script, "token_delay_s": 0.05}))
    engine = await open_engine("command", {"command": f"{SERVER} --script {path}"}, None, log_dir=tmp_path / "logs")
    pieces: Any = engine.stream([Message("user", "count")], GREEDY)
    first = await anext(pieces)
    rest = asyncio.create_task(collect(pieces))
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    with pytest.raises(EngineDied):
        await engine.answer([Message("user", "count")], GREEDY)
    assert first.text + (await rest).text == "one two three four five six seven eight nine ten"
    await closing
    assert not group_of(str(path))


def test_ports_are_given_once() -> None:
    """No port is given twice while it is held, not even by another process, nor one that is listened on."""
    held = [Port() for _ in range(50)]
    assert len({each.number for each in held}) == 50
    with socket.socket() as other:
        other.bind(("127.0.0.1", held[0].number))  # it is free for the server it was taken for
        other.listen()
        number = held[0].number
        held[0].close()
        again = Port.__new__(Port)
        assert not again._take(number)
    asks = f"from emeritus.engines.ports import Port; print(Port.__new__(Port)._take({held[1].number}))"
    found = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
    for each in held:
        each.close()
    assert again._take(number)
    again.close()


def test_logs_are_bounded(tmp_path: Path) -> None:
    """A server that talks without end fills two files of the size agreed on, and its last words are in the newer."""
    path, (source, sink) = tmp_path / "server.log", os.pipe()
    path.write_bytes(b"from before\n")
    keeping = threading.Thread(target=keep_log, args=(source, path, 100_000))
    keeping.start()
    with open(sink, "wb") as talking:
        for n in range(20_000):
            talking.write(b"line %d of many\n" % n)
    keeping.join(20)
    files = sorted(tmp_path.iterdir())
    assert [each.name for each in files] == ["server.log", "server.log.1"]
    assert all(0 < each.stat().st_size <= 100_000 for each in files)
    assert path.read_bytes().endswith(b"line 19999 of many\n")


def test_a_log_that_cannot_be_written_holds_up_nobody(tmp_path: Path) -> None:
    """When the log's place is gone, what the server says is lost and the server goes on."""
    source, sink = os.pipe()
    keeping = threading.Thread(target=keep_log, args=(source, tmp_path / "gone" / "server.log", 1000), daemon=True)
    keeping.start()
    with open(sink, "wb") as talking:
        talking.write(b"x" * 1_000_000)
    keeping.join(20)
    assert not keeping.is_alive()


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
