"""What granting a preference costs a year on top of what is paid already. Plain values in, plain values out.

Formula: cost(tier and calls a grant means) - cost(tier and calls of today) + further copies × storage of one copy; each
cost is the planner's (`planner.yearly_cost`: simulated traffic, priced): storage + compute + memory. What makes nothing
dearer costs nothing; people's time is not in it. Knows no database and no preference.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from emeritus.residency.planner import Prices, TierCost, yearly_cost
from emeritus.residency.planning.fleet import Planned
from emeritus.tiers import Tier

DAYS_A_YEAR = 365.25
ELSEWHERE = "the host's stated prices for the tokens of the calls that a grant adds, a year; people's time is not in it"
HOW = (
    "a year at the tier and calls of a grant, less a year at those of today, plus the storage of further copies; "
    "people's time is not in it"
)


@dataclass(frozen=True, slots=True)
class Use:
    """How awake a resident is kept, and how many calls a day it answers."""

    tier: Tier
    calls_per_day: float


@dataclass(frozen=True, slots=True)
class Rates:
    """What the estimate rests on: unit prices, and how long a load (measured, once it was) and an answer take."""

    prices: Prices
    seconds_per_load: float
    seconds_per_call: float


def granting(size: int, today: Use, granted: Use, copies: int, rates: Rates) -> dict[str, Any]:
    """The yearly cost of a grant, with the parts it is the sum of, all inputs and all unit prices.

    `size` is the weights' bytes. Amounts are rounded to 0.0001 units of the currency. Raises BadSettings.
    """
    after, before = (_cost(size, use, rates) for use in (granted, today))
    archived = _cost(size, Use(Tier.ARCHIVE, 0.0), rates)
    parts = {
        "compute": after.compute - before.compute,
        "memory": after.memory - before.memory,
        "further copies": copies * archived.storage,
    }
    return {
        "amount": max(0.0, round(sum(parts.values()), 4)),
        "per": "year",
        "how": HOW,
        "parts": {name: round(part, 4) for name, part in parts.items()},
        "inputs": {
            "bytes": size,
            "tier today": today.tier.value,
            "calls a day today": today.calls_per_day,
            "tier granted": granted.tier.value,
            "calls a day granted": granted.calls_per_day,
            "further copies": copies,
            "seconds a load": rates.seconds_per_load,
            "seconds a call": rates.seconds_per_call,
        },
        "unit_prices": asdict(rates.prices),
    }


@dataclass(frozen=True, slots=True)
class TokenRates:
    """What a host asks for a million tokens of prompt and of answer, and how many a call is taken to have. Stated."""

    prompt_million: float
    completion_million: float
    prompt_tokens: int
    completion_tokens: int

    @property
    def call(self) -> float:
        """The price of one call."""
        per_million = self.prompt_tokens * self.prompt_million + self.completion_tokens * self.completion_million
        return per_million / 1e6


def granting_elsewhere(today: float, granted: float, rates: TokenRates) -> dict[str, Any]:
    """The yearly cost of a grant where a host holds the weights: its price for the further calls (each a day)."""
    tokens = max(0.0, granted - today) * DAYS_A_YEAR * rates.call
    return {
        "amount": round(tokens, 4),
        "per": "year",
        "how": ELSEWHERE,
        "parts": {"tokens": round(tokens, 4)},
        "inputs": {
            "calls a day today": today,
            "calls a day granted": granted,
            "tokens of prompt a call": rates.prompt_tokens,
            "tokens of answer a call": rates.completion_tokens,
        },
        "unit_prices": {"prompt_million": rates.prompt_million, "completion_million": rates.completion_million},
    }


def _cost(size: int, use: Use, rates: Rates) -> TierCost:
    model = Planned("model", size, rates.seconds_per_load, rates.seconds_per_call, use.tier)
    return yearly_cost(model, use.calls_per_day, rates.prices)
