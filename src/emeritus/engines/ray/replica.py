"""One copy of a resident in the cluster: the embedded engine behind HTTP. Runs on a node, in Serve's process.

It restores the files from the vault by itself and verifies them; which function makes its source is told by name, as
engines do not know where weights come from. When its worker ends, its health check fails and Serve starts it again.
"""

from __future__ import annotations

import asyncio
import os
import platform
import traceback
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emeritus.engines.base import Build, Engine, WeightSource
from emeritus.engines.open import open_engine
from emeritus.engines.ray import asgi
from emeritus.engines.ray.words import BEAT_S, build_digest, obey
from emeritus.errors import EmeritusError, EngineFailed

Json = dict[str, Any]


class Replica:
    """A resident that answers, once `reconfigure` was told what it is."""

    _engine: Engine

    async def reconfigure(self, given: Json) -> None:
        """Restore, verify, load; called by Serve before the first request. Raises EngineFailed, IntegrityError.

        `given`: {"source", "options", "threads", "cache", "weights_digest"}.
        """
        cache = await asyncio.to_thread(Path(given["cache"]).expanduser)
        source = await asyncio.to_thread(_source, given["source"], cache)
        if source.weights_digest != given["weights_digest"]:
            raise EngineFailed("the vault that this node sees holds other weights", digest=source.weights_digest)
        self._engine = await open_engine(
            "transformers", given["options"], source, log_dir=cache / "logs", threads=given["threads"]
        )
        build = self._engine.build
        node = {"processor": _processor(), "system": platform.system(), "cores": os.cpu_count()}
        self._build = replace(
            build,
            engine="ray",
            versions={**build.versions, "ray": version("ray")},
            config={**build.config, "node": node},
        )
        self._digest = build_digest(self._build)

    def check_health(self) -> None:
        """Asked by Serve every few seconds."""
        if not self._engine.alive:
            raise RuntimeError("the model's process has ended")

    def __serve_build_asgi_app__(self) -> Any:
        async def application(scope: Json, receive: asgi.Receive, send: asgi.Send) -> None:
            await self.answer_http(scope, receive, send)

        return application  # a function: a bound method would be taken for an older kind of application

    @property
    def facts(self) -> Json:
        """What answers, and what it can do."""
        return {"build": self._build.as_dict(), "can": asdict(self._engine.can), "digest": self._digest}

    async def answer_http(self, scope: Json, receive: asgi.Receive, send: asgi.Send) -> None:
        """GET tells the facts, POST takes an order."""
        if scope["type"] == "lifespan":
            await asgi.live(receive, send)
            return
        if scope["method"] == "GET":
            await asgi.say(send, self.facts)
            return
        try:
            order = await asgi.body(receive)
        except ValueError as error:
            await asgi.say(send, {"error": str(error)}, 400)
            return
        await asgi.say_lines(send, receive, self._lines(order), BEAT_S)

    async def _lines(self, order: Json) -> AsyncGenerator[Json, None]:
        yield {"replica": self._digest}
        try:
            async with aclosing(obey(self._engine, order)) as lines:
                async for line in lines:
                    yield line
            yield {"end": True}
        except EmeritusError as error:
            yield {"error": error.as_dict()}
        except Exception as error:
            traceback.print_exc()
            yield {"error": EngineFailed(f"the replica failed: {type(error).__name__}: {error}").as_dict()}


def read_build(fields: Json) -> Build:
    """A build as told."""
    return Build(fields["engine"], fields["versions"], fields["config"], fields["weights_digest"])


def _source(given: Json, cache: Path) -> WeightSource:
    module, _, function = given["opens"].partition(":")
    source: WeightSource = getattr(import_module(module), function)(given, cache)
    return source


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
