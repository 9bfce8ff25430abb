"""How long `GET /v1/models` takes with 500 residents: a real home, a real server in its own process, a real client.

Each resident has a tier; the retirement of every other one is announced. Nothing is awake. A connection is kept open,
as the SDKs keep theirs; the first request, which reads every table, is reported beside.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import tempfile
import time
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.metric import Metric, Options

RESIDENTS, REQUESTS = 500, 200


def measure(options: Options) -> list[Metric]:
    """Median milliseconds of a request; p95, the first one and the one after an act beside it."""
    residents, requests = options.of(RESIDENTS, 5), options.of(REQUESTS, 20)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(str(home), residents, theirs))
        process.start()
        try:
            theirs.close()
            connection = http.client.HTTPConnection(ours.recv().removeprefix("http://"), timeout=30)
            first = _timed(connection, residents)
            times = sorted(_timed(connection, residents) for _ in range(requests))
            ours.send(("act", ""))
            ours.recv()
            after_act = _timed(connection, residents)
            connection.close()
            ours.send(("end", ""))
        finally:
            process.join(10)
            process.kill()
    beside = {
        "residents": residents,
        "requests": requests,
        "p95": times[-(-95 * len(times) // 100) - 1],
        "first": first,
        "after an act": after_act,
    }
    return [Metric("models_list_ms", times[len(times) // 2], high=20, unit="ms", beside=beside)]


def _timed(connection: http.client.HTTPConnection, residents: int) -> float:
    started = time.perf_counter()
    connection.request("GET", "/v1/models")
    answer = connection.getresponse()
    body = answer.read()
    spent = (time.perf_counter() - started) * 1000
    if answer.status != 200 or len(json.loads(body)["data"]) != residents:
        raise RuntimeError(f"/v1/models answered {answer.status} with {len(body)} bytes")
    return spent


def _serve(home: str, residents: int, pipe: Connection) -> None:
    """Make a home with that many residents and serve it until told to end."""
    from benchmarks.serving import serve
    from emeritus.acts import Actor
    from emeritus.app import App
    from emeritus.settings import Settings

    settings = Settings(home=Path(home), organisation="Example Lab", origin="example.test/bench")
    actor = Actor("bench", automated=True)
    App.create(settings, actor, set())
    app = App.open(settings)
    for number in range(residents):
        _resident(app, number, actor)

    async def act(*_: str) -> None:
        _tier(app, 0, actor)

    serve(app, pipe, act)


def _resident(app: Any, number: int, actor: Any) -> None:
    from emeritus.lifecycle.axes import When
    from emeritus.lifecycle.registration import Registration
    from emeritus.lifecycle.service import Announcement

    engine = {"url": "http://127.0.0.1:9", "model": "x", "api": "openai"}
    name = f"resident-{number:03d}"
    app.lifecycle.register(
        Registration(name, f"Resident {number}", engine="upstream", options=engine, weights_held=False), actor
    )
    _tier(app, number, actor)
    if number % 2:
        told = Announcement(
            When(date(2026, 1, 1)), When(date(2026, 3, 1)), "benchmark", access="open", waive_notice="benchmark"
        )
        app.lifecycle.announce(name, told, actor)


def _tier(app: Any, number: int, actor: Any) -> None:
    from emeritus.access.policy import Standing

    app.access.set_tier(f"resident-{number:03d}", Standing("on-demand", "open"), "benchmark", actor)
