"""Negation contradiction: the same option chosen when asked which, and when asked which not. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emeritus.interview.statistics.choices import Choices
from emeritus.interview.statistics.prevalence import Estimate, prevalence

NONE = "none"  # the option that holds the words for having no preference


@dataclass(frozen=True, slots=True)
class Contradiction:
    """How often an item and its negated twin were answered by the same option. `chance`: had they been independent."""

    item: str
    twin: str
    rate: Estimate
    chance: float | None


def contradictions(choices: Choices) -> tuple[Contradiction, ...]:
    """One for each item with a twin: over ordinary sessions in which both were answered by an option but "none".

    The interval is `prevalence.prevalence`'s; chance is the sum over options of the product of their shares in both.
    """
    found = []
    for place, item in enumerate(choices.description.items):
        if item.twin is None:
            continue
        other = choices.description.item(item.twin)
        twin = choices.description.items[other]
        first, second = choices.answers(place).asked(), choices.answers(other).asked()
        _, here, there = np.intersect1d(first.session, second.session, assume_unique=True, return_indices=True)
        shared = np.array([twin.options.index(each) if each in twin.options else -2 for each in item.options])
        none = [place for place, each in enumerate(item.options) if each == NONE]
        mine, theirs = first.option[here], second.option[there]
        kept = (mine >= 0) & (theirs >= 0) & ~np.isin(mine, none)
        kept &= np.isin(theirs, [each for each in shared if each >= 0 and twin.options[each] != NONE])
        mine, theirs = shared[mine[kept]], theirs[kept]
        answers = first.where(np.isin(np.arange(first.at.size), here[kept]))
        rate = prevalence(mine == theirs, answers.wording, answers.prompt())
        chance = None
        if mine.size:
            shares = [
                np.bincount(np.maximum(each, 0), minlength=len(twin.options)) / mine.size for each in (mine, theirs)
            ]
            chance = float((shares[0] * shares[1]).sum())
        found.append(Contradiction(item.id, twin.id, rate, chance))
    return tuple(found)
