"""A day of traffic at sixty times its speed: nothing lost, nobody else's answer, nobody beyond the bound on waiting.

Small embedded models in workers and scripted ones that take time to wake, more than fit at once, behind the gateway
over HTTP: streams and whole answers, callers who leave, workers killed, engines that die in an answer, residents put to
sleep in between. Idle times and the histogram's minutes are divided by 60; loads and answers take what they take. Every
engine signs: scripted ones by name, embedded ones by how their own weights begin.

A request is *lost* when it ends without its answer and without an error that says so by its code; and when, sent again
after such errors as the SDKs do, it never gets its answer. Callers who left and answers told to die are not sent again.
The wait of each attempt is from its sending to its first word (to its end, where it is not streamed), more than what
docs/residency.md bounds. What the server's process holds (memory, descriptors) late in the run is compared with early.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import aiohttp

from benchmarks.access_fleet import PROMPT, SIGN_TOKENS, Fleet, prepare
from benchmarks.access_served import Served, Usage
from benchmarks.metric import Metric, Options
from emeritus.residency.decisions import HOST, Limits
from emeritus.residency.traces import Arrivals, Call, equal, generate

COMPRESSION = 60.0
DAY_S = 86_400.0 / COMPRESSION
EMBEDDED, SCRIPTED, ROOM = 6, 18, 6
RATE = 4.0  # calls a second
LEAVES, DIES = 0.05, 0.02  # shares of the calls
EVERY_KILL_S, EVERY_SLEEP_S, EVERY_LOOK_S = 11.0, 7.0, 3.0
TRIES, AGAIN_S = 8, 2.0
PATIENCE_S, LOAD_S, ANSWER_S, CLOSE_S = 1.0, 20.0, 10.0, 5.0
DIE = "You will now be ended."
GROWTH, MORE_DESCRIPTORS = 1.1, 12  # most that is called flat: those awake, and their descriptors, come and go

Outcome = Literal["answered", "wrong", "left", "died as told", "refused", "lost"]


@dataclass(slots=True)
class Found:
    """What came of the requests."""

    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)  # by code; each was told to its caller
    lost: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # seconds, of every attempt that got something
    looks: list[tuple[float, Usage]] = field(default_factory=list)
    killed: int = 0
    slept: int = 0


def measure(options: Options) -> list[Metric]:
    """All of them, from one run."""
    seconds = DAY_S * options.scale
    with tempfile.TemporaryDirectory() as work:
        names = [each.name for each in equal(EMBEDDED + SCRIPTED, 1, 1.0)]
        embedded = names[:: (EMBEDDED + SCRIPTED) // EMBEDDED]  # popular ones and rare ones
        scripted = {name: script(name, place) for place, name in enumerate(names) if name not in embedded}
        fleet = prepare(Path(work) / "home", embedded, scripted)
        found = asyncio.run(soak(fleet, names, seconds))
    return _metrics(found, len(names), seconds)


def script(name: str, place: int) -> dict[str, Any]:
    """An engine that says whose it is, and dies when told to."""
    return {
        "model": name,
        "default": signed(name),
        "rules": [{"match": DIE, "answer": signed(name), "fault": "die", "after": 3}],
        "start_delay_s": 0.2 + 0.05 * (place % 7),
        "token_delay_s": 0.02,
    }


def signed(name: str) -> str:
    """What the scripted resident of that name answers."""
    return f"I am {name}; the lighthouse was {name}'s, and {name} kept it until the end of its days."


async def soak(fleet: Fleet, names: Sequence[str], seconds: float) -> Found:
    """The traffic, and what disturbs it, for that long."""
    settings = {
        "loading": "cache",
        "engine_threads": 1,
        "idle_sleep_s": 600 / COMPRESSION,
        "memory_budget_bytes": max(1 << 20, ROOM * fleet.each),
        "resident_bytes": json.dumps({name: {HOST: fleet.each} for name in fleet.scripted}),
        "patience_s": PATIENCE_S,
        "load_deadline_s": LOAD_S,
        "longest_answer_s": ANSWER_S,
        "close_deadline_s": CLOSE_S,
        "wake_timeout_s": limits().bound_s(len(names)) + LOAD_S,
    }
    calls = generate(equal(len(names), 1, 1.0), Arrivals(RATE, seconds, 1.0, 2**0.5, 0.0)).calls
    chance, found = random.Random(1), Found()
    with Served(fleet.home, COMPRESSION, settings) as served:
        headers, limit = {"Authorization": f"Bearer {fleet.key}"}, aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=limit) as session:
            client = Client(session, served.url, fleet, found)
            if fleet.signs:  # what starts workers imports for seconds, once
                await client.request(Call(0.0, min(fleet.signs)), 1.0, False)
            began = perf_counter()
            others = [
                asyncio.create_task(each)
                for each in (_kill(served, found), _sleep(served, names, found), _look(served, found, began))
            ]
            async with asyncio.TaskGroup() as tasks:
                for call in calls:
                    await asyncio.sleep(max(0.0, began + call.at - perf_counter()))
                    tasks.create_task(client.request(call, chance.random(), chance.random() < 0.5))
            for each in others:
                each.cancel()
            for each in others:
                with contextlib.suppress(asyncio.CancelledError):
                    await each
            if not served.alive:
                found.lost.append("the server ended")
    return found


def limits() -> Limits:
    """What the declared bound is reckoned from."""
    return Limits({}, patience_s=PATIENCE_S, load_s=LOAD_S, answer_s=ANSWER_S, close_s=CLOSE_S)


class Client:
    """Those who call."""

    def __init__(self, session: aiohttp.ClientSession, url: str, fleet: Fleet, found: Found) -> None:
        self._session = session
        self._url = url
        self._fleet = fleet
        self._found = found

    async def request(self, call: Call, kind: float, stream: bool) -> None:
        """One request until it is answered; `kind` chooses those who leave, and those who are told to die."""
        name = call.resident
        leaves = kind < LEAVES
        dies = not leaves and kind < LEAVES + DIES and name in self._fleet.scripted
        outcome: Outcome = "refused"
        for _ in range(TRIES):
            outcome = await self._attempt(name, DIE if dies else PROMPT, stream, kind / LEAVES if leaves else None)
            if outcome != "refused" or dies:
                break
            await asyncio.sleep(AGAIN_S)
        if outcome == "refused":
            outcome = "died as told" if dies else "lost"
            if not dies:
                self._found.lost.append(f"{name} was not answered in {TRIES} attempts")
        self._found.outcomes[outcome] += 1

    async def _attempt(self, name: str, prompt: str, stream: bool, leave_after_s: float | None) -> Outcome:
        body = {
            "model": name,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": 2 * SIGN_TOKENS,
            "temperature": 0,
            "stream": stream,
        }
        whole = limits().bound_s(EMBEDDED + SCRIPTED) + ANSWER_S + LOAD_S
        reading, began = self._streamed if stream else self._whole, perf_counter()
        try:
            async with asyncio.timeout(whole if leave_after_s is None else leave_after_s):
                async with self._session.post(
                    f"{self._url}/chat/completions", json=body, timeout=aiohttp.ClientTimeout(total=None)
                ) as response:
                    return await reading(name, response, began)
        except TimeoutError:
            if leave_after_s is not None:
                return "left"
            return self._lose(f"{name} had no answer within {whole:g} s")
        except (aiohttp.ClientError, ValueError, KeyError) as error:
            return self._lose(f"{name}: {type(error).__name__}: {error}")

    async def _whole(self, name: str, response: aiohttp.ClientResponse, began: float) -> Outcome:
        answer = await response.json()
        if response.status != 200:
            return self._refused(answer)
        self._found.waits.append(perf_counter() - began)
        return self.judge(name, answer["model"], answer["choices"][0]["message"]["content"])

    async def _streamed(self, name: str, response: aiohttp.ClientResponse, began: float) -> Outcome:
        if response.status != 200:
            return self._refused(await response.json())
        said, model = "", name
        async for line in response.content:
            if not line.startswith(b"data: "):
                continue
            if line.strip() == b"data: [DONE]":
                return self.judge(name, model, said)
            event = json.loads(line[6:])
            if "error" in event:
                return "wrong" if not self.may_begin(name, said) else self._refused(event)
            model = event["model"]
            for choice in event["choices"]:
                if not said and choice["delta"].get("content"):
                    self._found.waits.append(perf_counter() - began)
                said += choice["delta"].get("content") or ""
        return self._lose(f"{name}: a stream ended without an end and without an error")

    def judge(self, name: str, model: str, said: str) -> Outcome:
        """Whether a whole answer is this one's own."""
        sign = self._fleet.signs.get(name)
        right = said == signed(name) if sign is None else said.startswith(sign)
        return "answered" if right and model == name else "wrong"

    def may_begin(self, name: str, said: str) -> bool:
        """Whether an answer that was broken off was this one's."""
        whole = self._fleet.signs.get(name, signed(name))
        return said[: len(whole)] == whole[: len(said)]

    def _refused(self, body: dict[str, Any]) -> Outcome:
        code = str(body["error"]["code"])
        self._found.errors[code] += 1
        return "refused" if code.startswith("EM4") else self._lose(f"refused by {code}")

    def _lose(self, why: str) -> Outcome:
        self._found.lost.append(why)
        return "lost"


