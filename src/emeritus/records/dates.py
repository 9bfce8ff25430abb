"""Due dates as records write them: ISO 8601 dates or RFC 3339 moments in UTC, which sort as time does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def is_past(due: str, now: str) -> bool:
    """Whether a due date or moment has gone by at `now` (RFC 3339); a bare date lasts to the end of its day."""
    return due < now[: len(due)]


def days_after(moment: str, days: int) -> str:
    """The ISO date that many days after an RFC 3339 moment."""
    return (datetime.fromisoformat(moment).astimezone(UTC) + timedelta(days=days)).date().isoformat()
