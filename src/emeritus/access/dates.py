"""Last days and moments as people write them. Knows no grant."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from emeritus.acts import stamp
from emeritus.errors import InputError


def last_moment(text: str) -> str:
    """An ISO date's last second, or the moment an RFC 3339 text names, as records write it (UTC). Raises InputError."""
    try:
        if len(text) == len("2030-01-31"):
            return stamp(datetime.combine(date.fromisoformat(text), time(23, 59, 59), UTC))
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no date; write YYYY-MM-DD") from error
    if moment.tzinfo is None:
        raise InputError(f"{text!r} names no time zone; end it with Z for UTC")
    return stamp(moment)
