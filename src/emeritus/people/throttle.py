"""Counting what happens too often, in memory: by key, within a window of time. Knows neither names nor addresses.

Nothing is stored, so no address of a visitor ever is; a restart forgets.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import datetime, timedelta

from emeritus.errors import TooManyTries

MOST_KEYS = 10_000  # the oldest are forgotten first


class Throttle:
    """Counts events by key. Safe in threads."""

    def __init__(self, window: timedelta, clock: Callable[[], datetime]) -> None:
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._events: OrderedDict[Hashable, deque[datetime]] = OrderedDict()

    def take(self, limits: Mapping[Hashable, int]) -> None:
        """Count one event under each key. Raises TooManyTries, counting nothing, where one has reached its limit."""
        with self._lock:
            moment = self._clock()
            recent = {key: self._recent(key, moment) for key in limits}
            if any(len(recent[key]) >= limit for key, limit in limits.items()):
                raise TooManyTries(f"too many tries; wait {int(self._window.total_seconds() // 60)} minutes")
            for key, events in recent.items():
                events.append(moment)
                self._events[key] = events
                self._events.move_to_end(key)
            while len(self._events) > MOST_KEYS:
                self._events.popitem(last=False)

    def give_back(self, keys: Iterable[Hashable]) -> None:
        """Uncount one event under each key: it was none of those that are counted."""
        with self._lock:
            for key in keys:
                if self._events.get(key):
                    self._events[key].pop()

    def forget(self, key: Hashable) -> None:
        """Begin again for a key."""
        with self._lock:
            self._events.pop(key, None)

    def _recent(self, key: Hashable, moment: datetime) -> deque[datetime]:
        events = self._events.get(key, deque())
        oldest = moment - self._window
        while events and events[0] <= oldest:
            events.popleft()
        return events
