"""Budgets, deadlines and needs as the settings state them. Knows the settings, no database and no engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emeritus.errors import BadSettings
from emeritus.residency.decisions import HOST, Limits, Need
from emeritus.settings import Settings


def limits_of(settings: Settings) -> Limits:
    """What the scheduler keeps to. Raises BadSettings naming the setting."""
    return Limits(
        budgets={**_bytes("device_budgets", _object("device_budgets", settings)), HOST: settings.memory_budget_bytes},
        idle_sleep_s=settings.idle_sleep_s,
        patience_s=settings.patience_s,
        load_s=settings.load_deadline_s,
        close_s=settings.close_deadline_s,
        answer_s=settings.longest_answer_s,
        adaptive=settings.keep_alive == "adaptive",
    )


def need_of(name: str, weights: int, settings: Settings) -> Need:
    """What a resident takes awake, in bytes by place: as `resident_bytes` says, else its weights' on the host.

    Raises BadSettings.
    """
    stated = _object("resident_bytes", settings).get(name)
    if stated is not None:
        return _bytes("resident_bytes", stated)
    return {HOST: weights} if weights else {}


def _object(setting: str, settings: Settings) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(getattr(settings, setting) or "{}")  # settings.py has seen that it is one
    return found


def _bytes(setting: str, places: Any) -> dict[str, int]:
    if not isinstance(places, dict):
        raise BadSettings(f"setting {setting!r}: {places!r} does not name places and bytes", setting=setting)
    for place, size in places.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise BadSettings(f"setting {setting!r}: {place!r} has no whole number of bytes", setting=setting)
    return dict(places)
