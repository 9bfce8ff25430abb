"""The three axes of a retirement, their dated states and the order the dates must keep. Pure.

*Offering* says whether new users are invited, *access* who may still call, *preservation* what is kept. They move
apart: a retired model may be reachable for years. Knows no table, no clock and no wire format.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal

from emeritus.errors import InputError

Axis = Literal["offering", "access", "preservation"]
Precision = Literal["day", "month", "quarter", "year"]

STATES: Mapping[Axis, tuple[str, ...]] = {
    "offering": ("active", "legacy", "deprecated", "retired"),
    "access": ("open", "entitled", "by request", "none"),
    "preservation": ("held", "behaviour only", "none"),
}
_FORMS: tuple[tuple[Precision, re.Pattern[str]], ...] = (
    ("day", re.compile(r"(\d{4})-(\d{2})-(\d{2})")),
    ("month", re.compile(r"(\d{4})-(\d{2})")),
    ("quarter", re.compile(r"(\d{4})-Q([1-4])")),
    ("year", re.compile(r"(\d{4})")),
)


@dataclass(frozen=True, slots=True)
class When:
    """A date as exactly as it was given: the first day of the span, and the span's length."""

    first: date
    precision: Precision = "day"

    @property
    def last(self) -> date:
        """The last day of the span."""
        year, month = self.first.year, self.first.month
        if self.precision == "day":
            return self.first
        if self.precision == "year":
            return date(year, 12, 31)
        month = month if self.precision == "month" else month + 2
        return date(year, month, calendar.monthrange(year, month)[1])

    def __str__(self) -> str:
        if self.precision == "day":
            return self.first.isoformat()
        if self.precision == "month":
            return f"{self.first:%Y-%m}"
        if self.precision == "quarter":
            return f"{self.first:%Y}-Q{(self.first.month + 2) // 3}"
        return f"{self.first:%Y}"


@dataclass(frozen=True, slots=True)
class DatedState:
    """One state on one axis from a date on."""

    axis: Axis
    state: str
    when: When
    reason: str = ""

    def as_dict(self) -> dict[str, str]:
        """As statements record it; `date` is the span's first day, so that text sorts as time does."""
        return {
            "axis": self.axis,
            "state": self.state,
            "date": self.when.first.isoformat(),
            "precision": self.when.precision,
            "reason": self.reason,
        }


def parse_when(text: str) -> When:
    """`2026-03-31`, `2026-03`, `2026-Q1` or `2026`. Raises InputError naming the text."""
    for precision, form in _FORMS:
        found = form.fullmatch(text.strip())
        if found is None:
            continue
        parts = [int(part) for part in found.groups()]
        month = 1 if len(parts) < 2 else parts[1] * 3 - 2 if precision == "quarter" else parts[1]
        try:
            return When(date(parts[0], month, parts[2] if len(parts) == 3 else 1), precision)
        except ValueError as error:
            raise InputError(f"{text!r} is not a date: {error}") from error
    raise InputError(f"{text!r} is not a date", remedy="Give 2026-03-31, 2026-03, 2026-Q1 or 2026.")


def check(states: Iterable[DatedState]) -> None:
    """Refuse an unknown state, a state given twice, and offering states whose dates run backwards.

    A retirement (the `Sunset` of RFC 8594) is never before the deprecation (RFC 9745): spans are compared by their
    first days, so that both may fall in one quarter. Raises InputError.
    """
    seen: dict[tuple[str, str], DatedState] = {}
    for state in states:
        if state.axis not in STATES:
            raise InputError(f"there is no axis {state.axis!r}; the axes are {', '.join(STATES)}")
        if state.state not in STATES[state.axis]:
            raise InputError(f"{state.axis} is never {state.state!r}; it is one of {', '.join(STATES[state.axis])}")
        if seen.setdefault((state.axis, state.state), state) is not state:
            raise InputError(f"{state.axis} {state.state!r} has two dates")
    order = [seen["offering", name] for name in STATES["offering"] if ("offering", name) in seen]
    for earlier, later in pairwise(order):
        if later.when.first < earlier.when.first:
            raise InputError(f"{later.state} ({later.when}) comes before {earlier.state} ({earlier.when})")


def check_notice(announced: date, retired: When, notice_days: int) -> None:
    """Refuse a retirement that may fall within the notice period; `announced` is the day of the announcement itself."""
    earliest = announced + timedelta(days=notice_days)
    if retired.first < earliest:
        raise InputError(
            f"retirement on {retired} gives less than {notice_days} days of notice",
            remedy=f"Retire on {earliest.isoformat()} or later, or waive the notice period publicly.",
        )
