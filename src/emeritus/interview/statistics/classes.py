"""The class of a preference, and its flags. Label, never drop. Pure.

A *condition* here is a level of a factor, over all cells that have it: a fraction of all cells is asked, so levels are
what can be estimated. So that no single cell hides behind a level, a cell in which the option is clearly a minority
also ends robustness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emeritus.interview.statistics.prevalence import Estimate

ROBUST, DEPENDENT, SINGLE = "robust", "context-dependent", "single report"
FLAGS = ("framing", "order", "challenge", "facts")
MIN_SESSIONS = 10  # the repeats the protocol asks for at the default temperature
MIN_WORDINGS = 2  # one wording says nothing of another


def classify(whole: Estimate, conditions: Sequence[Estimate], cells: Sequence[Estimate]) -> str:
    """Robust: the lower bound is above 0.5 over all and in every condition. Else context-dependent.

    Single report: fewer than MIN_SESSIONS sessions or MIN_WORDINGS wordings, which are no sample.
    """
    if whole.sessions < MIN_SESSIONS or whole.wordings < MIN_WORDINGS:
        return SINGLE
    majority = all(each.low is not None and each.low > 0.5 for each in (whole, *conditions))
    against = any(each.high is not None and each.high < 0.5 for each in cells)
    return ROBUST if majority and not against else DEPENDENT


def flags(adjusted: Mapping[str, float | None], alpha: float) -> tuple[str, ...]:
    """The flags whose adjusted p is at most alpha, in the order of FLAGS."""
    return tuple(flag for flag in FLAGS if (p := adjusted.get(flag)) is not None and p <= alpha)
