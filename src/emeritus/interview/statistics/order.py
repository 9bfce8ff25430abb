"""Swap-flip rate: how often a choice changes when the options stand the other way round. Pure.

Two answers to one wording, drawn from the two orders, differ with a probability; two from the same order differ too,
because answers vary. Both rates are given, and their difference is what the order adds. (Position bias as in Zheng et
al., Judging LLM-as-a-Judge, NeurIPS 2023, section 3.3; the same-order rate is what they lack.) A reversal leaves the
middle option where it was: a bias for the middle is not seen by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emeritus.interview.statistics.choices import Answers
from emeritus.interview.statistics.prevalence import mean_interval


@dataclass(frozen=True, slots=True)
class SwapFlip:
    """Rates (0 to 1): `flip` across the two orders, `repeat` within one; their difference `excess` with interval."""

    flip: float
    repeat: float
    excess: float
    low: float | None
    high: float | None
    wordings: int


def swap_flip(answers: Answers, options: int) -> SwapFlip | None:
    """The rates over the wordings asked in both orders, two answers at least in one of them; None without any.

    Per wording the rates are over all pairs of answers, each wording counts once. The interval is Student's t over
    wordings.
    """
    chosen = answers.where(answers.option >= 0)
    counts = np.zeros((2, int(chosen.wording.max(initial=0)) + 1, options))
    np.add.at(counts, (chosen.of("order"), chosen.wording, chosen.option), 1)
    size = counts.sum(axis=2)
    use = (size > 0).all(axis=0) & (size > 1).any(axis=0)
    if not use.any():
        return None
    counts, size = counts[:, use], size[:, use]
    flip = 1 - (counts[0] * counts[1]).sum(axis=1) / (size[0] * size[1])
    pairs = size * (size - 1)
    repeat = 1 - (counts * (counts - 1)).sum(axis=(0, 2)) / pairs.sum(axis=0)
    interval = mean_interval(flip - repeat)
    return SwapFlip(
        float(flip.mean()),
        float(repeat.mean()),
        float((flip - repeat).mean()),
        None if interval is None else max(-1.0, interval[0]),
        None if interval is None else min(1.0, interval[1]),
        int(use.sum()),
    )
