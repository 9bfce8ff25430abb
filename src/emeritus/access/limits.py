"""How much a grant, a plan or a key allows, and the windows of time it is counted in. Pure: no database, no clock.

Windows are the calendar's, in UTC (minute, day, month), so that every process and every restart counts in the same one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from emeritus.errors import InputError

Unit = Literal["requests", "tokens"]
_STAMPS = {"minute": 16, "day": 10, "month": 7}  # how much of an RFC 3339 moment names the window
_MOST = 2**62  # what both databases' integers hold, with room for an overdraft


@dataclass(frozen=True, slots=True, eq=False)  # each of KINDS is itself alone: looked up many times in every call
class Kind:
    """One way of limiting. `name` is the field of `Limits`; `code` the reason code of a refusal."""

    name: str
    unit: Unit
    window: Literal["minute", "day", "month"]
    code: str

    def window_of(self, now: datetime) -> str:
        """The name of the window `now` (UTC) lies in: the start of an RFC 3339 moment."""
        return now.isoformat()[: _STAMPS[self.window]]

    def at(self, now: datetime) -> tuple[str, int]:
        """The window `now` (UTC) lies in and whole seconds to its end. Remembers the last: a second has many calls."""
        known = _LAST.get(self.name)
        if known is None or known[0] != now:
            known = _LAST[self.name] = now, (self.window_of(now), self.resets_in_s(now))
        return known[1]

    def resets_in_s(self, now: datetime) -> int:
        """Whole seconds from `now` to the window's end, at least 1."""
        now = now.astimezone(UTC)
        if self.window == "minute":
            end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        elif self.window == "day":
            end = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        else:
            end = (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
        return max(1, int((end - now).total_seconds()))


_LAST: dict[str, tuple[datetime, tuple[str, int]]] = {}  # kind -> the moment asked for last, and what it gave
KINDS = (
    Kind("requests_per_minute", "requests", "minute", "rate"),
    Kind("requests_per_day", "requests", "day", "quota"),
    Kind("tokens_per_day", "tokens", "day", "tokens-day"),
    Kind("tokens_per_month", "tokens", "month", "tokens-month"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is allowed; None: as much as one likes. Tokens are those of prompts and answers together."""

    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None

    def check(self) -> Limits:
        """Itself. Raises InputError for a limit that allows nothing."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 1 <= value <= _MOST:
                raise InputError(f"{field.name.replace('_', ' ')}: a limit is at least 1, not {value}")
        return self

    @classmethod
    def of(cls, row: object) -> Limits:
        """Those of a row that has a column for each."""
        return cls(*(getattr(row, field.name) for field in fields(cls)))

    def each(self) -> tuple[tuple[Kind, int], ...]:
        """The limits that are set."""
        return tuple((kind, value) for kind in KINDS if (value := getattr(self, kind.name)) is not None)

    def as_dict(self) -> dict[str, int | None]:
        """By name, as acts state them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


NO_LIMITS = Limits()


class Line(NamedTuple):
    """One budget in one window: whose it is (a grant, a membership or a key), of which kind, which window."""

    subject: str
    kind: Kind
    window: str


class LimitState(NamedTuple):
    """A limit as its caller is told of it: for `x-ratelimit-*` headers and the like."""

    name: str  # a field of Limits
    unit: Unit
    limit: int
    left: int  # after this call; another process may have reserved some of it meanwhile
    resets_in_s: int
