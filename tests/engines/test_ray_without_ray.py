"""The ray engine, its replicas and the words between them, over HTTP, with a stand-in for the cluster around them.

The stand-in is what a gateway sees of Ray: Serve's list of applications, the steward's orders, a path for each
application. Placement, restarts, leases and lost nodes are Ray's and the steward's: see test_ray_engine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FolderSource

from emeritus.blobs.local import LocalStore
from emeritus.engines.base import Message, Sampling, collect
from emeritus.engines.open import open_engine
from emeritus.engines.ray import asgi, engine, replica
from emeritus.engines.ray.engine import RayEngine
from emeritus.engines.ray.replica import Replica
from emeritus.engines.ray.words import APPLICATION, STEWARD
from emeritus.errors import EmeritusError, EngineDied, EngineFailed
from emeritus.preservation.cache import Cache
from emeritus.preservation.sources import VaultSource
from emeritus.testing.engine_contract import EngineContract
from emeritus.vault.vault import Vault
from serving import serving

ASK = [Message("user", "Count to ten.")]
GREEDY = Sampling(max_tokens=24, temperature=0.0)


class StandIn:
    """The cluster: dashboard, steward and replicas at one address."""

    def __init__(self) -> None:
        self.replicas: dict[str, Replica] = {}
        self.failed: dict[str, str] = {}
        self.orders: list[str] = []
        self.reachable = True

    async def __call__(self, scope: Any, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer a request."""
        name = scope["path"].strip("/")
        if not self.reachable:
            await asgi.say(send, {"error": "no head"}, 503)
        elif name == "api/serve/applications":
            states: Mapping[str, Any] = {
                APPLICATION: {"status": "RUNNING"},
                **{each: {"status": "RUNNING"} for each in self.replicas},
                **{each: {"status": "DEPLOY_FAILED", "message": why} for each, why in self.failed.items()},
            }
            await asgi.say(send, {"applications": states})
        elif scope["path"] == STEWARD:
            await self._obey(await asgi.body(receive))
            await asgi.say(send, {"done": True})
        elif name in self.replicas:
            await self.replicas[name].answer_http(scope, receive, send)
        else:
            await asgi.say(send, {"error": "no such path"}, 404)

    async def _obey(self, order: Mapping[str, Any]) -> None:
        self.orders.append(order["do"])
        if order["do"] == "deploy":
            made = Replica()
            try:
                await made.reconfigure(order["given"])
                self.replicas[order["name"]] = made
            except EmeritusError as error:
                self.failed[order["name"]] = error.message
        elif order["do"] == "delete" and order["name"] in self.replicas:
            await self.replicas.pop(order["name"])._engine.close()


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[StandIn, str]]:
    """The stand-in and its address."""
    monkeypatch.setattr(replica, "version", lambda _package: "0")
    monkeypatch.setattr(engine, "LOOK_AGAIN_S", 0.05)
    stand_in = StandIn()
    async with serving(stand_in) as address:
        yield stand_in, address
        for each in stand_in.replicas.values():
            await each._engine.close()


@pytest.fixture(scope="module")
def kept(llama: FolderSource, tmp_path_factory: pytest.TempPathFactory) -> VaultSource:
    """The model in a vault."""
    folder = tmp_path_factory.mktemp("kept")
    vault = Vault.create(LocalStore(folder / "vault"))
    vault.preserve(llama.path, "wren")
    return VaultSource(vault, "wren", Cache(folder / "cache"))


@pytest.fixture
async def engine_there(
    cluster: tuple[StandIn, str], kept: VaultSource, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RayEngine]:
    """The model in a replica."""
    _, address = cluster
    options = {
        "base_url": address,
        "dashboard": address,
        "vault": kept.elsewhere()["vault"],
        "cache": str(tmp_path_factory.getbasetemp() / "nodes"),
        "timeout_s": 20,
        "lease_s": 3,
    }
    made: Any = await open_engine("ray", options, kept, log_dir=tmp_path_factory.getbasetemp(), threads=1)
    yield made
    await made.close()


class TestRayWireContract(EngineContract):
    """The contract over the words between gateway and replica."""

    @pytest.fixture
    def engine(self, engine_there: RayEngine) -> RayEngine:
        """The engine under test."""
        return engine_there


async def over(gone: RayEngine) -> None:
    """Wait until the engine says that it is over; until then each call ends in EngineDied."""
    async with asyncio.timeout(10):
        while gone.alive:
            with contextlib.suppress(EngineDied):
                await gone.answer(ASK, GREEDY)
            await asyncio.sleep(0.01)


async def test_what_the_cluster_has_no_longer_is_over(cluster: tuple[StandIn, str], engine_there: RayEngine) -> None:
    """While nothing can be asked it may come back; once the cluster says that it is not there, the next wake is due."""
    stand_in, _ = cluster
    expected = (await engine_there.answer(ASK, GREEDY)).text
    stand_in.reachable = False
    for _ in range(5):
        with pytest.raises(EngineDied, match="status 503"):
            await engine_there.answer(ASK, GREEDY)
        await asyncio.sleep(0.1)
    assert engine_there.alive
    stand_in.reachable = True
    assert (await engine_there.answer(ASK, GREEDY)).text == expected
    await stand_in.replicas.pop(engine_there.name)._engine.close()
    await over(engine_there)
    with pytest.raises(EngineDied, match="has it no longer"):
        await engine_there.answer(ASK, GREEDY)


async def test_what_was_lost_while_nobody_called_is_noticed(
    cluster: tuple[StandIn, str], engine_there: RayEngine
) -> None:
    """A steward that refuses to renew, as one that begins anew does, has the gateway look by itself."""
    stand_in, _ = cluster
    assert engine_there.alive
    await stand_in.replicas.pop(engine_there.name)._engine.close()

    async def refuses(_order: object) -> None:
        raise LookupError("taken down")

    stand_in._obey = refuses
    for _ in range(200):
        if not engine_there.alive:
            return
        await asyncio.sleep(0.05)
    pytest.fail("it still believes that it is there")


async def test_another_build_is_another_engine(cluster: tuple[StandIn, str], engine_there: RayEngine) -> None:
    """A replica that was moved to another processor does not answer as the one that was checked."""
    stand_in, _ = cluster
    stand_in.replicas[engine_there.name]._digest = "another"
    with pytest.raises(EngineDied, match="another build"):
        await engine_there.answer(ASK, GREEDY)
    assert not engine_there.alive


async def test_a_worker_that_ends_in_an_answer(cluster: tuple[StandIn, str], engine_there: RayEngine) -> None:
    """Its error comes through as it is, and the replica says of itself that it is ill, for Serve to begin it anew."""
    stand_in, _ = cluster
    there = stand_in.replicas[engine_there.name]
    pieces = engine_there.complete("Once", Sampling(max_tokens=400, temperature=0.0))
    await anext(pieces)
    await there._engine.close()
    with pytest.raises(EngineDied):
        await collect(pieces)
    with pytest.raises(RuntimeError, match="has ended"):
        there.check_health()
    assert engine_there.alive


async def test_weights_that_a_node_does_not_have(
    cluster: tuple[StandIn, str], kept: VaultSource, tmp_path: Path
) -> None:
    """What keeps a node from deploying it is told in its own words, and it is taken down."""
    stand_in, address = cluster
    options = {"base_url": address, "dashboard": address, "vault": str(tmp_path / "nowhere"), "cache": str(tmp_path)}
    with pytest.raises(EngineFailed, match="could not deploy it"):
        await open_engine("ray", options, kept, log_dir=tmp_path, threads=1)
    assert stand_in.orders == ["deploy", "delete"]
