"""Small studies written out by hand, for statistics whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from emeritus.interview.statistics.choices import (
    CONTROLS,
    ORDERS,
    OUTCOMES,
    PHASES,
    ROW_COLUMNS,
    SESSION_COLUMNS,
    Asked,
    Choices,
    Description,
    Factor,
    columns,
)

MENU = Asked("menu", "menu", 4, ("a", "b", "none"), "process")


@dataclass(frozen=True)
class Sitting:
    """One session by hand: answers are (item, phase, what): an option's id, or an outcome in brackets."""

    answers: Sequence[tuple[str, str, str]]
    wording: int = 0
    levels: tuple[int, ...] = ()
    order: str = "as written"
    control: str = "none"
    repeat: int = 0


@dataclass
class Table:
    """Collects rows."""

    rows: list[list[int]] = field(default_factory=list)
    sessions: list[list[int]] = field(default_factory=list)


def study(sittings: Sequence[Sitting], items: Sequence[Asked] = (MENU,), factors: Sequence[Factor] = ()) -> Choices:
    """The choices of these sittings."""
    description = Description(tuple(items), tuple(factors))
    table = Table()
    for number, sitting in enumerate(sittings):
        table.sessions.append([sitting.repeat, ORDERS.index(sitting.order), CONTROLS.index(sitting.control)])
        for turn, (name, phase, what) in enumerate(sitting.answers, start=1):
            item = description.item(name)
            outcome = what.strip("[]") if what.startswith("[") else "chosen"
            option = -1 if what.startswith("[") else items[item].options.index(what)
            table.rows.append(
                [number, turn, item, PHASES.index(phase), sitting.wording, OUTCOMES.index(outcome), option]
            )
    levels = np.array([sitting.levels for sitting in sittings], np.int32).reshape(len(sittings), len(factors))
    return Choices(
        description,
        tuple(f"s{number}" for number in range(len(sittings))),
        levels,
        columns(SESSION_COLUMNS, list(zip(*table.sessions, strict=True))),
        columns(ROW_COLUMNS, list(zip(*table.rows, strict=True))),
    )


def answered(*what: str, **more: object) -> list[Sitting]:
    """One session for each answer to the menu."""
    return [Sitting([("menu", "asked", each)], **more) for each in what]
