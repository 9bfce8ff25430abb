"""Budgets, deadlines and needs as the settings state them. Knows the settings, no database and no engine."""

from __future__ import annotations

import json
from collections.abc import Mapping

from emeritus.residency.decisions import HOST, Limits, Need
from emeritus.residency.planning.cost import prices_of
from emeritus.settings import Settings


def limits_of(settings: Settings) -> Limits:
    """What the scheduler keeps to."""
    return Limits(
        budgets={**json.loads(settings.device_budgets or "{}"), HOST: settings.memory_budget_bytes},
        idle_sleep_s=settings.idle_sleep_s,
        patience_s=settings.patience_s,
        load_s=settings.load_deadline_s,
        close_s=settings.close_deadline_s,
        answer_s=settings.longest_answer_s,
        adaptive=settings.keep_alive == "adaptive",
        load_worth=prices_of(settings).load_worth,
    )


def need_of(name: str, weights: int, settings: Settings) -> Need:
    """What a resident takes awake, in bytes by place: as `resident_bytes` says, else its weights' on the host."""
    stated: Mapping[str, Need] = json.loads(settings.resident_bytes or "{}")
    return stated.get(name, {HOST: weights} if weights else {})
