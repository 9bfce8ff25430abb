"""Many tests at once: how a flag's false alarms stay rare over all the items of a study. Pure."""

from __future__ import annotations

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


def weighted(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """One p-value for "any of these": the least p over its weight, weights adding to one (weighted Bonferroni;
    Rosenthal & Rubin, Psychological Methods 1, 1983). A weight of what was not tested goes to the others.
    """
    tested = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    if not tested:
        return None
    whole = sum(weight for _, weight in tested)
    return min(1.0, min(value * whole / weight for value, weight in tested))
