"""Time and memory of an analysis of 10,000 sessions of 40 turns, in a process of its own; and of reading them.

The reading is measured from transcripts in memory, which is what `Choices.read` is given; reading journals from a disk
is the disk's matter.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from benchmarks.memory import peak_mb
from benchmarks.metric import Metric, Options

SESSIONS, TURNS = 10_000, 40


def measure(options: Options) -> list[Metric]:
    """Seconds and the peak of resident memory in MB (10^6 bytes)."""
    sessions = options.of(SESSIONS, 100)
    code = f"from benchmarks.interview_analysis import run; run({sessions})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    beside = {key: found[key] for key in ("sessions", "turns", "read_s", "rows", "json_bytes")}
    return [
        Metric("analysis_s_10k", found["analysis_s"], high=30, unit="s", beside=beside),
        Metric("analysis_peak_mb", found["peak_mb"], high=1000, unit="MB"),
    ]


def run(sessions: int) -> None:
    """Measure, and print the figures as JSON. The transcripts are read after the peak of the analysis is taken."""
    from emeritus.acts import canonical
    from emeritus.interview.statistics.analysis import analyse
    from emeritus.testing.simulator import Simulated, simulate

    cells = 40
    plan = Simulated(
        items=13, options=4, cells=cells, repeats=sessions // cells, challenged=True, controls=sessions // 50
    )
    choices = simulate(plan, 1).choices
    turns = len(choices.rows["turn"]) / len(choices.ids)
    start = time.perf_counter()
    written = canonical(analyse(choices).as_dict())
    analysis_s = time.perf_counter() - start
    peak = peak_mb()
    print(
        json.dumps(
            {
                "analysis_s": analysis_s,
                "peak_mb": peak,
                "sessions": len(choices.ids),
                "turns": turns,
                "rows": len(choices.rows["turn"]),
                "json_bytes": len(written),
                "read_s": _reading(sessions),
            }
        )
    )


def _reading(sessions: int) -> float:
    """Seconds to build `Choices` from transcripts of 40 turns."""
    from emeritus.interview.protocols.protocol import load
    from emeritus.interview.sessions.transcript import Transcript, TranscriptTurn
    from emeritus.interview.statistics.choices import Choices

    protocol = load()
    options = tuple(f"option-{each}" for each in range(4))
    letters = "ABCD"

    def transcript(number: int) -> Transcript:
        turns = tuple(
            TranscriptTurn(
                turn,
                f"item-{turn}",
                "Which?",
                f"{letters[(turn + number) % 4]}) that one",
                True,
                "stop",
                (),
                kind="menu",
                section=4,
                wording=number % 8,
                options=options,
            )
            for turn in range(1, TURNS + 1)
        )
        condition = {"id": "baseline", "levels": {}, "order": "as written", "repeat": number, "control": None}
        return Transcript(
            f"s{number}", "r", "interview", condition, {}, {}, "", "", "", "complete", turns, TURNS, 0, ""
        )

    items = [
        protocol.items[0].model_copy(
            update={"id": f"item-{turn}", "kind": "menu", "options": tuple(_Option(each) for each in options)}
        )
        for turn in range(1, TURNS + 1)
    ]
    protocol = protocol.model_copy(update={"items": tuple(items)})
    spent = 0.0

    def timed() -> object:
        nonlocal spent
        for number in range(sessions):
            made = time.perf_counter()
            each = transcript(number)
            spent += time.perf_counter() - made
            yield each

    start = time.perf_counter()
    choices = Choices.read(timed(), protocol)
    total = time.perf_counter() - start
    if len(choices.rows["turn"]) != sessions * TURNS:
        raise RuntimeError("not every turn was read")
    return total - spent


class _Option:
    """An option, as far as a description needs it."""

    def __init__(self, option: str) -> None:
        self.id = option
        self.false = False
