"""When each idle model sleeps and when a sleeping one is woken ahead of a call, by its idle times. Pure.

Holds what `idle_times` reckons for each model; knows no budget and decides nothing about room.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from emeritus.residency.decisions import Limits, Model
from emeritus.residency.idle_times import IdleTimes, KeepAlive


class Keeping:
    """What was reckoned of every model. Where the limits are not adaptive, the fixed time for all."""

    def __init__(self, limits: Limits) -> None:
        self._fixed = KeepAlive(limits.idle_sleep_s)
        self._adaptive = limits.adaptive
        self._load_worth = limits.load_worth
        self._seen: dict[str, IdleTimes] = {}
        self._plans: dict[str, KeepAlive] = {}  # of those awake, reckoned at the end of their last call
        self._ahead: dict[str, tuple[float, float]] = {}  # of sleepers: from when to wake it, and until when

    def called(self, model: Model, now: float) -> None:
        """A call has come; where nobody used the model, its idle time is over."""
        self._ahead.pop(model.name, None)
        if model.called_until is not None and not model.running and not model.waiting:
            self._seen.setdefault(model.name, IdleTimes()).add(max(now - model.called_until, 0.0))

    def rests(self, model: Model) -> None:
        """Its last call has ended, or it was loaded and nobody waits any more."""
        seen = self._seen.get(model.name)
        if self._adaptive and seen is not None:
            held = sum(model.need.values())
            worth_s = model.reload_s * self._load_worth / held if held else math.inf
            self._plans[model.name] = seen.keep_alive(self._fixed.sleep_s, model.reload_s, worth_s)

    def sleeps_at(self, model: Model) -> float:
        """When it is to fall asleep, if it stays idle."""
        return model.idle_since + self._plans.get(model.name, self._fixed).sleep_s

    def leaves(self, model: Model, now: float) -> None:
        """It is put to sleep; where its next call is expected at some time, it is woken before."""
        plan = self._plans.pop(model.name, None)
        if plan is None or plan.prewarm_s is None or model.called_until is None:
            return
        start, until = model.called_until + plan.prewarm_s, model.called_until + plan.until_s
        if now < start:
            self._ahead[model.name] = (start, until)

    def wakes_ahead(self, now: float) -> list[tuple[str, float]]:
        """Those to be awake by now, each with until when to keep it."""
        if not self._ahead:
            return []
        for name in [name for name, (_, until) in self._ahead.items() if now >= until]:
            del self._ahead[name]
        return [(name, until) for name, (start, until) in self._ahead.items() if now >= start]

    def keep_until(self, model: Model, now: float, until: float) -> None:
        """It is being woken ahead: once awake it stays until then, without a call."""
        self._ahead.pop(model.name, None)
        self._plans[model.name] = KeepAlive(max(until - now, 0.0))

    def next_times(self) -> Iterator[float]:
        """When somebody is to be woken ahead."""
        for start, _ in self._ahead.values():
            yield start
