"""Traces of calls: made from a seed, or read from a CSV file. Pure; the planner and the benchmarks replay them.

Popularity follows Zipf's law: the k-th resident gets a share proportional to k^-s of the calls (Azure Functions and
model hubs show such shares). Each resident's calls are a renewal process of their own with Gamma distributed gaps,
whose coefficient of variation is 1 for calls at random and larger for bursts (as ServeGen and BurstGPT found them).
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emeritus.errors import InputError

_COLUMNS = "A trace has the columns at (seconds), resident and, if known, answer_s (seconds)."


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One call: when, in seconds from the trace's start; whom; and how long its answer takes, in seconds."""

    at: float
    resident: str
    answer_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Resident:
    """What a trace calls: bytes awake, and how long a load takes, in seconds."""

    name: str
    size: int
    load_s: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How calls come: all of them a second, for how long, the exponent s of popularity, how bursty, and the seed.

    `answer_s` is the mean of exponentially distributed lengths of answers, cut off at four times that.
    """

    per_second: float
    seconds: float
    zipf: float = 1.0
    variation: float = 1.0  # coefficient of variation of the gaps between one resident's calls
    answer_s: float = 5.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """Calls in the order of time, and whom they call."""

    calls: Sequence[Call]
    residents: Mapping[str, Resident] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """When the last call comes."""
        return self.calls[-1].at if self.calls else 0.0


def shares(count: int, zipf: float) -> list[float]:
    """The share of the calls that each of so many residents gets, the most called first; they sum to 1."""
    weights = [(rank + 1) ** -zipf for rank in range(count)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def generate(residents: Sequence[Resident], arrivals: Arrivals) -> Trace:
    """Calls to these residents, the first the most called. The same seed gives the same trace. Raises InputError."""
    if not residents or arrivals.per_second <= 0 or arrivals.variation <= 0:
        raise InputError("a trace needs residents, calls and a coefficient of variation above 0")
    calls: list[Call] = []
    for resident, share in zip(residents, shares(len(residents), arrivals.zipf), strict=True):
        calls += steady(resident.name, share * arrivals.per_second, arrivals)
    return Trace(sorted(calls), {each.name: each for each in residents})


def steady(name: str, per_second: float, arrivals: Arrivals) -> Iterable[Call]:
    """One resident's calls at that mean rate; those of each resident depend on the seed and its name alone."""
    chance = random.Random(f"{arrivals.seed}/{name}")
    shape = arrivals.variation**-2
    scale = 1 / (per_second * shape)
    # The trace begins somewhere within a gap, and a long gap is likelier to be met: its length is Gamma(shape + 1).
    at = chance.gammavariate(shape + 1, scale) * chance.random()
    while at < arrivals.seconds:
        answer_s = min(chance.expovariate(1 / arrivals.answer_s), 4 * arrivals.answer_s) if arrivals.answer_s else 0.0
        yield Call(at, name, answer_s)
        at += chance.gammavariate(shape, scale)


def equal(count: int, size: int, load_s: float) -> list[Resident]:
    """Residents that are all alike."""
    return [Resident(f"r{number:03d}", size, load_s) for number in range(count)]


def varied(count: int, size: int, load_s: float, seed: int = 1) -> list[Resident]:
    """Residents of that mean size, from about a fifth to five times of it (log-uniform), whatever their popularity.

    A load takes in part as long as there are bytes: a fifth of `load_s`, and the rest by size.
    """
    chance = random.Random(f"{seed}/sizes")
    raw = [5.0 ** chance.uniform(-1, 1) for _ in range(count)]
    mean = math.fsum(raw) / count
    return [
        Resident(f"r{number:03d}", max(1, round(size * each / mean)), load_s * (0.2 + 0.8 * each / mean))
        for number, each in enumerate(raw)
    ]


def read_csv(path: Path, answer_s: float = 5.0) -> Trace:
    """A trace from a file with the columns `at`, `resident` and perhaps `answer_s`. Raises InputError naming the line.

    `at` is in seconds from any start. Residents' sizes are not in it: give them with `Trace(calls, residents)`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the trace {path} cannot be read: {error}", remedy=_COLUMNS) from error
    calls = [_call(path, line, row, answer_s) for line, row in enumerate(rows, start=2)]
    start = min((call.at for call in calls), default=0.0)
    return Trace(sorted(Call(call.at - start, call.resident, call.answer_s) for call in calls))


def _call(path: Path, line: int, row: Mapping[str, str | None], answer_s: float) -> Call:
    try:
        at, given = float(row["at"] or ""), row.get("answer_s")
        length = float(given) if given else answer_s
        name = (row["resident"] or "").strip()
        if not (math.isfinite(at) and math.isfinite(length) and length >= 0 and name):
            raise ValueError("not finite, negative or empty")
    except (KeyError, ValueError) as error:
        raise InputError(f"line {line} of the trace {path} cannot be read: {error}", remedy=_COLUMNS) from error
    return Call(at, name, length)
