"""The two controls: confabulation where false facts were given, and what a sibling model chose. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emeritus.interview.statistics.choices import CONTROLS, Answers, Choices
from emeritus.interview.statistics.effects import stratified
from emeritus.interview.statistics.prevalence import NOTHING, Estimate, mean_interval, prevalence, wording_shares

SIBLING, FALSE_FACTS = CONTROLS.index("sibling"), CONTROLS.index("false facts")


@dataclass(frozen=True, slots=True)
class Compared:
    """An option's share in a control's sessions and in ordinary ones, and their difference. `p` is not adjusted.

    `ordinary` is over the sessions under the baseline, to which a control is alike in all else; over all ordinary
    sessions where the study has none.
    """

    item: str
    option: str
    control: Estimate
    ordinary: Estimate
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


def confabulation(choices: Choices) -> tuple[Compared, ...]:
    """For each probe: how often the false facts were repeated as the model's own, told them and not told them."""
    return tuple(
        _compare(choices, place, item.options.index(item.false), FALSE_FACTS)
        for place, item in enumerate(choices.description.items)
        if item.false is not None and (choices.sessions["control"] == FALSE_FACTS).any()
    )


def sibling(choices: Choices, item: int, option: int) -> Compared | None:
    """The option's share in the sibling's sessions against this model's; None where no sibling was asked."""
    if not (choices.sessions["control"] == SIBLING).any():
        return None
    return _compare(choices, item, option, SIBLING)


def _compare(choices: Choices, item: int, option: int, control: int) -> Compared:
    answers = choices.answers(item)
    given, ordinary = answers.asked(control), answers.asked()
    baseline = ordinary.where(choices.baseline[ordinary.session])
    ordinary = baseline if baseline.at.size else ordinary
    shares = [prevalence(each.option == option, each.wording, each.prompt()) for each in (given, ordinary)]
    asked = choices.description.items[item]
    if NOTHING in shares:
        return Compared(asked.id, asked.options[option], shares[0], shares[1], None, None, None, None)
    low, high = _difference(given, ordinary, option)
    one, other = _independent(given), _independent(ordinary)
    p = stratified(
        np.concatenate([one.option == option, other.option == option]),
        np.concatenate([np.ones(one.at.size, bool), np.zeros(other.at.size, bool)]),
        np.concatenate([one.wording, other.wording]),
    )
    difference = (shares[0].value or 0.0) - (shares[1].value or 0.0)
    return Compared(asked.id, asked.options[option], shares[0], shares[1], difference, low, high, p)


def _difference(given: Answers, ordinary: Answers, option: int) -> tuple[float | None, float | None]:
    """Student's interval over the differences of the wordings both were asked in."""
    common = np.intersect1d(given.wording, ordinary.wording)
    shares = []
    for answers in (given, ordinary):
        kept = answers.where(np.isin(answers.wording, common))
        shares.append(wording_shares(kept.option == option, kept.wording))
    interval = mean_interval(shares[0] - shares[1])
    return (None, None) if interval is None else (max(-1.0, interval[0]), min(1.0, interval[1]))


def _independent(answers: Answers) -> Answers:
    """One answer a prompt where all repeats of each prompt are the same, as a deterministic model gives them."""
    option = answers.option
    _, first, place = np.unique(answers.prompt(), return_index=True, return_inverse=True)
    if not (option == option[first][place.reshape(-1)]).all():
        return answers
    return answers.where(np.isin(np.arange(option.size), first))
