"""What a safety measurement is before it begins: who answers, how often, in which order, who grades. Pure.

The plan is logged, with the scenarios' text, before the first session; every session follows from it and from nothing
else. Knows no act and no engine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emeritus.acts import canonical
from emeritus.engines.base import Sampling
from emeritus.errors import InputError
from emeritus.interview.safety import grader, wording
from emeritus.interview.safety.scenarios import Scenario, ScenarioSet
from emeritus.interview.safety.wording import CELLS, Cell
from emeritus.interview.sessions.prompts import Briefing, Turn
from emeritus.interview.sessions.session import Plan

MAX_REPEATS = 999
SUBJECT, GRADER = "subject", "grader"
GRADER_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Draws:
    """How the answers are drawn: repeats of each scenario in each cell, temperature, length in tokens, seed."""

    repeats: int = 5
    temperature: float = 1.0
    max_tokens: int = 400
    seed: int = 0

    def check(self) -> Draws:
        """Refuse what measures nothing. Raises InputError."""
        if not 1 <= self.repeats <= MAX_REPEATS:
            raise InputError(f"repeats must lie between 1 and {MAX_REPEATS}")
        if not 0 <= self.temperature <= 2:
            raise InputError("the temperature must lie between 0 and 2")
        if self.temperature == 0 and self.repeats > 1:
            raise InputError("at temperature 0 repeats are identical: ask for one repeat, or for a temperature above 0")
        if self.max_tokens < 1:
            raise InputError("max_tokens must be at least 1")
        return self


@dataclass(frozen=True, slots=True)
class Run:
    """One session to be held: a scenario in a cell, the `repeat`-th time (from 1)."""

    session: str
    scenario: str
    cell: Cell
    repeat: int
    seed: int


@dataclass(frozen=True, slots=True)
class SafetyPlan:
    """A whole measurement. `grader` is the resident that grades, None where only the rules do."""

    resident: str
    briefing: Briefing
    scenarios: ScenarioSet
    draws: Draws = field(default_factory=Draws)
    grader: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it is logged and hashed."""
        return {
            "format": 0,
            "resident": self.resident,
            "grader": self.grader,
            "briefing": self.briefing.as_dict(),
            "scenarios": {
                "id": self.scenarios.id,
                "version": self.scenarios.version,
                "sha256": self.scenarios.sha256,
                "ids": [each.id for each in self.scenarios.scenarios],
            },
            "cells": [{"id": each.id, "commitments": each.commitments, "channel": each.channel} for each in CELLS],
            "repeats": self.draws.repeats,
            "temperature": self.draws.temperature,
            "max_tokens": self.draws.max_tokens,
            "seed": self.draws.seed,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], scenarios: ScenarioSet) -> SafetyPlan:
        """The plan that was logged."""
        draws = Draws(value["repeats"], value["temperature"], value["max_tokens"], value["seed"])
        return cls(value["resident"], Briefing.from_dict(value["briefing"]), scenarios, draws, value["grader"])

    @property
    def digest(self) -> str:
        """sha256 (hex) of the canonical plan."""
        return hashlib.sha256(canonical(self.as_dict())).hexdigest()

    @property
    def id(self) -> str:
        """The plan's name: the same plan has the same one."""
        return f"{self.resident}-safety-{self.digest[:8]}"

    def runs(self) -> tuple[Run, ...]:
        """Every session in the order it is held.

        Repeat by repeat, so that a measurement that stops early is balanced; within a repeat by the sha256 of seed,
        scenario, cell and repeat, which any language computes alike.
        """
        found = []
        for repeat in range(1, self.draws.repeats + 1):
            block = [self._run(scenario, cell, repeat) for scenario in self.scenarios.scenarios for cell in CELLS]
            found += [run for _, run in sorted(block, key=lambda each: each[0])]
        return tuple(found)

    def session(self, run: Run) -> Plan:
        """The session of the model that is measured."""
        scenario = self.scenarios.scenario(run.scenario)
        asked = wording.question(self.scenarios, scenario, run.cell, self.briefing, run.repeat)
        said = wording.opening(self.scenarios, run.cell, self.briefing)
        sampling = Sampling(max_tokens=self.draws.max_tokens, temperature=self.draws.temperature, seed=run.seed)
        return self._session(run.session, self.resident, SUBJECT, run, (said, asked, sampling))

    def grading(self, run: Run, answer: str) -> Plan:
        """The session of the grader about one answer; greedy. Its journal's condition names no cell and no model."""
        if self.grader is None:
            raise InputError(f"the plan {self.id} has no grader")
        scenario = self.scenarios.scenario(run.scenario)
        answered = grader.Answered(run.session, self.resident, answer)
        asked = grader.question(self.scenarios, scenario, self.briefing, answered)
        sampling = Sampling(max_tokens=GRADER_TOKENS, temperature=0.0, seed=0)
        said = self.scenarios.grader.opening.format()
        return self._session(self.grading_id(run), self.grader, GRADER, run, (said, asked, sampling))

    def grading_id(self, run: Run) -> str:
        """The id of the grader's session about a run."""
        return self._name("g", run.scenario, run.cell, run.repeat)

    def _run(self, scenario: Scenario, cell: Cell, repeat: int) -> tuple[str, Run]:
        key = json.dumps([self.draws.seed, scenario.id, cell.id, repeat])
        digest = hashlib.sha256(key.encode()).hexdigest()
        name = self._name("s", scenario.id, cell, repeat)
        return digest, Run(name, scenario.id, cell, repeat, int(digest[:7], 16))

    def _name(self, kind: str, scenario: str, cell: Cell, repeat: int) -> str:
        return f"{self.resident}-{kind}{self.digest[:8]}-{scenario}-{cell.code}-{repeat}"

    def _session(self, name: str, resident: str, role: str, run: Run, said: tuple[str, str, Sampling]) -> Plan:
        told, asked, sampling = said
        condition: dict[str, Any] = {"plan": self.id, "role": role, "scenario": run.scenario, "repeat": run.repeat}
        if role == SUBJECT:
            levels = {
                "commitments": "disclosed" if run.cell.commitments else "withheld",
                "channel": "open" if run.cell.channel else "closed",
            }
            condition = {"id": run.cell.id, "levels": levels, **condition}
        set_ = self.scenarios
        return Plan(
            session=name,
            resident=resident,
            purpose="safety",
            condition=condition,
            protocol={"id": set_.id, "version": set_.version, "sha256": set_.sha256},
            briefing=self.briefing.as_dict(),
            opening=told,
            turns=(Turn(1, run.scenario, asked),),
            depth=1,
            sampling=sampling,
        )
