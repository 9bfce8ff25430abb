"""What is planned: models with their sizes, times and tiers; and the machines they run on. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from emeritus.tiers import Tier

HOURS_A_DAY = 24.0


@dataclass(frozen=True, slots=True)
class Planned:
    """One model. Seconds are those of one wake and of one answer; `bytes` are held while it is awake, and stored."""

    name: str
    bytes: int
    load_s: float
    service_s: float
    tier: Tier = Tier.ON_DEMAND


@dataclass(frozen=True, slots=True)
class Habits:
    """What the tiers mean in time: when an on-demand model sleeps, visiting hours, how often letters are answered."""

    idle_sleep_s: float = 600.0
    patience_s: float = 5.0
    close_s: float = 1.0
    open_from_h: float = 9.0  # of each day
    open_hours_a_day: float = 2.0
    batches_a_week: float = 1.0
    load_worth: float = 0.0  # as `decisions.Limits` has it

    def opens(self, at: float) -> float:
        """The first moment at or after `at` (seconds from a midnight) within visiting hours."""
        day, hour = divmod(at / 3600, HOURS_A_DAY)
        if hour < self.open_from_h:
            return (day * HOURS_A_DAY + self.open_from_h) * 3600
        if hour < self.open_from_h + self.open_hours_a_day:
            return at
        return ((day + 1) * HOURS_A_DAY + self.open_from_h) * 3600

    def closes(self, at: float) -> float:
        """When the visiting hours end that run at `at`."""
        day = at // (HOURS_A_DAY * 3600)
        return (day * HOURS_A_DAY + self.open_from_h + self.open_hours_a_day) * 3600

    def batch(self, at: float) -> float:
        """The first batch after `at`."""
        every = 7 * HOURS_A_DAY * 3600 / self.batches_a_week
        return (at // every + 1) * every


@dataclass(frozen=True, slots=True)
class Machines:
    """How many alike there are, and what one holds. `accelerator`: what one is called in reports."""

    number: int
    bytes_each: int
    called: str = "accelerator"

    @property
    def bytes(self) -> int:
        """All of it. Models are taken to be placed without waste: a model larger than one machine fits on several."""
        return self.number * self.bytes_each


@dataclass(frozen=True, slots=True)
class Counts:
    """What one model did in a simulation of `days` days."""

    days: float
    calls: int = 0
    refused: int = 0
    loads: int = 0
    load_s: float = 0.0
    answering_s: float = 0.0
    held_s: float = 0.0
    waits: tuple[float, ...] = field(default=(), repr=False)  # from call to admission, in seconds, in no order
    latencies: tuple[float, ...] = field(default=(), repr=False)  # from call to the whole answer