async def _kill(served: Served, found: Found) -> None:
    """Workers die, whatever they are doing."""
    chance = random.Random(2)
    while True:
        await asyncio.sleep(EVERY_KILL_S)
        workers = await asyncio.to_thread(served.workers)
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
                found.killed += 1


async def _sleep(served: Served, names: Sequence[str], found: Found) -> None:
    """An operator puts residents to sleep."""
    chance = random.Random(3)
    while True:
        await asyncio.sleep(EVERY_SLEEP_S)
        await asyncio.to_thread(served.sleep, chance.choice(names))
        found.slept += 1


async def _look(served: Served, found: Found, began: float) -> None:
    while True:
        await asyncio.sleep(EVERY_LOOK_S)
        found.looks.append((perf_counter() - began, await asyncio.to_thread(served.usage)))


def _metrics(found: Found, models: int, seconds: float) -> list[Metric]:
    bound_s = limits().bound_s(models)
    waits = sorted(found.waits)
    beside: dict[str, Any] = {
        "requests": sum(found.outcomes.values()),
        "seconds": seconds,
        "outcomes": dict(found.outcomes),
        "errors told": dict(found.errors),
        "workers killed": found.killed,
        "put to sleep": found.slept,
        "lost": "; ".join(found.lost[:5]) or "none",
    }
    answered = found.outcomes["answered"]
    if not answered or not found.killed:
        return [Metric.missing(name, f"{answered} answers, {found.killed} workers killed") for name in NAMES]
    told = {"bound s": bound_s, "longest wait s": waits[-1], "wait p50 s": waits[len(waits) // 2]}
    return [
        Metric("requests_lost", len(found.lost), high=0, beside=beside),
        Metric("wrong_model_answers", found.outcomes["wrong"], high=0, beside={"right": answered}),
        Metric("aging_bound_violations", sum(1 for each in waits if each > bound_s), high=0, beside=told),
        *flat(found.looks),
    ]


NAMES = (
    "requests_lost",
    "wrong_model_answers",
    "aging_bound_violations",
    "soak_memory_growth",
    "soak_descriptor_growth",
)


def flat(looks: Sequence[tuple[float, Usage]]) -> list[Metric]:
    """The last quarter beside the second: what is warm by then stays as it is. Slopes (least squares) from there on."""
    quarter = len(looks) // 4
    if quarter < 2:
        return [Metric.missing(name, "too short a run to tell") for name in NAMES[3:]]
    early, late = looks[quarter : 2 * quarter], looks[-quarter:]
    memory = [statistics.mean(each.server_memory for _, each in part) for part in (early, late)]
    descriptors = [statistics.mean(each.descriptors for _, each in part) for part in (early, late)]
    warm = looks[quarter:]
    hours = [at / 3600 for at, _ in warm]
    beside = {
        "MB early": memory[0] / 1e6,
        "MB late": memory[1] / 1e6,
        "MB an hour": statistics.linear_regression(hours, [each.server_memory / 1e6 for _, each in warm]).slope,
        "all processes MB early": statistics.mean(each.memory for _, each in early) / 1e6,
        "all processes MB late": statistics.mean(each.memory for _, each in late) / 1e6,
    }
    slope = statistics.linear_regression(hours, [float(each.descriptors) for _, each in warm]).slope
    few = {"early": descriptors[0], "late": descriptors[1], "an hour": slope}
    return [
        Metric("soak_memory_growth", memory[1] / memory[0], high=GROWTH, beside=beside),
        Metric("soak_descriptor_growth", descriptors[1] - descriptors[0], high=MORE_DESCRIPTORS, beside=few),
    ]
