"""How each resident is, and how the house is, told truthfully: what hangs is named. Plain values, made on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from emeritus.residency.decisions import Model
from emeritus.residency.scheduler import Scheduler

RState = Literal["asleep", "waking", "awake", "failed", "stuck"]


@dataclass(frozen=True, slots=True)
class ResidentStatus:
    """How one resident is. `since` is when this state began; `error` is the last failed load's, until one succeeds.

    `stuck`: something of it does not end, and its bytes are taken until it does. `held`: its tier wants it awake;
    `note` says why it is not, where that is so.
    """

    name: str
    state: RState
    in_flight: int
    bytes: int
    since: datetime
    error: str | None
    waiting: int = 0
    held: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True)
class HouseStatus:
    """Bytes by place, who waits and for how long, the declared bound on waiting, and what is wrong (empty: nothing)."""

    budgets: Mapping[str, int]
    used: Mapping[str, int]
    waiting: int
    longest_wait_s: float
    bound_s: float
    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def overdue(self) -> bool:
        """Whether a call waits beyond the bound: nobody may trust this house to answer."""
        return self.longest_wait_s > self.bound_s


def bytes_of(scheduler: Scheduler, name: str) -> int:
    """What is taken for one resident now, stuck processes included, over all places."""
    model = scheduler.models[name]
    own = 0 if model.state == "asleep" else sum(model.need.values())
    return own + sum(sum(each.need.values()) for each in tuple(scheduler.stuck.values()) if each.name == name)


def note_of(scheduler: Scheduler, model: Model) -> str | None:
    """Why a resident is not awake though its tier wants it so; None where it is, or no tier does."""
    if model.name not in scheduler.held or model.state in ("awake", "waking"):
        return None
    wanted: dict[str, int] = {}
    for name in scheduler.held:
        for place, size in scheduler.models[name].need.items():
            wanted[place] = wanted.get(place, 0) + size
    for place, size in wanted.items():
        budget = scheduler.limits.budgets.get(place, 0)
        if size > budget and model.need.get(place):
            return f"those kept awake take {size} bytes of {place!r}, which has {budget}: it is woken when called"
    return "its room is in use by those who are called; it comes back when they rest"


def house(scheduler: Scheduler, now: float, errors: Mapping[str, str]) -> HouseStatus:
    """How the house is at a moment of the scheduler's clock. Safe in threads."""
    models = tuple(scheduler.models.values())
    waits = [next(iter(tuple(model.waiting.values())), now) for model in models]
    longest = max((now - time for time in waits), default=0.0)
    problems = [
        f"{each.name!r} hangs while {each.doing}, since {now - each.since:.0f} s; "
        f"{sum(each.need.values())} bytes are taken until it ends"
        for each in tuple(scheduler.stuck.values())
    ]
    late = {"waking": scheduler.limits.load_s, "leaving": scheduler.limits.close_s}
    for model in models:
        if model.state in late and now - model.since > late[model.state] + scheduler.limits.close_s:
            problems.append(f"{model.name!r} is {model.state} for {now - model.since:.0f} s, past its deadline")
        if model.name in scheduler.held and model.name in errors:
            problems.append(f"{model.name!r} is to be kept awake and cannot be woken: {errors[model.name]}")
    if longest > scheduler.bound_s:
        problems.append(f"a call waits for {longest:.0f} s, longer than the bound of {scheduler.bound_s:.0f} s")
    return HouseStatus(
        budgets=dict(scheduler.limits.budgets),
        used=scheduler.used(),
        waiting=sum(len(model.waiting) for model in models),
        longest_wait_s=longest,
        bound_s=scheduler.bound_s,
        problems=tuple(problems),
    )
