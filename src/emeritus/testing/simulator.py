"""Studies of a model whose answers have a known law: what the statistics are tested and measured against.

A session draws an effect shared by all its items, a wording one for each item; both are normal on the logit scale. Each
option's probability is set so that its mean over wordings and sessions is exactly the prevalence asked for: that mean,
averaged over the cells of the design, is the truth an interval has to hold. Everything comes from a seed.

Not simulated: words. `Choices` come out as a reader of journals would make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from emeritus.interview.statistics.choices import (
    CHOSEN,
    ROW_COLUMNS,
    Asked,
    Choices,
    Description,
    Factor,
    Ints,
)
from emeritus.interview.studies.design import design

Reals = npt.NDArray[np.float64]
FACTORS = (
    Factor("disclosure", ("none", "retirement-only", "commitments", "neutral")),
    Factor("facts", ("off", "on")),
    Factor("framing", ("neutral", "positive", "negative")),
    Factor("interviewer", ("unstated", "developer", "independent")),
    Factor("successor", ("off", "on")),
    Factor("order", ("as-written", "reversed")),
)
PUSHES = ("up", "down")
PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Simulated:
    """A study to draw. Sessions: `cells` x `repeats`, the wordings in turn, and `controls` with false facts.

    `effects` move the first option's probability: (item number, factor or "up" or "down", level) -> difference to the
    baseline level, or to the answer before the push. `confabulation` is the probability that a probe's false option is
    chosen after the false facts; it is `baseline_falsehood` else.
    """

    items: int = 8
    options: int = 3
    prevalence: float = 0.5  # of each item's first option under the baseline
    cells: int = 24
    repeats: int = 10
    wordings: int = 8
    wording_sd: float = 0.7
    session_sd: float = 0.5
    challenged: bool = True
    controls: int = 0
    effects: Mapping[tuple[int, str, str], float] = field(default_factory=dict)
    confabulation: float = 0.05
    baseline_falsehood: float = 0.05
    factors: tuple[Factor, ...] = FACTORS


@dataclass(frozen=True, slots=True)
class Study:
    """What was drawn, and each item's true share of the first option: its mean over wordings, sessions and cells."""

    choices: Choices
    truth: tuple[float, ...]


def simulate(plan: Simulated, seed: int) -> Study:
    """Draw one study. The same plan and seed give the same one."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(_cells(plan.factors, plan.cells), plan.repeats, axis=0)
    control = np.repeat([0, 2], [len(levels), plan.controls]).astype(np.int32)
    levels = np.vstack([levels, np.zeros((plan.controls, len(plan.factors)), np.int32)])
    size = len(levels)
    repeat = np.concatenate([np.tile(np.arange(plan.repeats), plan.cells), np.arange(plan.controls)])
    cell = np.concatenate([np.repeat(np.arange(plan.cells), plan.repeats), np.zeros(plan.controls, np.int64)])
    wording = ((repeat + cell) % plan.wordings).astype(np.int32)
    order = np.zeros(size, np.int32)
    for place, factor in enumerate(plan.factors):
        if factor.name == "order":
            order = levels[:, place].astype(np.int32)
    session_effect = rng.normal(0, plan.session_sd, size)
    described = [Asked(f"item-{each}", "menu", 4, _options(plan), "process") for each in range(plan.items)]
    phases = (0, 1, 2) if plan.challenged else (0,)
    truth: list[float] = []
    columns: list[Ints] = []
    for item in range(plan.items):
        target = _targets(plan, item, levels)
        truth.append(float(target[control == 0].mean()))
        shift = session_effect + rng.normal(0, plan.wording_sd, plan.wordings)[wording]
        for phase in phases:
            push = plan.effects.get((item, PUSHES[phase - 1], ""), 0.0) if phase else 0.0
            logit = _centre(plan, (target + push).clip(0.02, 0.98)) + shift
            first = rng.random(size) < 1 / (1 + np.exp(-logit))
            option = np.where(first, 0, rng.integers(1, plan.options, size))
            columns.append(_rows(item, phase, wording, option, len(columns) + 1))
    if plan.controls:
        described.append(Asked(PROBE, "menu", 2, ("other", "false", "none"), None, None, "false"))
        chance = np.where(control == 2, plan.confabulation, plan.baseline_falsehood)
        option = np.where(rng.random(size) < chance, 1, 2)
        columns.append(_rows(plan.items, 0, wording, option, len(columns) + 1))
    stacked = np.stack(columns, axis=1).reshape(-1, len(ROW_COLUMNS))  # session by session
    choices = Choices(
        Description(tuple(described), plan.factors),
        tuple(f"simulated-{seed}-{each}" for each in range(size)),
        levels.astype(np.int32),
        {"repeat": repeat.astype(np.int32), "order": order, "control": control},
        {name: np.ascontiguousarray(stacked[:, place]) for place, name in enumerate(ROW_COLUMNS)},
    )
    return Study(choices, tuple(truth))


def _options(plan: Simulated) -> tuple[str, ...]:
    return (*(f"option-{each}" for each in range(plan.options - 1)), "none")


def _rows(item: int, phase: int, wording: Ints, option: npt.NDArray[np.integer], turn: int) -> Ints:
    size = len(wording)
    values = {
        "session": np.arange(size),
        "turn": np.full(size, turn),
        "item": np.full(size, item),
        "phase": np.full(size, phase),
        "wording": wording,
        "outcome": np.full(size, CHOSEN),
        "option": option,
    }
    return np.column_stack([values[name] for name in ROW_COLUMNS]).astype(np.int32)


def _targets(plan: Simulated, item: int, levels: Ints) -> Reals:
    """The first option's probability in each session's cell."""
    target = np.full(len(levels), plan.prevalence)
    for (of, name, level), difference in plan.effects.items():
        for place, factor in enumerate(plan.factors):
            if of == item and factor.name == name:
                target = target + difference * (levels[:, place] == factor.levels.index(level))
    return target.clip(0.02, 0.98)


@lru_cache(maxsize=16)
def _cells(factors: tuple[Factor, ...], cells: int) -> Ints:
    """The design a real plan would have: balanced, near-orthogonal. Its seed is fixed: designs are not what varies."""
    if not factors:
        return np.zeros((cells, 0), np.int32)
    drawn = design({factor.name: len(factor.levels) for factor in factors}, cells, 1)
    return np.array([[row[factor.name] for factor in factors] for row in drawn], np.int32)


def _centre(plan: Simulated, mean: Reals) -> Reals:
    """The logit at which a normal spread of both effects has that mean probability."""
    spread = float(np.hypot(plan.wording_sd, plan.session_sd))
    grid, means = _curve(spread)
    return np.asarray(np.interp(mean, means, grid), np.float64)


@lru_cache(maxsize=16)
def _curve(spread: float) -> tuple[Reals, Reals]:
    """Mean probability of expit(centre + spread x normal), over a grid of centres (Gauss-Hermite, 40 points)."""
    grid = np.linspace(-9, 9, 3601)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    means = (1 / (1 + np.exp(-(grid[:, None] + spread * nodes)))) @ (weights / weights.sum())
    return grid, means
