"""What the gateway costs a call, beside LiteLLM's proxy: the same backend behind both, in one run, by turns.

Keys, limits and metering are on in both. Ours: `emeritus serve` over a home with one resident on the engine `upstream`,
its grant limited by minute, day and tokens, its use written to SQLite. LiteLLM, in an environment of its own: its proxy
with a key that is checked and limited by requests and tokens a minute, and a callback that counts what is used. It has
no database: its own keys need one through Prisma, whose engine is no Python package. A database could only slow it.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.access_traffic import FEW, MANY, MODEL, Callers, Traffic, backend, request
from benchmarks.metric import Metric, Options
from benchmarks.vault_zipnn import environment

NAMES = ("overhead_p50_vs_litellm", "rps_vs_litellm_c32", "sse_events_vs_litellm")
PACKAGES = ("litellm[proxy]==1.106.2",)
ROUNDS, SECONDS = 5, 2.0  # of each kind of traffic, for each side
READY_S = 120.0
PLENTY = 10_000_000  # limits that are counted and never reached
THEIR_KEY = "sk-benchmark-0123456789"
KEYS = f'''
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

async def check(request, api_key: str) -> UserAPIKeyAuth:
    if api_key != "{THEIR_KEY}":
        raise Exception("no such key")
    return UserAPIKeyAuth(api_key=api_key, rpm_limit={PLENTY}, tpm_limit={PLENTY})

class Meter(CustomLogger):
    def __init__(self):
        self.used = [0, 0, 0]

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        usage = response_obj.get("usage")
        self.used[0] += 1
        self.used[1] += usage.prompt_tokens if usage else 0
        self.used[2] += usage.completion_tokens if usage else 0

meter = Meter()
'''
Server = tuple[int, str]  # port, key


def measure(options: Options) -> list[Metric]:
    """The three ratios, both sides' figures beside them; all missing where a side does not start or answers wrongly."""
    rounds, seconds = options.of(ROUNDS, 2), max(0.3, SECONDS * options.scale)
    with ExitStack() as stack:
        behind = stack.enter_context(backend())
        sides = {"backend": (behind, "x"), "ours": stack.enter_context(_ours(behind))}
        try:
            sides["litellm"] = stack.enter_context(_litellm(behind))
        except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
            return [Metric.missing(name, f"LiteLLM cannot be installed or started: {error}") for name in NAMES]
        callers = Callers()
        stack.callback(callers.close)
        try:
            found = _rounds(sides, callers, rounds, seconds)
        except RuntimeError as error:
            return [Metric.missing(name, str(error)) for name in NAMES]
    return [_overhead(found["alone"]), *_rates(found)]


