"""The gateway's side of a resident on a Ray cluster: it has it deployed, asks it over HTTP, and has it taken down.

Nothing of Ray is imported here. A call that a dying replica was answering ends with EngineDied; the engine lives on, as
Serve starts the replica again, on another node if need be. When what answers is then not the same build (another
processor, another version), or when the cluster has it no longer, the engine is over: the next wake begins anew, with
its canary.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from emeritus.engines.base import (
    Build,
    Capabilities,
    Elsewhere,
    WeightSource,
)
from emeritus.engines.heard import read_line
from emeritus.engines.lines import read_error
from emeritus.engines.options import read_options
from emeritus.engines.ordered import Ordered
from emeritus.engines.ray.cluster import Cluster
from emeritus.engines.ray.options import RayOptions
from emeritus.engines.ray.words import APPLICATION, read_capabilities
from emeritus.errors import BadSettings, EngineDied, EngineFailed

if TYPE_CHECKING:
    import aiohttp

Json = dict[str, Any]
LOOK_AGAIN_S = 1.0  # between two questions whether the cluster still has it


async def open_engine(options: Any, source: WeightSource | None, *, log_dir: Path, threads: int) -> RayEngine:
    """See `engines.open.open_engine`. The replicas' output is in the cluster's own logs."""
    chosen = read_options(RayOptions, "ray", options)
    given: Json = {
        "source": _where(chosen, source),
        "options": chosen.embedded,
        "threads": threads,
        "cache": chosen.cache,
        "weights_digest": await asyncio.to_thread(lambda: "" if source is None else source.weights_digest),
    }
    actor: Json = {"num_cpus": chosen.num_cpus, "num_gpus": chosen.num_gpus}
    if chosen.memory_bytes:
        actor["memory"] = chosen.memory_bytes
    name = f"{APPLICATION}-{given['weights_digest'][:12]}-{secrets.token_hex(4)}"
    cluster = Cluster(chosen)
    engine = RayEngine(cluster, chosen, name)
    try:
        async with asyncio.timeout(chosen.start_timeout_s):
            await cluster.start()
            await cluster.order(
                {
                    "do": "deploy",
                    "name": name,
                    "lease_s": chosen.start_timeout_s,
                    "replicas": chosen.replicas,
                    "actor": actor,
                    "given": given,
                }
            )
            await cluster.wait_until_running(name)
            await engine.begin()
    except TimeoutError as error:
        await engine.close()
        raise EngineFailed(
            f"the cluster did not have it ready within {chosen.start_timeout_s:g} s: {cluster.last_said}",
            dashboard=chosen.dashboard,
        ) from error
    except BaseException:
        await engine.close()
        raise
    return engine


def _where(chosen: RayOptions, source: WeightSource | None) -> Json:
    """How a node makes its own source. Raises BadSettings where the vault is a folder that nodes may not have."""
    if source is None:
        raise BadSettings("engine 'ray' needs weights, and none are held for this resident")
    if not isinstance(source, Elsewhere):
        raise BadSettings("engine 'ray': these weights cannot be opened from another machine")
    where = source.elsewhere()
    if chosen.vault is not None:
        where["vault"] = chosen.vault
    elif urlsplit(where["vault"]).scheme in ("", "file"):
        raise BadSettings(
            "engine 'ray': the vault is a folder of this machine",
            remedy="Keep it in an object store, or name the folder as every node sees it with the option `vault`.",
            option="vault",
        )
    return where


class RayEngine(Ordered):
    """A resident in the cluster. One event loop owns it."""

    def __init__(self, cluster: Cluster, options: RayOptions, name: str) -> None:
        self._cluster = cluster
        self._options = options
        self._build = Build("ray")
        self._can = Capabilities()
        self._digest = ""
        self._over: str | None = None  # why no call can succeed any more
        self._renewing: asyncio.Task[None] | None = None
        self._doubted = asyncio.Event()  # a call failed: it may be gone
        self.name = name  # the application's, for operators and tests

    @property
    def build(self) -> Build:
        """What answers: the embedded engine's build, Ray's version and the node's processor."""
        return self._build

    @property
    def can(self) -> Capabilities:
        """What the embedded engine can do."""
        return self._can

    @property
    def alive(self) -> bool:
        """False once closed, gone from the cluster, or something else. A replica's end is Serve's business."""
        return self._over is None

    async def begin(self) -> None:
        """Learn what answers, and keep it; once, by `open_engine`. Raises EngineFailed."""
        facts = await self._cluster.facts(self.name)
        told = facts["build"]
        self._build = Build(told["engine"], told["versions"], told["config"], told["weights_digest"])
        self._can, self._digest = read_capabilities(facts["can"]), facts["digest"]
        await self._cluster.order({"do": "renew", "name": self.name, "lease_s": self._options.lease_s})
        self._renewing = asyncio.create_task(self._renew())

    async def close(self) -> None:
        """Have it taken down; where the cluster cannot be reached, its lease ends. Answers under way end."""
        first, self._over = self._over is None, self._over or "the engine is closed"
        if self._renewing is not None:
            self._renewing.cancel()
        if first or not self._cluster.closed:
            with contextlib.suppress(EngineFailed):
                await self._cluster.order({"do": "delete", "name": self.name})
            await self._cluster.close()

    async def _renew(self) -> None:
        """Say that it is wanted, in time; and look, after a failure, whether the cluster still has it.

        One that began anew has not, nor one that could not be reached for longer than the lease: no call would ever
        succeed again. It must say so twice, as Serve's own beginning again looks the same for a moment.
        """
        missing = 0
        while self.alive:
            await asyncio.sleep(LOOK_AGAIN_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0 if missing else self._options.lease_s / 3 - LOOK_AGAIN_S):
                    await self._doubted.wait()
            doubted = missing or self._doubted.is_set()
            self._doubted.clear()
            try:
                await self._cluster.order({"do": "renew", "name": self.name, "lease_s": self._options.lease_s})
            except EngineFailed:  # the steward may be starting again: the next one tells it
                doubted = True
            missing = missing + 1 if doubted and await self._cluster.lacks(self.name) else 0
            if missing == 2 and self._over is None:
                self._over = "the cluster has it no longer"

    async def _call(self, order: Json) -> AsyncGenerator[Json, None]:
        import aiohttp

        if self._over is not None:
            raise EngineDied(self._over)
        began = time.monotonic()
        try:
            async with self._cluster.ask(self.name, order) as response, aclosing(self._lines(response)) as lines:
                async for line in lines:
                    yield line
        except EngineDied:
            self._doubted.set()
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._doubted.set()
            raise EngineDied(
                self._over or f"the replica stopped answering: {str(error) or type(error).__name__}",
                remedy="Send the request again: the cluster starts another replica.",
                application=self.name,
                after_s=round(time.monotonic() - began, 3),
            ) from error

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[Json, None]:
        """What the replica says, up to its end. Raises what it raised, and EngineDied where the end is missing."""
        if response.status != 200:
            said = (await response.content.read(500)).decode(errors="replace")
            raise EngineDied(
                f"no replica answered (status {response.status})",
                remedy="Send the request again: the cluster starts another replica.",
                application=self.name,
                status=response.status,
                sent=said,
            )
        async for data in response.content:
            line = read_line(data)
            if "replica" in line:
                self._check_same(line["replica"])
            elif "error" in line:
                raise read_error(line["error"])
            elif "end" in line:
                return
            elif "beat" not in line:
                yield line
        raise EngineDied(
            self._over or "the replica ended in the middle of the answer",
            remedy="Send the request again: the cluster starts another replica.",
            application=self.name,
        )

    def _check_same(self, digest: str) -> None:
        if digest != self._digest:
            self._over = "the cluster moved it to where it is another build"
            raise EngineDied(self._over, application=self.name)
