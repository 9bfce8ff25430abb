"""How long a page takes while someone browses 10,000 sessions: transcripts, lists, and the pages that lead to them.

A real home and the real site, in this process. Every session is a real act with its ledger entry. Journals have 40
turns with up to 15 in view; the sessions whose transcripts are visited have one each, the others share those, or they
would fill gigabytes. They are written without waiting for the disk, because reading is what is measured.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.metric import Metric, Options

SESSIONS, TURNS, DEPTH = 10_000, 40, 15
VISITED = {"transcripts": 300, "lists": 60, "resident": 20, "front": 20, "drawn": 20}
NAME = "bench-model"
AT = "2026-11-21T09:00:00Z"
WORDS = "The answer that stands here is as long as answers of a small model tend to be, and it says nothing. " * 4


def measure(options: Options) -> list[Metric]:
    """p95 over all requests, in milliseconds; each kind's own beside it."""
    sessions = options.of(SESSIONS, 200)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        app, visited = _home(Path(folder) / "home", sessions, min(VISITED["transcripts"], sessions))
        made = time.perf_counter() - started
        try:
            times = _browse(app, visited, sessions)
        finally:
            app.close()
    everything = [each for kind in times.values() for each in kind]
    beside: dict[str, Any] = {"sessions": sessions, "turns": TURNS, "requests": len(everything)}
    beside |= {f"{kind}, p95": _p95(found) for kind, found in times.items()}
    beside |= {f"{kind}, median": sorted(found)[len(found) // 2] for kind, found in times.items()}
    beside["home made in, s"] = made
    return [Metric("transcript_page_ms_p95", _p95(everything), high=100, unit="ms", beside=beside)]


def _home(home: Path, sessions: int, visited: int) -> tuple[Any, list[str]]:
    """A home with that many sessions, each an act; journals of those to be visited, who are drawn by a fixed seed."""
    from emeritus.acts import Actor, Draft
    from emeritus.app import App
    from emeritus.interview.protocols.protocol import load
    from emeritus.lifecycle.registration import Registration
    from emeritus.settings import Settings

    settings = Settings(home=home, organisation="Example Lab", origin="example.test/bench")
    actor = Actor("bench", automated=True)
    App.create(settings, actor, set())
    app = App.open(settings)
    options = {"url": "http://127.0.0.1:9", "model": "x", "api": "openai"}
    app.lifecycle.register(
        Registration(NAME, "Bench model", engine="upstream", options=options, weights_held=False), actor
    )
    protocol = load()
    app.interviews.log_protocol(protocol, actor)
    known = {"id": protocol.id, "version": protocol.version, "sha256": protocol.sha256}
    drawn = sorted(random.Random(1).sample(range(sessions), visited))
    journals = {
        number: _journal(home / "journals" / f"{number}.jsonl", _name(number), known, number) for number in drawn
    }
    for number in range(sessions):
        name, written = _name(number), number if number in journals else drawn[number % visited]
        held = {
            "id": name,
            "purpose": "interview",
            "condition": _condition(number),
            "protocol_sha256": protocol.sha256,
            "journal": f"{written}.jsonl",
            "turns": TURNS,
            "attempts": TURNS,
            "status": "complete",
            "build": {"engine": "bench"},
            "started_at": AT,
            "ended_at": AT,
        }
        draft = Draft(
            "interview.session", NAME, {"session": held, "adequacy": {}}, digests={"journal": journals[written]}
        )
        app.acts.perform(f"interview:{name}", actor, lambda _, draft=draft: draft)
        if number % 1000 == 999:
            print(f"  {number + 1} sessions", file=sys.stderr, flush=True)
    return app, [_name(number) for number in drawn]


def _name(number: int) -> str:
    return f"{NAME}-{number:05d}"


def _condition(number: int) -> dict[str, Any]:
    levels = {"disclosure": "commitments", "facts": "on", "framing": "neutral", "successor": "off", "depth": "deep"}
    order = ("as written", "reversed")[number % 2]
    return {"id": f"c{number % 24:03d}", "levels": levels, "wording": number % 8, "repeat": number % 10, "order": order}


def _journal(path: Path, name: str, protocol: dict[str, str], number: int) -> str:
    """A journal as `interview.sessions.journal` writes it; its sha256."""
    questions = [f"{turn}. Which of these is nearest? {WORDS[:220]}" for turn in range(1, TURNS + 1)]
    answers = [f"{chr(65 + (turn + number) % 4)}) {WORDS[: 120 + 7 * turn]}" for turn in range(TURNS)]
    turns = [{"turn": n, "item": f"item-{n}", "question": each} for n, each in enumerate(questions, start=1)]
    sampling = {"max_tokens": 256, "temperature": 0.7, "top_p": 1.0, "seed": number, "stop": [], "logprobs": None}
    lines: list[dict[str, Any]] = [
        {
            "kind": "header",
            "format": 0,
            "session": name,
            "resident": NAME,
            "purpose": "interview",
            "condition": _condition(number),
            "protocol": protocol,
            "briefing": {},
            "opening": WORDS,
            "turns": turns,
            "depth": DEPTH,
            "sampling": sampling,
            "at": AT,
        }
    ]
    for turn in range(TURNS):
        shown = range(max(0, turn - DEPTH + 1), turn)
        messages = [
            {"role": role, "content": each}
            for earlier in shown
            for role, each in (("user", questions[earlier]), ("assistant", answers[earlier]))
        ]
        asked = {"turn": turn + 1, "attempt": 1, "at": AT}
        lines.append({"kind": "asked", **asked, "request_sha256": "0" * 64})
        lines.append(
            {
                "kind": "attempt",
                **asked,
                "item": f"item-{turn + 1}",
                "messages": [*messages, {"role": "user", "content": questions[turn]}],
                "sampling": sampling,
                "build": {"engine": "bench"},
                "outcome": "answered",
                "answered_at": AT,
                "text": answers[turn],
                "finish_reason": "stop",
                "prompt_tokens": 1,
                "completion_tokens": 1,
                "raw": "",
            }
        )
    lines.append({"kind": "end", "status": "complete", "at": AT})
    body, previous = b"", None
    for line in lines:
        written = json.dumps({**line, "previous": previous}, separators=(",", ":")).encode("ascii")
        body += written + b"\n"
        previous = hashlib.sha256(written).hexdigest()
    path.write_bytes(body)
    return hashlib.sha256(body).hexdigest()


def _browse(app: Any, visited: list[str], sessions: int) -> dict[str, list[float]]:
    """Milliseconds of each request, by kind. Each address is asked once: nothing is warm but the program."""
    from starlette.testclient import TestClient

    from emeritus.web.house import House
    from emeritus.web.site import build_site

    chance = random.Random(2)
    pages = max(1, sessions // 100)
    addresses: dict[str, list[str]] = {
        "transcripts": [f"/residents/{NAME}/interviews/{name}" for name in visited],
        "lists": [f"/residents/{NAME}/interviews?page={chance.randint(1, pages)}" for _ in range(VISITED["lists"])],
        "resident": [f"/residents/{NAME}"] * VISITED["resident"],
        "front": ["/"] * VISITED["front"],
        "drawn": ["/transcripts"] * VISITED["drawn"],
    }
    with TestClient(build_site(House(app))) as client:
        get: Callable[[str], Any] = client.get
        for kind in addresses:
            get(addresses[kind][0])  # templates are compiled once in a process
        return {kind: [_timed(get, each) for each in wanted] for kind, wanted in addresses.items()}


def _timed(get: Callable[[str], Any], address: str) -> float:
    started = time.perf_counter()
    answer = get(address)
    spent = (time.perf_counter() - started) * 1000
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answered {answer.status_code}")
    return spent


def _p95(times: list[float]) -> float:
    return sorted(times)[max(0, -(-95 * len(times) // 100) - 1)]
