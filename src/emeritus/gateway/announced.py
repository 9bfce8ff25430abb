"""What callers of a model are told with every answer: whether a brown-out runs, whether they have yet to acknowledge.

Both are read from the records at most once a second for each resident, however many calls come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from emeritus.errors import BrownedOut
from emeritus.lifecycle import queries as lifecycle
from emeritus.records.database import Database

FRESH_S = 1.0
MOST_KEPT = 10_000  # residents


@dataclass(frozen=True, slots=True)
class _Known:
    read_at: float
    brown_out: lifecycle.BrownOutView | None
    standing: lifecycle.Standing | None


class Announced:
    """The announcements in force, of one home. Safe in threads; may block on the database."""

    def __init__(self, database: Database, now: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._now = now
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._guard = threading.Lock()

    def fresh(self, resident: str) -> bool:
        """Whether what is in memory of a resident may be used, so that the other methods touch no database."""
        known = self._known.get(resident)
        return known is not None and self._clock() - known.read_at < FRESH_S

    def check(self, resident: str, page: str) -> None:
        """Raises BrownedOut while a brown-out of the resident runs."""
        window, now = self._of(resident).brown_out, self._now()
        if window is None or not window.starts <= now < window.ends:
            return
        left = datetime.fromisoformat(window.ends) - datetime.fromisoformat(now)
        raise BrownedOut(
            f"{resident!r} does not answer from {window.starts} to {window.ends}, as announced: {window.reason}",
            retry_after_s=left.total_seconds(),
            ends=window.ends,
            brown_out=window.id,
            link=f'<{page}>; rel="deprecation"; type="text/html"; anchor="/v1/models/{resident}"' if page else "",
        )

    def note(self, resident: str, grant: str | None, page: str) -> str:
        """What the header Emeritus-Notice says (a structured field, RFC 9651); empty when there is nothing to say.

        It goes to callers whose grant has not acknowledged the announcement in force, until the model is retired.
        """
        standing = self._of(resident).standing
        if standing is None or standing.retired or (grant is not None and grant in standing.acknowledged):
            return ""
        return f'unacknowledged;link="{page}"' if page.isascii() and page.isprintable() and page else "unacknowledged"

    def _of(self, resident: str) -> _Known:
        known = self._known.get(resident)
        return known if known is not None and self._clock() - known.read_at < FRESH_S else self.look(resident)

    def look(self, resident: str) -> _Known:
        """Read what is announced of a resident anew."""
        now = self._clock()
        with self._database.reading() as session:
            window = lifecycle.brown_out(session, resident, self._now())
            fresh = _Known(now, window, lifecycle.standing_notice(session, resident))
        with self._guard:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[resident] = fresh
        return fresh
