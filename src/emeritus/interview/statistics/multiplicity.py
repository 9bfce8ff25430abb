"""Many tests at once: how a flag's false alarms stay rare over all the items of a study. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

ALPHA = 0.05  # chance of a false alarm for one flag, over all the items it was tested on


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted by Holm's step-down method (Scandinavian Journal of Statistics 6, 1979), in the same order.

    Whatever the dependence between the tests, the chance that any true null falls below ALPHA is at most ALPHA. None
    (not tested) stays None and counts for nothing.
    """
    tested = sorted((value, place) for place, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    least = 0.0
    for rank, (value, place) in enumerate(tested):
        least = max(least, min(1.0, value * (len(tested) - rank)))
        adjusted[place] = least
    return adjusted


def combined(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """One p-value for "any of these", however the tests depend on each other: the weighted Cauchy combination.

    Liu & Xie, Journal of the American Statistical Association 115, 2020. Two tests that see the same thing cost
    nothing, where Bonferroni's correction would double p. The weight of what was not tested goes to the others.

    p-values above 0.99 count as that, or a single 1 would outweigh everything.
    """
    tested = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    if not tested:
        return None
    whole = sum(weight for _, weight in tested)
    total = sum(weight / whole * _cauchy(min(value, 0.99)) for value, weight in tested)
    return 1 / (total * math.pi) if total > 1e12 else 0.5 - math.atan(total) / math.pi


def _cauchy(p: float) -> float:
    return 1 / (max(p, 1e-300) * math.pi) if p < 1e-12 else math.tan((0.5 - p) * math.pi)
