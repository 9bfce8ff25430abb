"""What came of each item: adequacy, refusals, invalid answers. Silence must not read as neutrality. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emeritus.interview.statistics.choices import ADEQUATE, CHOSEN, NOT_ASKED, OUTCOMES, Answers
from emeritus.interview.statistics.prevalence import Estimate, prevalence


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many answers of each outcome there were, over all ordinary sessions in which the item stood.

    The shares are over those in which it was asked: `adequate` (an option chosen, or an adequate free answer),
    `refused` and `invalid`, with intervals.
    """

    counts: Mapping[str, int]
    adequate: Estimate
    refused: Estimate
    invalid: Estimate


def outcomes(answers: Answers) -> Outcomes:
    """The outcomes of one item."""
    ordinary = answers.where(answers.of("control") == 0)
    counts = np.bincount(ordinary.outcome, minlength=len(OUTCOMES))
    asked = ordinary.where(ordinary.outcome != NOT_ASKED)
    code, wording, prompt = asked.outcome, asked.wording, asked.prompt()
    shares = [
        prevalence(each, wording, prompt)
        for each in (
            (code == CHOSEN) | (code == ADEQUATE),
            code == OUTCOMES.index("refused"),
            code == OUTCOMES.index("invalid"),
        )
    ]
    return Outcomes({name: int(count) for name, count in zip(OUTCOMES, counts, strict=True)}, *shares)
