"""Traffic to plan for: `residency.traces` by calls a day, within a bound on how many are simulated. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence

from emeritus.errors import InputError
from emeritus.residency.traces import Arrivals, Call, shares, steady

DAY_S = 86_400.0
MOST_CALLS = 5_000_000  # of one trace
LEAST = 1e-9  # calls a day; a model that is called less often than in a million years is not called


def renewals(calls_per_day: Mapping[str, float], days: float, cv: float = 1.0, seed: int = 0) -> Iterator[Call]:
    """Each model's own calls, merged: Gamma gaps of that coefficient of variation. How long answers take is not said.

    Raises InputError for figures that are none, and for more than `MOST_CALLS` expected calls.
    """
    figures = (days, cv, *calls_per_day.values())
    if not all(math.isfinite(each) and each >= 0 for each in figures) or not 0.01 <= cv <= 100:
        raise InputError("traffic needs finite figures that are not negative, and a cv from 0.01 to 100")
    if days * math.fsum(calls_per_day.values()) > MOST_CALLS:
        raise InputError(f"a trace has {MOST_CALLS} calls at most", remedy="Ask for fewer days or calls a day.")
    arrivals = Arrivals(1.0, days * DAY_S, variation=cv, answer_s=0.0, seed=seed)
    return heapq.merge(*(steady(name, rate / DAY_S, arrivals) for name, rate in calls_per_day.items() if rate > LEAST))


def by_popularity(names: Sequence[str], calls_per_day: float, zipf: float) -> dict[str, float]:
    """Each model's calls a day when the first is called most (Zipf's law)."""
    return {name: share * calls_per_day for name, share in zip(names, shares(len(names), zipf), strict=True)}
