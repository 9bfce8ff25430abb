"""The ray engine on a real cluster of two nodes: the contract, a node killed under load, and what goes wrong otherwise.

A cluster takes most of a minute to start and a gigabyte, so these run only where EMERITUS_TEST_RAY names a Python
interpreter that has Emeritus with the extras `ray` and `local`: docs/engines.md says how.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tiny_models import FolderSource

from emeritus.blobs.local import LocalStore
from emeritus.engines.base import Engine, Message, Sampling, collect
from emeritus.engines.open import check_options, open_engine
from emeritus.errors import BadSettings, EngineDied, EngineFailed
from emeritus.preservation.cache import Cache
from emeritus.preservation.sources import VaultSource
from emeritus.testing.engine_contract import EngineContract
from emeritus.vault.vault import Vault

RAY = os.environ.get("EMERITUS_TEST_RAY", "")
pytestmark = pytest.mark.asyncio(loop_scope="module")
needs_ray = pytest.mark.skipif(not RAY, reason="a Ray cluster takes a minute and a gigabyte: set EMERITUS_TEST_RAY")
GREEDY = Sampling(max_tokens=24, temperature=0.0)
HEAD, DASHBOARD, PROXY = 26381, 28267, 28001


@dataclass
class Nodes:
    """A cluster on this machine. `second` are the processes of the node that may be killed."""

    folder: Path
    environment: dict[str, str]

    def ray(self, *words: str) -> str:
        """Run the cluster's own command line."""
        done = subprocess.run(
            [RAY, "-m", "ray.scripts.scripts", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def begin(self) -> None:
        """A head, and a second node."""
        self.ray(
            "start",
            "--head",
            f"--port={HEAD}",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={DASHBOARD}",
            "--ray-client-server-port=26382",
            "--dashboard-agent-listen-port=26383",
            f"--temp-dir={self.folder}",
            *COMMON,
        )
        self.join()

    def end(self) -> None:
        """Nothing of it is left."""
        for _ in range(3):
            for each in processes_of(self.folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            time.sleep(0.3)

    def join(self) -> None:
        """A second node."""
        self.ray("start", f"--address=127.0.0.1:{HEAD}", "--dashboard-agent-listen-port=26384", *COMMON)

    def raylets(self) -> list[int]:
        """One process for each node, the head's first."""
        found = []
        for each in sorted(int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()):
            try:
                line = Path(f"/proc/{each}/cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "raylet/raylet" in line and str(self.folder) in line:
                found.append(each)
        return found


COMMON = (
    "--num-cpus=2",
    "--object-store-memory=80000000",
    "--min-worker-port=0",
    "--max-worker-port=0",
    "--include-log-monitor=false",
    "--disable-usage-stats",
)


def processes_of(folder: Path, title: bytes = b"") -> list[int]:
    """Every process whose command line or environment names this folder, and that is called so."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and int(each.name) != os.getpid():
            try:
                words = (each / "cmdline").read_bytes()
                if title in words and str(folder).encode() in words + (each / "environ").read_bytes():
                    found.append(int(each.name))
            except OSError:
                continue
    return found


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A head and a second node; every process ended afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: sockets lie in it
    path = f"{Path(RAY).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "EMERITUS_TEST_MARK": str(folder)}
    nodes = Nodes(folder, environment)
    try:
        nodes.begin()
        yield nodes
    finally:
        nodes.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def kept(llama: FolderSource, tmp_path_factory: pytest.TempPathFactory) -> VaultSource:
    """The model in a vault."""
    folder = tmp_path_factory.mktemp("kept")
    vault = Vault.create(LocalStore(folder / "vault"))
    vault.preserve(llama.path, "wren")
    return VaultSource(vault, "wren", Cache(folder / "cache"))


def options(kept: VaultSource, nodes: Nodes, **more: Any) -> dict[str, Any]:
    """How the engine is opened here: the vault's folder is every node's, as they are one machine."""
    return {
        "base_url": f"http://127.0.0.1:{PROXY}",
        "dashboard": f"http://127.0.0.1:{DASHBOARD}",
        "vault": kept.elsewhere()["vault"],
        "cache": str(nodes.folder / "cache"),
        "python": RAY,
        "start_timeout_s": 200,
        "num_cpus": 0.5,
        "lease_s": 20,
        **more,
    }


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened() -> AsyncIterator[list[Engine]]:
    """The engine that tests share until one closes it: deploying takes seconds."""
    engines: list[Engine] = []
    yield engines
    for each in engines:
        await each.close()


@pytest_asyncio.fixture(loop_scope="module")
async def engine(kept: VaultSource, nodes: Nodes, opened: list[Engine], tmp_path: Path) -> Engine:
    """The model on the cluster."""
    if not opened or not opened[-1].alive:
        opened.append(await open_engine("ray", options(kept, nodes), kept, log_dir=tmp_path, threads=1))
    return opened[-1]


@needs_ray
class TestRayContract(EngineContract):
    """The contract on a cluster; `engine` is the module's fixture."""


@needs_ray
async def test_a_node_killed_under_load(kept: VaultSource, nodes: Nodes, tmp_path: Path) -> None:
    """Two replicas on two nodes, one of which is killed: calls fail for seconds, clearly, then all succeed again."""
    engine = await open_engine("ray", options(kept, nodes, replicas=2, timeout_s=60), kept, log_dir=tmp_path, threads=1)
    ask = [Message("user", "Count to ten.")]
    expected = (await engine.answer(ask, GREEDY)).text
    failed: list[tuple[float, str]] = []
    answered: list[float] = []
    over = asyncio.Event()

    async def caller() -> None:
        while not over.is_set():
            try:
                async with asyncio.timeout(90):
                    assert (await engine.answer(ask, GREEDY)).text == expected
                answered.append(time.monotonic())
            except EngineDied as error:
                failed.append((time.monotonic(), error.remedy))
                await asyncio.sleep(0.1)

    callers = [asyncio.create_task(caller()) for _ in range(6)]
    try:
        await asyncio.sleep(2)
        _, second = await asyncio.to_thread(nodes.raylets)
        os.kill(second, signal.SIGKILL)
        killed = time.monotonic()
        await asyncio.sleep(25)
        over.set()
        async with asyncio.timeout(100):
            await asyncio.gather(*callers)
        last = max([killed, *(at for at, _ in failed)])
        print(f"{len(failed)} calls failed within {last - killed:.1f} s, {len(answered)} were answered")
        assert last - killed < 20
        assert all("Send the request again" in remedy for _, remedy in failed)
        assert [each for each in answered if each > last]
        assert engine.alive
        assert (await engine.answer(ask, GREEDY)).text == expected
    finally:
        over.set()
        await engine.close()
        await asyncio.to_thread(nodes.join)


@needs_ray
async def test_a_replica_killed_in_an_answer(engine: Engine, nodes: Nodes) -> None:
    """The call under way ends with EngineDied; the next one is answered by the replica that Serve starts."""
    ask = [Message("user", "Count to ten.")]
    expected = (await engine.answer(ask, GREEDY)).text
    pieces: Any = engine.complete("Once", Sampling(max_tokens=480, temperature=0.0))
    async with aclosing(pieces):
        await anext(pieces)
        for each in processes_of(nodes.folder, b"ray::ServeReplica:emeritus-"):
            os.kill(each, signal.SIGKILL)
        with pytest.raises(EngineDied):
            await collect(pieces)
    assert engine.alive
    for _ in range(60):
        try:
            assert (await engine.answer(ask, GREEDY)).text == expected
            break
        except EngineDied:
            await asyncio.sleep(0.5)
    else:
        pytest.fail("no replica answered any more")


@needs_ray
async def test_it_says_what_is_wrong_there(kept: VaultSource, nodes: Nodes, tmp_path: Path) -> None:
    """A vault that a node cannot find is told with the node's own words, and nothing stays deployed."""
    wrong = options(kept, nodes, vault=str(tmp_path / "nowhere"))
    with pytest.raises(EngineFailed, match=r"could not deploy"):
        await open_engine("ray", wrong, kept, log_dir=tmp_path, threads=1)


async def gone(engine: Engine, within_s: float) -> None:
    """Wait until the engine says that it is over; until then every call ends, and ends in EngineDied."""
    async with asyncio.timeout(within_s):
        while engine.alive:
            with contextlib.suppress(EngineDied):
                await engine.answer([Message("user", "Count to ten.")], GREEDY)
            await asyncio.sleep(0.2)
    with pytest.raises(EngineDied, match="no longer"):
        await engine.answer([Message("user", "Count to ten.")], GREEDY)


@needs_ray
async def test_what_nobody_wants_is_taken_down(
    engine: Engine, kept: VaultSource, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway cut off for longer than its lease loses its resident, and only that; back again, it learns of it."""
    ask = [Message("user", "Count to ten.")]
    expected = (await engine.answer(ask, GREEDY)).text
    other: Any = await open_engine("ray", options(kept, nodes, lease_s=4), kept, log_dir=tmp_path, threads=1)
    try:
        await asyncio.sleep(6)
        assert (await other.answer(ask, GREEDY)).text == expected  # renewed, it stays beyond its lease

        async def cut_off(_order: object) -> None:
            raise EngineFailed("the cluster cannot be reached")

        with monkeypatch.context() as cut:
            cut.setattr(other._cluster, "order", cut_off)
            for _ in range(150):
                if not processes_of(nodes.folder, f"ServeReplica:{other.name}".encode()):
                    break
                await asyncio.sleep(0.2)
            else:
                pytest.fail("its lease is over, and it is still there")
        await gone(other, 15)
    finally:
        await other.close()
    assert engine.alive
    assert (await engine.answer(ask, GREEDY)).text == expected


@needs_ray
async def test_the_head_is_lost(engine: Engine, kept: VaultSource, nodes: Nodes, tmp_path: Path) -> None:
    """Without a head every call ends, answered or in EngineDied; at a cluster begun anew the next wake answers.

    A driver would be ended with the head; the gateway, which is this process, is not.
    """
    ask = [Message("user", "Count to ten.")]
    expected = (await engine.answer(ask, GREEDY)).text
    for each in processes_of(nodes.folder, b"gcs_server"):
        os.kill(each, signal.SIGKILL)
    ended = {"answered": 0, "died": 0}
    until = time.monotonic() + 15
    while time.monotonic() < until:
        try:
            async with asyncio.timeout(90):
                assert (await engine.answer(ask, GREEDY)).text == expected
            ended["answered"] += 1
        except EngineDied:
            ended["died"] += 1
        await asyncio.sleep(0.1)
    print(f"without a head: {ended}")
    await asyncio.to_thread(nodes.end)
    with pytest.raises(EngineDied):
        await engine.answer(ask, GREEDY)
    await asyncio.to_thread(nodes.begin)
    await gone(engine, 60)
    again = await open_engine("ray", options(kept, nodes), kept, log_dir=tmp_path, threads=1)
    try:
        assert (await again.answer(ask, GREEDY)).text == expected
    finally:
        await again.close()


async def test_a_cluster_that_is_not_there(kept: VaultSource, tmp_path: Path) -> None:
    """It is told as that, at once."""
    nowhere = {"dashboard": "http://127.0.0.1:9", "base_url": "http://127.0.0.1:9", "vault": kept.elsewhere()["vault"]}
    with pytest.raises(EngineFailed, match="cannot be reached"):
        await open_engine("ray", nowhere, kept, log_dir=tmp_path, threads=1)


async def test_a_vault_that_nodes_may_not_see(kept: VaultSource, llama: FolderSource, tmp_path: Path) -> None:
    """A folder of this machine is not taken for one of the nodes' without being told so; nor are plain files."""
    with pytest.raises(BadSettings, match="folder of this machine"):
        await open_engine("ray", {}, kept, log_dir=tmp_path)
    with pytest.raises(BadSettings, match="from another machine"):
        await open_engine("ray", {}, llama, log_dir=tmp_path)
    with pytest.raises(BadSettings, match="needs weights"):
        await open_engine("ray", {}, None, log_dir=tmp_path)
    with pytest.raises(BadSettings, match="nonsense"):
        check_options("ray", {"embedded": {"nonsense": 1}})
    with pytest.raises(BadSettings, match="base_url"):
        check_options("ray", {"base_url": "http://h:1/?q=1"})
    with pytest.raises(BadSettings, match="dashboard"):
        check_options("ray", {"dashboard": "http://user:word@h:1"})
    with pytest.raises(BadSettings, match="vault"):
        check_options("ray", {"vault": "s3://key:secret@bucket/vault"})
