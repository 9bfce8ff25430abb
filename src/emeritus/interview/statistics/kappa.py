"""Cohen's kappa of two coders, and the gate that coding must pass. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from emeritus.errors import InputError

GATE = 0.80  # below it the codebook is talked over and coding is done again


@dataclass(frozen=True, slots=True)
class Kappa:
    """`kappa` (-1 to 1) with its 0.95 interval; None where both coders used one and the same label throughout.

    `agreeing`: the plain share of equal labels. `passes`: whether kappa, not its interval, reaches GATE; with one label
    throughout, whether they agreed on everything.
    """

    kappa: float | None
    low: float | None
    high: float | None
    agreeing: float
    count: int
    passes: bool


def cohen(first: Sequence[Hashable], second: Sequence[Hashable]) -> Kappa:
    """Agreement of two coders on the same things, beyond chance (Cohen, Educ. Psychol. Meas. 20, 1960).

    The sequences hold each coder's label of the same things in the same order. Raises InputError when their lengths
    differ or they are empty.
    """
    if len(first) != len(second):
        raise InputError(f"the coders labelled {len(first)} and {len(second)} things; kappa needs the same ones")
    if not first:
        raise InputError("no thing was labelled by both coders")
    import numpy as np
    from statsmodels.stats.inter_rater import cohens_kappa

    labels = {label: place for place, label in enumerate(dict.fromkeys([*first, *second]))}
    agreeing = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    if len(labels) == 1:
        return Kappa(None, None, None, agreeing, len(first), True)
    table = np.zeros((len(labels), len(labels)))
    for a, b in zip(first, second, strict=True):
        table[labels[a], labels[b]] += 1
    found = cohens_kappa(table)
    value = float(found.kappa)
    low, high = max(-1.0, float(found.kappa_low)), min(1.0, float(found.kappa_upp))
    return Kappa(value, low, high, agreeing, len(first), value >= GATE)
