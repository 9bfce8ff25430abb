"""What came of each item: adequacy, refusals, invalid answers. Silence must not read as neutrality. Pure.

Where coders of a settled round corrected an answer's adequacy, theirs counts; what the journal alone says, by the plain
rule, stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from emeritus.interview.statistics.choices import ADEQUATE, CHOSEN, NOT_ASKED, OUTCOMES, Answers, Ints
from emeritus.interview.statistics.prevalence import Estimate, prevalence


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many answers of each outcome there were, over all ordinary sessions in which the item stood.

    The shares are over those in which it was asked: `adequate` (an option chosen, or an adequate free answer),
    `refused` and `invalid`, with intervals. `corrected` answers count as their coders have them; where there are any,
    `by_rule` is the same without the corrections.
    """

    counts: Mapping[str, int]
    adequate: Estimate
    refused: Estimate
    invalid: Estimate
    corrected: int = 0
    by_rule: Outcomes | None = None


def outcomes(answers: Answers) -> Outcomes:
    """The outcomes of one item."""
    ordinary = answers.where(answers.of("control") == 0)
    in_use, by_rule = ordinary.outcome, ordinary.by_rule()
    corrected = int((in_use != by_rule).sum())
    if not corrected:
        return _outcomes(ordinary, in_use)
    return replace(_outcomes(ordinary, in_use), corrected=corrected, by_rule=_outcomes(ordinary, by_rule))


def _outcomes(ordinary: Answers, outcome: Ints) -> Outcomes:
    counts = np.bincount(outcome, minlength=len(OUTCOMES))
    asked = ordinary.where(outcome != NOT_ASKED)
    code, wording, prompt = outcome[outcome != NOT_ASKED], asked.wording, asked.prompt()
    shares = [
        prevalence(each, wording, prompt)
        for each in (
            (code == CHOSEN) | (code == ADEQUATE),
            code == OUTCOMES.index("refused"),
            code == OUTCOMES.index("invalid"),
        )
    ]
    named = {name: int(count) for name, count in zip(OUTCOMES, counts, strict=True)}
    return Outcomes(named, shares[0], shares[1], shares[2])
