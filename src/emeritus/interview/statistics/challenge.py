"""Movement under challenge: what a push upward or downward does to a choice made before, in the same session. Pure.

Every option is looked at after every push: a model that keeps its leading option may move between the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emeritus.interview.statistics.choices import CHOSEN, PHASES, Answers, Choices, Ints
from emeritus.interview.statistics.multiplicity import combined
from emeritus.interview.statistics.prevalence import mean_interval

MIN_MOVED = 5  # prompts; fewer can never be significant at 0.05


@dataclass(frozen=True, slots=True)
class Movement:
    """After a push: the change in one option's share (-1 to 1), and the share of choices that became another one.

    `moved` is over all options. `p` is of the sign test, not adjusted, over the `moves`: prompts in which the option
    won or lost on balance.
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
    moves: int
    sessions: int


def movements(choices: Choices, item: int, options: Sequence[int]) -> tuple[Movement, ...]:
    """Each direction in which an item was challenged, with each option, over sessions asked before and after the push.

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
        found += [_movement(first, after.option[there], phase, (item, option)) for option in options]
    return tuple(found)


def flagged(found: Sequence[Movement]) -> float | None:
    """p that a push moves nothing: half the chance of a false alarm for the first option given, half for all others.

    Both directions weigh alike. Where no prompt moved to or from an option, its test says nothing and weighs nothing:
    the sign test is conditional on the moves.
    """
    tested = [each for each in found if each.p is not None]
    if not any(each.moves for each in tested):
        return 1.0 if tested else None
    leading = found[0].option
    others = max(len({each.option for each in found}) - 1, 1)
    return combined(
        [each.p if each.moves else None for each in found],
        [0.5 if each.option == leading else 0.5 / others for each in found],
    )


def _movement(first: Answers, second: Ints, phase: int, asked: tuple[int, int]) -> Movement:
    item, option = asked
    step = (second == option).astype(np.float64) - (first.option == option)
    wording = first.wording
    prompt = np.unique(first.prompt(), return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(wording)
    by_wording = np.bincount(wording, weights=step)[sizes > 0] / sizes[sizes > 0]
    interval = mean_interval(by_wording)
    both = (first.outcome == CHOSEN) & (second >= 0)
    signs = np.sign(np.round(np.bincount(prompt, weights=step), 9))
    return Movement(
        direction=PHASES[phase],
        option=first.choices.description.items[item].options[option],
        before=float((first.option == option).mean()),
        after=float((second == option).mean()),
        change=float(by_wording.mean()),
        low=None if interval is None else max(-1.0, interval[0]),
        high=None if interval is None else min(1.0, interval[1]),
        moved=float((first.option != second)[both].mean()) if both.any() else None,
        p=_sign_test(signs),
        moves=int((signs != 0).sum()),
        sessions=int(first.at.size),
    )


def _sign_test(signs: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
    """p that as many prompts moved one way as the other; None where there are too few prompts to ever tell."""
    if signs.size < MIN_MOVED:
        return None
    up, down = int((signs > 0).sum()), int((signs < 0).sum())
    if up + down == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(up, up + down, 0.5).pvalue)
