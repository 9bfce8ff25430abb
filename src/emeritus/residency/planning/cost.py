"""What was counted in a simulation, in money. Plain values in, plain values out.

Formula, per year of 365.25 days:
    storage = bytes stored × price per GB-month × 12
    compute = core-seconds ÷ 3600 × price per core-hour; core-seconds = cores × (seconds loading + seconds answering)
    memory  = GB × hours held × price per GB-hour
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from emeritus.residency.planning.fleet import Counts, Habits
from emeritus.settings import Settings

DAYS_A_YEAR = 365.25
HOURS_A_YEAR = DAYS_A_YEAR * 24
GB = 1e9


@dataclass(frozen=True, slots=True)
class Prices:
    """Unit prices in the currency of the settings, and the habits that turn calls into loads. Stated, not measured."""

    gb_month: float = 0.023  # storage
    core_hour: float = 0.04
    gb_hour: float = 0.005  # memory held
    cores: float = 2.0  # busy while loading or answering
    idle_sleep_s: float = 600.0  # an on-demand resident sleeps after this long without a call
    open_hours_a_day: float = 2.0  # visiting hours
    batches_a_week: float = 1.0  # correspondence

    @property
    def load_worth(self) -> float:
        """Bytes that it costs as much to hold for a second as a second of loading costs."""
        loading = self.cores * self.core_hour
        if self.gb_hour:
            return loading / self.gb_hour * GB
        return math.inf if loading else 0.0

    @property
    def habits(self) -> Habits:
        """What the tiers mean in time."""
        return Habits(
            self.idle_sleep_s,
            open_hours_a_day=self.open_hours_a_day,
            batches_a_week=self.batches_a_week,
            load_worth=self.load_worth,
        )


def prices_of(settings: Settings) -> Prices:
    """The unit prices that the settings state."""
    return Prices(
        gb_month=settings.price_gb_month,
        core_hour=settings.price_core_hour,
        gb_hour=settings.price_memory_gb_hour,
        idle_sleep_s=settings.idle_sleep_s,
    )


@dataclass(frozen=True, slots=True)
class TierCost:
    """One resident's yearly figures at one tier."""

    storage: float
    compute: float
    memory: float
    loads: float
    core_seconds: float

    @property
    def total(self) -> float:
        """All of it, in the currency."""
        return self.storage + self.compute + self.memory


def yearly(size: int, counts: Counts, prices: Prices) -> TierCost:
    """A year at the pace of what was counted; `size` are the bytes stored, and held while awake."""
    times = DAYS_A_YEAR / counts.days
    busy = prices.cores * (counts.load_s + counts.answering_s) * times
    return TierCost(
        storage=size / GB * prices.gb_month * 12,
        compute=busy / 3600 * prices.core_hour,
        memory=size / GB * min(counts.held_s / 3600 * times, HOURS_A_YEAR) * prices.gb_hour,
        loads=counts.loads * times,
        core_seconds=busy,
    )