def _rounds(
    sides: dict[str, Server], callers: Callers, rounds: int, seconds: float
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Kind of traffic -> side -> what each round found; the first round of all warms both up and is not kept.

    Raises RuntimeError that names the side whose answer was wrong or did not come.
    """
    kinds = {"alone": (1, False, FEW), "together": (32, False, FEW), "streams": (8, True, MANY)}
    found: dict[str, dict[str, list[dict[str, Any]]]] = {kind: {side: [] for side in sides} for kind in kinds}
    for number in range(rounds + 1):
        for kind, (count, stream, words) in kinds.items():
            for side, (port, key) in sides.items():
                asked = request("/v1/chat/completions", key, stream=stream, port=port)
                try:
                    given = callers.run(Traffic(port, asked, count, seconds if number else 0.5, words))
                except (RuntimeError, OSError, EOFError) as error:
                    raise RuntimeError(f"{side}, {kind}: {error!r}") from error
                if number:
                    found[kind][side].append(given)
    return found


def _overhead(found: dict[str, list[dict[str, Any]]]) -> Metric:
    """Median of an answer's time less the bare backend's; ours over LiteLLM's."""
    medians = {
        side: statistics.median(statistics.median(each["times"]) for each in rounds) * 1000
        for side, rounds in found.items()
    }
    ours, theirs = medians["ours"] - medians["backend"], medians["litellm"] - medians["backend"]
    beside = {f"{side}, ms": value for side, value in medians.items()} | {"LiteLLM": PACKAGES[0]}
    if theirs <= 0:
        return Metric.missing(NAMES[0], "LiteLLM was not slower than the backend behind it")
    return Metric(NAMES[0], ours / theirs, high=0.1, beside=beside)


def _rates(found: dict[str, dict[str, list[dict[str, Any]]]]) -> Iterator[Metric]:
    for kind, name, low in (("together", NAMES[1], 15.0), ("streams", NAMES[2], 20.0)):
        what = "words" if kind == "streams" else "times"
        rates = {
            side: [_count(each[what]) / each["seconds"] for each in rounds] for side, rounds in found[kind].items()
        }
        medians = {side: statistics.median(values) for side, values in rates.items()}
        unit = "events/s" if kind == "streams" else "requests/s"
        beside = {f"{side}, {unit}": value for side, value in medians.items()}
        yield Metric(name, medians["ours"] / medians["litellm"], low=low, beside=beside)


def _count(value: int | list[float]) -> int:
    return value if isinstance(value, int) else len(value)


@contextmanager
def _ours(behind: int) -> Iterator[Server]:
    """Our gateway, as `emeritus serve` starts it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        key = _home(home, behind)
        port = _free_port()
        command = [sys.executable, "-m", "emeritus.cli.main", "--home", str(home)]
        served = [*command, "serve", "--port", str(port), "--no-jobs"]
        with _running(served, {}, Path(folder), f"http://127.0.0.1:{port}/v1/models"):
            yield port, key


def _home(home: Path, behind: int) -> str:
    """A home with one resident behind the address, and a key of a limited grant."""
    from emeritus.access.limits import Limits
    from emeritus.access.policy import Standing
    from emeritus.access.service import KeyTerms, Terms
    from emeritus.acts import Actor
    from emeritus.app import App
    from emeritus.lifecycle.registration import Registration
    from emeritus.settings import Settings

    settings, actor = Settings(home=home, organisation="Example Lab", origin="example.test/b"), Actor("b", True)
    App.create(settings, actor, set())
    app = App.open(settings)
    try:
        engine = {"base_url": f"http://127.0.0.1:{behind}/v1", "model": MODEL}
        resident = Registration(MODEL, "Bench", engine="upstream", options=engine, weights_held=False)
        app.lifecycle.register(resident, actor)
        app.access.set_tier(MODEL, Standing("awake", "entitled"), "benchmark", actor)
        limits = Limits(PLENTY, PLENTY, 1000 * PLENTY, 1000 * PLENTY)
        grant = app.access.grant(MODEL, "a caller", Terms(limits=limits), "benchmark", actor)
        return app.access.issue_key(grant, terms=KeyTerms(limits=limits))
    finally:
        app.close()


@contextmanager
def _litellm(behind: int) -> Iterator[Server]:
    """LiteLLM's proxy."""
    python = environment("litellm", PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "litellm_keys.py").write_text(KEYS, encoding="utf-8")
        reached = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{behind}/v1", "api_key": "x"}
        config = {
            "model_list": [{"model_name": MODEL, "litellm_params": reached}],
            "litellm_settings": {"callbacks": "litellm_keys.meter"},
            "general_settings": {"custom_auth": "litellm_keys.check", "master_key": f"sk-{secrets.token_hex(32)}"},
        }
        (Path(folder) / "config.yaml").write_text(json.dumps(config), encoding="utf-8")  # YAML holds JSON
        port = _free_port()
        command = [str(python.with_name("litellm")), "--config", "config.yaml", "--host", "127.0.0.1"]
        quiet = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
        command += ["--port", str(port), "--num_workers", "1"]
        with _running(command, quiet, Path(folder), f"http://127.0.0.1:{port}/health/liveliness"):
            yield port, THEIR_KEY


@contextmanager
def _running(command: list[str], environ: dict[str, str], folder: Path, ready: str) -> Iterator[None]:
    """A server for as long as the block, once `ready` answers. Raises RuntimeError with what it said where it ends."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env={**os.environ, **environ})
        try:
            until = time.monotonic() + READY_S
            while not _answers(ready):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{ready} does not answer: {(folder / 'server.log').read_text()[-2000:]}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
