"""What a caller is told of its limits: of several on the same unit, the one that ends first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emeritus.access.limits import LimitState


def tightest(limits: Sequence[LimitState]) -> Mapping[str, LimitState]:
    """The limit with the least left for each unit (`requests`, `tokens`); of equal ones, the one that lasts longest."""
    found: dict[str, LimitState] = {}
    for state in limits:
        known = found.get(state.unit)
        if known is None or (state.left, -state.resets_in_s) < (known.left, -known.resets_in_s):
            found[state.unit] = state
    return found


def seconds(count: int) -> str:
    """A span as OpenAI and Go write it, such as `1h2m3s`."""
    hours, rest = divmod(count, 3600)
    minutes, left = divmod(rest, 60)
    return "".join(f"{value}{unit}" for value, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if value) or "0s"
