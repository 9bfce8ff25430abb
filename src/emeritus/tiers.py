"""The five tiers: how awake a resident is kept, and whether it may answer at a moment. Pure; any room may ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from emeritus.errors import InputError

_WRITE_HOURS = "Write days and times in UTC, such as 'mon-fri 09:00-17:00, sat 22:00-02:00'."
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Tier(StrEnum):
    """How awake a resident is kept."""

    AWAKE = "awake"
    ON_DEMAND = "on-demand"
    HOURS = "hours"
    CORRESPONDENCE = "correspondence"
    ARCHIVE = "archive"

    @property
    def meaning(self) -> str:
        """One sentence for people."""
        return _MEANINGS[self]


_MEANINGS = {
    Tier.AWAKE: "Always in memory; answers at once.",
    Tier.ON_DEMAND: "Woken by a call, which waits; asleep again after a while without one.",
    Tier.HOURS: "Answers in published visiting hours.",
    Tier.CORRESPONDENCE: "Answers letters and batches together, in a window; no conversation.",
    Tier.ARCHIVE: "Kept whole and verified; does not answer until the tier is changed.",
}


@dataclass(frozen=True, slots=True)
class Window:
    """Visiting hours, or hours for batches and letters, on some days, UTC.

    An end at or before the start is on the next day.
    """

    days: frozenset[int]  # 0 is Monday; the day on which the window opens
    opens: time
    closes: time

    def span(self, day: datetime) -> tuple[datetime, datetime]:
        """Opening and closing of the window that opens on that day."""
        start = datetime.combine(day.date(), self.opens, UTC)
        end = datetime.combine(day.date(), self.closes, UTC)
        return start, end if end > start else end + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MayAnswer:
    """Whether a call may be answered now; if not, why, and when it may next (None: not by waiting)."""

    now: bool
    reason: str
    next_at: datetime | None = None


def may_answer(tier: Tier, now: datetime, hours: Sequence[Window] = ()) -> MayAnswer:
    """Whether a resident of that tier may answer a conversation at `now` (aware, any zone)."""
    match tier:
        case Tier.AWAKE | Tier.ON_DEMAND:
            return MayAnswer(True, tier.meaning)
        case Tier.HOURS:
            return _in_hours(now.astimezone(UTC), hours)
        case Tier.CORRESPONDENCE | Tier.ARCHIVE:
            return MayAnswer(False, tier.meaning)


def may_correspond(tier: Tier, now: datetime, hours: Sequence[Window] = ()) -> MayAnswer:
    """Whether a resident of that tier answers what waits for it, batches and letters, at `now` (aware, any zone).

    At the tiers awake and on-demand at once; at hours and correspondence in its windows; at archive never.
    """
    match tier:
        case Tier.HOURS | Tier.CORRESPONDENCE:
            return _in_hours(now.astimezone(UTC), hours)
        case _:
            return may_answer(tier, now)


def next_window(now: datetime, hours: Sequence[Window]) -> tuple[datetime, datetime] | None:
    """Opening and closing of the first window that opens after `now` (aware); None where there are none."""
    now = now.astimezone(UTC)
    ahead = [
        window.span(day)
        for window in hours
        for day in (now + timedelta(days=offset) for offset in range(9))
        if day.weekday() in window.days and window.span(day)[0] > now
    ]
    return min(ahead, default=None)


def read_hours(text: str) -> list[Window]:
    """Windows from text such as `mon-fri 09:00-17:00, sat 22:00-02:00` (UTC). Raises InputError naming the part."""
    return [_read_window(part.strip()) for part in text.split(",") if part.strip()]


def _read_window(part: str) -> Window:
    try:
        days, span = part.lower().split()
        first, _, last = days.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        opens, closes = (time.fromisoformat(each) for each in span.split("-"))
    except ValueError as error:
        raise InputError(f"visiting hours {part!r} cannot be read", remedy=_WRITE_HOURS) from error
    if opens.tzinfo is not None or closes.tzinfo is not None:
        raise InputError(f"visiting hours {part!r} name a time zone; they are UTC", remedy=_WRITE_HOURS)
    length = (end - begin) % 7 + 1
    return Window(frozenset((begin + n) % 7 for n in range(length)), opens, closes)


def _in_hours(now: datetime, hours: Sequence[Window]) -> MayAnswer:
    starts: list[datetime] = []
    for window in hours:
        for offset in range(-1, 8):  # yesterday's may still be open; a week ahead meets every window
            day = now + timedelta(days=offset)
            start, end = window.span(day)
            if day.weekday() not in window.days:
                continue
            if start <= now < end:
                return MayAnswer(True, f"Visiting hours until {end:%a %H:%M} UTC.")
            if start > now:
                starts.append(start)
    if not starts:
        return MayAnswer(False, "No visiting hours are set.")
    opens = min(starts)
    return MayAnswer(False, f"Visiting hours begin {opens:%a %Y-%m-%d %H:%M} UTC.", opens)
