"""What one resident costs a year at each tier: the planner's simulation, as a decision on a preference records it.

One source of the figures: `planning` replays generated calls through the scheduler and prices what it counted
(`planning.cost` has the formula). Plain values in, plain values out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from emeritus.errors import BadSettings
from emeritus.residency.planning.alone import at_each_tier, at_tier
from emeritus.residency.planning.cost import Prices as Prices
from emeritus.residency.planning.cost import TierCost as TierCost
from emeritus.residency.planning.fleet import Planned
from emeritus.tiers import Tier


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
    model = Planned("model", bytes_stored, seconds_per_load, seconds_per_request)
    _check(model, requests_per_day, prices)
    found = at_each_tier(model, requests_per_day, prices)
    return Estimate({tier: alone.cost for tier, alone in found.items()}, prices)


def yearly_cost(model: Planned, calls_per_day: float, prices: Prices) -> TierCost:
    """What a resident costs a year at its tier, with that traffic. Raises BadSettings."""
    _check(model, calls_per_day, prices)
    return at_tier(model, calls_per_day, prices).cost


def _check(model: Planned, calls_per_day: float, prices: Prices) -> None:
    given = (model.bytes, calls_per_day, model.load_s, model.service_s, *asdict(prices).values())
    if not all(math.isfinite(value) and value >= 0 for value in given):
        raise BadSettings("a cost estimate needs finite figures that are not negative")
