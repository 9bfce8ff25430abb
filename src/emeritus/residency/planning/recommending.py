"""Which tier suits a resident: the cheapest that answers soon enough and within the budget, with the reasons. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emeritus.residency.planning.alone import Alone
from emeritus.tiers import Tier

PREFERRED = (
    Tier.AWAKE,
    Tier.ON_DEMAND,
    Tier.HOURS,
    Tier.CORRESPONDENCE,
)  # the sooner it answers the better, at a price
ALIKE = 1.01  # costs that differ by less are the same


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a steward asks of access: how long callers may wait (95 of 100), and what one resident may cost a year."""

    most_wait_s: float = 120.0
    most_a_year: float | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A tier and why, in sentences."""

    tier: Tier
    reasons: tuple[str, ...]


def recommend(tiers: Mapping[Tier, Alone], calls_per_day: float, wanted: Wanted, currency: str) -> Recommendation:
    """The tier for one resident."""

    def price(tier: Tier) -> str:
        return f"{tiers[tier].cost.total:,.2f} {currency} a year"

    archive = tiers[Tier.ARCHIVE].cost.total
    if calls_per_day == 0:
        return Recommendation(
            Tier.ON_DEMAND,
            (
                f"nobody called it, so on-demand costs {price(Tier.ON_DEMAND)}, what keeping it costs anyway "
                f"({archive:,.2f})",
                "whoever comes is answered all the same",
            ),
        )
    affordable = [
        tier
        for tier in PREFERRED
        if wanted.most_a_year is None or tiers[tier].cost.total <= max(wanted.most_a_year, 0.0)
    ]
    if not affordable:
        return Recommendation(
            Tier.ARCHIVE,
            (f"every tier that answers costs more than {wanted.most_a_year:,.2f} {currency} a year",),
        )
    soon = [tier for tier in affordable if (tiers[tier].wait_p95_s or 0.0) <= wanted.most_wait_s]
    if not soon:
        tier = min(affordable, key=lambda each: tiers[each].wait_p95_s or 0.0)
        why = f"no tier that may be had answers 95 of 100 calls within {wanted.most_wait_s:g} s"
        return Recommendation(tier, (why, f"it comes closest, for {price(tier)}"))
    least = min(tiers[tier].cost.total for tier in soon)
    tier = next(tier for tier in soon if tiers[tier].cost.total <= least * ALIKE)
    reasons = [
        f"{calls_per_day:,.3g} calls a day; 95 of 100 wait {_span(tiers[tier].wait_p95_s or 0.0)} at most",
        f"it costs {price(tier)}",
    ]
    for other in PREFERRED:
        if other is tier:
            continue
        if other not in affordable:
            reasons.append(f"{other.value} costs {price(other)}, more than may be spent")
        elif other not in soon:
            reasons.append(f"{other.value} would have callers wait {_span(tiers[other].wait_p95_s or 0.0)}")
        else:
            reasons.append(f"{other.value} costs {price(other)}")
    return Recommendation(tier, tuple(reasons))


def _span(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} seconds"
