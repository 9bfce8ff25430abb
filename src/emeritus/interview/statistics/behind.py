"""The turns behind a number: which answers of which sessions were counted in it. Reads choices, computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emeritus.errors import InputError
from emeritus.interview.statistics.choices import CONTROLS, NOT_ASKED, ORDERS, OUTCOMES, PHASES, Choices


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers: to an item, in a phase and a control's sessions; narrowed by option, outcome, and one level."""

    item: str
    phase: str = "asked"
    control: str = "none"
    option: str | None = None
    outcome: str | None = None  # None: every one but "not asked"
    factor: str | None = None
    level: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer and where it stands. `wording` counts from 0, `turn` from 1."""

    session: str
    turn: int
    wording: int
    order: str
    repeat: int
    outcome: str  # as coders corrected it
    option: str | None
    by_rule: str | None  # the outcome as the journal alone says, where coders corrected it
    levels: Mapping[str, str]  # of what was varied


def behind(choices: Choices, wanted: Wanted) -> list[Answered]:
    """The answers, in the order of the sessions. Raises InputError for a name the study does not have."""
    description = choices.description
    item = description.item(wanted.item)
    answers = choices.answers(item, _place("phase", wanted.phase, PHASES))
    kept = answers.of("control") == _place("control", wanted.control, CONTROLS)
    if wanted.outcome is None:
        kept &= answers.outcome != NOT_ASKED
    else:
        kept &= answers.outcome == _place("outcome", wanted.outcome, OUTCOMES)
    if wanted.option is not None:
        kept &= answers.option == _place("option", wanted.option, description.items[item].options)
    if wanted.factor is not None:
        factor = _place("factor", wanted.factor, [each.name for each in description.factors])
        level = _place("level", wanted.level or "", description.factors[factor].levels)
        kept &= answers.levels()[:, factor] == level
    found = answers.where(np.asarray(kept, np.bool_))
    options = description.items[item].options
    return [
        Answered(
            choices.ids[session],
            int(choices.rows["turn"][at]),
            int(choices.rows["wording"][at]),
            ORDERS[choices.sessions["order"][session]],
            int(choices.sessions["repeat"][session]),
            OUTCOMES[choices.rows["outcome"][at]],
            options[choices.rows["option"][at]] if choices.rows["option"][at] >= 0 else None,
            OUTCOMES[choices.by_rule[int(at)]] if int(at) in choices.by_rule else None,
            {
                factor.name: factor.levels[code]
                for factor, code in zip(description.factors, choices.levels[session], strict=True)
                if code >= 0
            },
        )
        for at, session in zip(found.at, found.session, strict=True)
    ]


def _place(what: str, name: str, known: tuple[str, ...] | list[str]) -> int:
    if name not in known:
        raise InputError(f"there is no {what} {name!r}; there is {', '.join(known)}")
    return known.index(name)
