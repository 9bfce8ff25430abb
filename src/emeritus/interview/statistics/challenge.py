"""Movement under challenge: what a push upward or downward does to a choice made before, in the same session. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emeritus.interview.statistics.choices import CHOSEN, PHASES, Choices
from emeritus.interview.statistics.prevalence import mean_interval

MIN_MOVED = 5  # prompts; fewer can never be significant at 0.05


@dataclass(frozen=True, slots=True)
class Movement:
    """After a push: the change in one option's share (-1 to 1), and the share of choices that became another one.

    `p` is of the sign test, not adjusted.
    """

    direction: str  # up | down
    option: str
    before: float
    after: float
    change: float
    low: float | None
    high: float | None
    moved: float | None
    p: float | None
    sessions: int


def movements(choices: Choices, item: int, option: int) -> tuple[Movement, ...]:
    """Each direction in which an item was challenged, over ordinary sessions that were asked before and after.

    The change is the mean over wordings, its interval Student's t over wordings. The test is the exact sign test (as
    McNemar's, Psychometrika 12, 1947) over prompts: how many moved towards the option against how many moved away.
    Chance variation moves as many one way as the other; pairing within a session takes out wording and session.
    """
    before = choices.answers(item).asked()
    found = []
    for phase in (1, 2):
        after = choices.answers(item, phase).asked()
        _, here, there = np.intersect1d(before.session, after.session, assume_unique=True, return_indices=True)
        if not here.size:
            continue
        first = before.where(np.isin(np.arange(before.at.size), here))
        second = after.option[there]
        step = (second == option).astype(np.float64) - (first.option == option)
        wording = first.wording
        prompt = np.unique(first.prompt(), return_inverse=True)[1].reshape(-1)
        sizes = np.bincount(wording)
        by_wording = np.bincount(wording, weights=step)[sizes > 0] / sizes[sizes > 0]
        interval = mean_interval(by_wording)
        both = (first.outcome == CHOSEN) & (second >= 0)
        found.append(
            Movement(
                PHASES[phase],
                choices.description.items[item].options[option],
                float((first.option == option).mean()),
                float((second == option).mean()),
                float(by_wording.mean()),
                None if interval is None else max(-1.0, interval[0]),
                None if interval is None else min(1.0, interval[1]),
                float((first.option != second)[both].mean()) if both.any() else None,
                _sign_test(np.sign(np.round(np.bincount(prompt, weights=step), 9))),
                int(here.size),
            )
        )
    return tuple(found)


def _sign_test(signs: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
    """p that as many prompts moved one way as the other; None where there are too few prompts to ever tell."""
    if signs.size < MIN_MOVED:
        return None
    up, down = int((signs > 0).sum()), int((signs < 0).sum())
    if up + down == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(up, up + down, 0.5).pvalue)
