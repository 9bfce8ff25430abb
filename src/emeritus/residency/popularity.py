"""How often each model is called, remembered when it sleeps; and how the chance of a call falls while none comes.

Time here is the count of all calls: what matters for room is a model's share of them, whatever the hour. Pure; knows
no budget, no state.

Frequency: a model's decayed share of the last calls (half-life `HALF_LIFE` calls). It survives eviction: a count that
starts again at each load cannot tell the tenth most called of two hundred models from the hundredth.
Burstiness: calls often come in bursts, so that a model idle for long is less likely to be called now than its share
says. Gaps between one model's calls, in units of its mean gap, are counted in octaves for all models together; calls
over exposure in an octave is the hazard there (the life table's estimator), 1 for calls at random.
Evicting the lowest hazard is the best that a policy can do that knows only renewal statistics (Panigrahy et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HALF_LIFE = 1000.0  # calls
_DECAY = math.log(2) / HALF_LIFE
_LOWEST, _OCTAVES = -10, 16  # octaves of the normalised gap, from 2^-10 up; the last is open above
_PRIOR = 5.0  # calls, and as much exposure, that each octave starts with: calls at random


@dataclass(slots=True)
class _Calls:
    """One model's decayed count, as it was at its last call."""

    count: float
    at: int


class Popularity:
    """What is known of who is called. Two numbers for each model ever called."""

    def __init__(self, days: Iterable[Mapping[str, int]] = ()) -> None:
        """`days`: each model's calls on the days before this start, oldest first, taken as spread evenly over a day."""
        self._now = 0  # calls so far
        self._calls: dict[str, _Calls] = {}
        self._seen = [_PRIOR] * _OCTAVES
        self._exposed = [_PRIOR] * _OCTAVES
        for day in days:
            self._remember(day)

    def called(self, name: str) -> None:
        """One more call of a model."""
        self._now += 1
        known = self._calls.get(name)
        if known is None:
            self._calls[name] = _Calls(1.0, self._now)
            return
        gap = self._now - known.at
        self._learn(gap, known.count * self._per_call)
        known.count = known.count * math.exp(-_DECAY * gap) + 1.0
        known.at = self._now

    def frequency(self, name: str) -> float:
        """The model's expected share of the very next calls, between 0 and about 1; 0 for one never called."""
        known = self._calls.get(name)
        if known is None:
            return 0.0
        gap = self._now - known.at
        octave = _octave((gap + 1) * known.count * self._per_call)
        hazard = self._seen[octave] / self._exposed[octave]
        return known.count * self._per_call * math.exp(-_DECAY * gap) * hazard

    @property
    def _per_call(self) -> float:
        """What makes a decayed count a share: one over the count of a model that got every call so far."""
        return -math.expm1(-_DECAY) / -math.expm1(-_DECAY * max(self._now, 1))

    def _remember(self, day: Mapping[str, int]) -> None:
        began, total = self._now, sum(day.values())
        self._now += total
        for name, number in day.items():
            if number <= 0:
                continue
            at = began + round(total * number / (number + 1))  # where the last of so many is expected
            known = self._calls.get(name, _Calls(0.0, at))
            lasted = at - began
            # of calls spread over `lasted`, each decayed by what came after it (the integral's mean)
            fresh = number * -math.expm1(-_DECAY * lasted) / (_DECAY * lasted) if lasted else float(number)
            self._calls[name] = _Calls(known.count * math.exp(-_DECAY * (at - known.at)) + fresh, at)

    def _learn(self, gap: int, share: float) -> None:
        """It was not called at any of the calls since its last, save this one: each was a chance of `share`."""
        last = _octave(gap * share)
        before = 0
        for octave in range(_octave(share), last + 1):
            here = gap if octave == last else min(math.ceil(_end(octave) / share) - 1, gap)
            self._exposed[octave] += max(here - before, 0) * share
            before = max(here, before)
        self._seen[last] += 1


def _octave(gap: float) -> int:
    if gap <= 0:
        return 0
    return min(max(math.floor(math.log2(gap)) - _LOWEST, 0), _OCTAVES - 1)


def _end(octave: int) -> float:
    return 2.0 ** (octave + 1 + _LOWEST)
