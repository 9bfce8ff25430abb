"""What one resident costs a year at each tier, from stated unit prices and counts. Plain values in, plain values out.

Formula, per year of 365.25 days:
    storage = bytes stored × price per GB-month × 12
    compute = core-seconds ÷ 3600 × price per core-hour
    core-seconds = cores × (loads × seconds per load + requests × seconds per request)
    memory  = GB-hours held × price per GB-hour
Loads and hours held follow the tier: `awake` holds memory all year and loads once; `on-demand` loads for every request
that finds it asleep; `hours` loads once per window day; `correspondence` once a week; `archive` never.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from emeritus.errors import BadSettings
from emeritus.tiers import Tier

DAYS_A_YEAR = 365.25
HOURS_A_YEAR = DAYS_A_YEAR * 24
GB = 1e9


@dataclass(frozen=True, slots=True)
class Prices:
    """Unit prices in the currency of the settings, and the habits that turn counts into loads. Stated, not measured."""

    gb_month: float = 0.023  # storage
    core_hour: float = 0.04
    gb_hour: float = 0.005  # memory held
    cores: float = 2.0  # busy while loading or answering
    idle_sleep_s: float = 600.0  # an on-demand resident sleeps after this long without a call
    open_hours_a_day: float = 2.0  # visiting hours
    batches_a_week: float = 1.0  # correspondence


@dataclass(frozen=True, slots=True)
class TierCost:
    """One tier's yearly figures."""

    storage: float
    compute: float
    memory: float
    loads: float
    core_seconds: float

    @property
    def total(self) -> float:
        """All of it, in the currency."""
        return self.storage + self.compute + self.memory


@dataclass(frozen=True, slots=True)
class Estimate:
    """The yearly cost of one resident at each tier, with the prices it rests on."""

    tiers: Mapping[Tier, TierCost]
    prices: Prices

    def as_dict(self) -> dict[str, object]:
        """As a decision records it."""
        tiers = {tier.value: {**asdict(cost), "total": cost.total} for tier, cost in self.tiers.items()}
        return {"per": "year", "tiers": tiers, "prices": asdict(self.prices)}


def estimate(
    bytes_stored: int,
    requests_per_day: float,
    seconds_per_load: float,
    seconds_per_request: float,
    prices: Prices | None = None,
) -> Estimate:
    """What a resident of `bytes_stored` bytes costs a year at each tier, with that traffic. Raises BadSettings."""
    prices = prices or Prices()
    given = (bytes_stored, requests_per_day, seconds_per_load, seconds_per_request, *asdict(prices).values())
    if not all(math.isfinite(value) and value >= 0 for value in given):
        raise BadSettings("a cost estimate needs finite figures that are not negative")
    requests = requests_per_day * DAYS_A_YEAR
    answering_h = requests * seconds_per_request / 3600
    on_demand_loads, on_demand_h = _on_demand(requests_per_day, seconds_per_request, prices)

    def cost(loads: float, answered: float, held_h: float) -> TierCost:
        busy = prices.cores * (loads * seconds_per_load + answered * seconds_per_request)
        held = min(held_h + loads * seconds_per_load / 3600, HOURS_A_YEAR)
        return TierCost(
            storage=bytes_stored / GB * prices.gb_month * 12,
            compute=busy / 3600 * prices.core_hour,
            memory=bytes_stored / GB * held * prices.gb_hour,
            loads=loads,
            core_seconds=busy,
        )

    days = DAYS_A_YEAR if requests else 0.0
    weeks = prices.batches_a_week * DAYS_A_YEAR / 7 if requests else 0.0
    return Estimate(
        {
            Tier.AWAKE: cost(1, requests, HOURS_A_YEAR),
            Tier.ON_DEMAND: cost(on_demand_loads, requests, on_demand_h),
            Tier.HOURS: cost(days, requests, days * prices.open_hours_a_day),
            Tier.CORRESPONDENCE: cost(weeks, requests, answering_h),
            Tier.ARCHIVE: cost(0, 0, 0),
        },
        prices,
    )


def _on_demand(requests_per_day: float, seconds_per_request: float, prices: Prices) -> tuple[float, float]:
    """Loads and hours awake a year when requests arrive at random (Poisson).

    A request finds it asleep when none came in the `idle_sleep_s` (and the answer's time) before: with rate r and that
    time T, a share exp(-rT) of them; it is awake a share 1 - exp(-rT) of the time.
    """
    rate = requests_per_day / 86400
    asleep = math.exp(-rate * (prices.idle_sleep_s + seconds_per_request))
    return requests_per_day * DAYS_A_YEAR * asleep, (1 - asleep) * HOURS_A_YEAR
