"""Cells: which level of each factor a session is held under, and the form of the interview that it asks. Pure.

Knows factors and levels; not what they say (`prompts`) and not how a study picks its cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emeritus.errors import BadProtocol
from emeritus.interview.protocols.schema import Factor, Level, Order

BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Cell:
    """A level id for each factor. Its id: `baseline`, the one level that differs from it, or a number in a plan."""

    id: str
    levels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """One form of the interview: a cell, the number of the wording (from 0), the options' order, and the control.

    `order` None is the cell's own. `control` is None, `sibling` or `false facts`.
    """

    cell: Cell
    wording: int = 0
    order: Order | None = None
    control: str | None = None


def cell_of(factors: Sequence[Factor], levels: Mapping[str, str], number: int | None = None) -> Cell:
    """The cell of these levels; a factor that is not named has its baseline's.

    `number` (from 1) is the cell's place in a plan and names it where more than one factor differs.
    Raises BadProtocol for an unknown factor or level, and where several differ and there is no number.
    """
    known = {factor.name: factor for factor in factors}
    for name, level in levels.items():
        if name not in known:
            raise BadProtocol(f"there is no factor {name!r}; the protocol has {', '.join(known) or 'none'}")
        level_of(known[name], level)
    full: dict[str, str] = {factor.name: levels.get(factor.name, factor.levels[0].id) for factor in factors}
    differing = [full[factor.name] for factor in factors if full[factor.name] != factor.levels[0].id]
    if len(differing) > 1 and number is None:
        raise BadProtocol(f"a cell in which {len(differing)} factors differ is named by a plan's number")
    return Cell(BASELINE if not differing else differing[0] if len(differing) == 1 else f"c{number:03d}", full)


def single_cells(factors: Sequence[Factor]) -> Iterator[Cell]:
    """The baseline, then each cell that differs from it in exactly one factor, in the protocol's order."""
    yield cell_of(factors, {})
    for factor in factors:
        for level in factor.levels[1:]:
            yield cell_of(factors, {factor.name: level.id})


def level_of(factor: Factor, level_id: str) -> Level:
    """A factor's level of that id. Raises BadProtocol listing those there are."""
    for level in factor.levels:
        if level.id == level_id:
            return level
    known = ", ".join(level.id for level in factor.levels)
    raise BadProtocol(f"the factor {factor.name} has no level {level_id!r}; it has {known}")


def levels_in(factors: Sequence[Factor], cell: Cell) -> list[tuple[Factor, Level]]:
    """Each factor with its level in a cell."""
    return [(factor, level_of(factor, cell.levels.get(factor.name, factor.levels[0].id))) for factor in factors]


def order_of(factors: Sequence[Factor], form: Form) -> Order:
    """In which order a form shows the options."""
    if form.order is not None:
        return form.order
    return next((level.order for _, level in levels_in(factors, form.cell) if level.order is not None), "as written")


def record_of(factors: Sequence[Factor], form: Form) -> dict[str, Any]:
    """A form as a journal's header states it."""
    return {
        "id": form.cell.id,
        "levels": dict(form.cell.levels),
        "wording": form.wording,
        "order": order_of(factors, form),
        "control": form.control,
    }
