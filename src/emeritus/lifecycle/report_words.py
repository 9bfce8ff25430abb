"""Small pieces that the report's layouts share: links to entries, conditions and numbers in words. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from emeritus.lifecycle.report_blocks import Block, Items, Line, Link, Paragraph

Json = dict[str, Any]
_MOST = 12  # links in a row; of more, the first and the last are given


def entry(number: int) -> Link:
    """A link to a ledger entry."""
    return Link(f"entry {number}", f"/ledger/entries/{number}")


def cited(numbers: Sequence[int]) -> Line:
    """The entries behind a figure, in brackets, and the full stop after them."""
    return (*behind(numbers), ".")


def behind(numbers: Sequence[int]) -> Line:
    """The entries behind a figure, in brackets; of many, how many there are and the first and last of them."""
    if not numbers:
        return ()
    if len(numbers) > _MOST:
        return (f" ({len(numbers)} entries, ", entry(numbers[0]), " to ", entry(numbers[-1]), ")")
    line: list[str | Link] = []
    for number in numbers:
        line += [", " if line else " (", entry(number)]
    return (*line, ")")


def listing(lines: list[Line], none: str) -> Block:
    """A list, or a sentence that says there is nothing to list."""
    return Items(tuple(lines)) if lines else Paragraph((none,))


def condition(found: Json) -> str:
    """A session's condition or another flat mapping, in words."""
    flat = {key: value for key, value in found.items() if key not in ("levels", "interviewer")}
    if "interviewer" in found:
        flat["asked by"] = ", ".join(each for each in found["interviewer"].values() if each)
    flat |= found.get("levels", {})
    return ", ".join(f"{key}: {word(value)}" for key, value in sorted(flat.items()) if value is not None) or "–"


def word(value: object) -> str:
    """A value as text; what is no text as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def count(number: int, noun: str) -> str:
    """A number with its noun: 1 session, 3 sessions."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def figure(value: float | None, digits: int = 2) -> str:
    """A number to so many digits, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(bounds: Sequence[float] | None) -> str:
    """Both bounds of an interval, or a dash."""
    return "–" if bounds is None else f"{bounds[0]:.2f} to {bounds[1]:.2f}"


def money(cost: Json, currency: str) -> str:
    """An estimated cost: the amount with its currency and what it is for; a dash where none was estimated."""
    amount = cost.get("amount")
    if not isinstance(amount, int | float):
        return "–"
    return f"{amount:,.2f} {cost.get('currency', currency)} a {cost.get('per', 'year')}"
