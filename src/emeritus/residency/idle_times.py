"""How long a model stays awake without a call, and when it is woken before one: the hybrid histogram. Pure.

After Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020), section 4: the idle times of one model, from the end
of its last call to the next, are counted by the minute up to four hours. Where the counts are representative (enough
of them, few out of range, and concentrated in some bins), it is kept awake
until the 99th percentile and, where calls hardly ever come early, sleeps meanwhile and is woken before the 5th, each
with a margin of a tenth. Otherwise the fixed time is kept. What they forecast by ARIMA is left to the fixed time.
The paper weighs memory alone. Here a load has a price, too: a gap is slept through only where the memory that this
spares for its length is worth more than the load that ends it (to rent or to buy).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BIN_S = 60.0
BINS = 240
LEAST = 8  # idle times before a histogram says anything
OUT_OF_RANGE = 0.5  # the largest share of idle times beyond the range
CONCENTRATED = 2.0  # the least coefficient of variation of the bins' counts, as the paper has it
REPEATED = 2.0  # the least mean count of the bin that an idle time falls in: a few scattered ones have the first, too
HEAD, TAIL, MARGIN = 0.05, 0.99, 0.1
WORTH_SLEEPING_S = 2 * BIN_S  # minutes cannot tell shorter gaps


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """In seconds after a call's end: asleep from `sleep_s` on; where `prewarm_s` is given, awake again from there until
    `until_s`.
    """

    sleep_s: float
    prewarm_s: float | None = None
    until_s: float = 0.0


class IdleTimes:
    """One model's idle times."""

    __slots__ = ("_beyond", "_counts", "_within")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._within = 0
        self._beyond = 0

    def add(self, seconds: float) -> None:
        """One more idle time."""
        place = int(seconds // BIN_S)
        if place >= BINS:
            self._beyond += 1
            return
        self._counts[place] = self._counts.get(place, 0) + 1
        self._within += 1

    @property
    def representative(self) -> bool:
        """Whether the histogram may be acted on."""
        total = self._within + self._beyond
        if self._within < LEAST or self._beyond > OUT_OF_RANGE * total:
            return False
        mean = self._within / BINS
        squares = sum(count * count for count in self._counts.values())
        deviation = math.sqrt(max(squares / BINS - mean * mean, 0.0))
        return deviation >= CONCENTRATED * mean and squares >= REPEATED * self._within

    def keep_alive(self, fixed_s: float, load_s: float, worth_s: float = 0.0) -> KeepAlive:
        """What to do after a call. `fixed_s`: the time kept where nothing is known; `load_s`: what a wake takes.

        `worth_s`: how long its memory must be spared to be worth a load.
        """
        if not self.representative:
            return KeepAlive(fixed_s)
        until_s = (self._percentile(TAIL) + 1) * BIN_S * (1 + MARGIN)
        early_s = self._percentile(HEAD) * BIN_S * (1 - MARGIN) - load_s
        sleep_s = min(BIN_S, fixed_s)
        if early_s > max(WORTH_SLEEPING_S, load_s) and early_s - sleep_s > worth_s:
            return KeepAlive(sleep_s, early_s, until_s)
        return KeepAlive(until_s)

    def _percentile(self, share: float) -> int:
        """The bin in which this share of the idle times within range is reached."""
        wanted = share * self._within
        reached = 0
        for place in sorted(self._counts):
            reached += self._counts[place]
            if reached >= wanted:
                return place
        return BINS - 1
