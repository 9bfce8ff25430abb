"""A study: which sessions are held under which conditions, in which wording, how often, and in which order.

Pure and reproducible byte for byte: the same protocol, residents, numbers and seed give the same plan everywhere. Its
canonical JSON is logged before the first session. Knows no journal, no engine and no database.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from emeritus.acts import canonical
from emeritus.errors import InputError, IntegrityError
from emeritus.interview.protocols.cells import Cell, Form, cell_of
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.protocols.schema import Factor, Order
from emeritus.interview.sessions.interviewer import SCRIPTED, Interviewer
from emeritus.interview.sessions.planning import Place, plan_session
from emeritus.interview.sessions.prompts import Briefing
from emeritus.interview.sessions.session import Plan
from emeritus.interview.studies import design

FORMAT = 0
REPEATS = 10  # at the default temperature, unless more or fewer are asked for
MAX_REPEATS = 1000
MAX_SESSIONS = 100_000
ORDERS: tuple[Order, Order] = ("as written", "reversed")
NOT_DESIGNED = {
    "temperature": "every cell gets one run at temperature 0 beside its repeats",
    "order": "the order alternates within every cell",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a study asks, and what is true of its retirement."""

    name: str
    briefing: Briefing


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a study is to be. `factors` None: all of the protocol's that a plan can vary. `control`: with controls."""

    subject: Subject
    cells: int
    repeats: int = REPEATS
    factors: tuple[str, ...] | None = None
    seed: int = 0
    sibling: Subject | None = None
    control: bool = True
    interviewer: Interviewer = SCRIPTED


@dataclass(frozen=True, slots=True)
class Planned:
    """One session of a study. `repeat` counts from 1; 0 is the cell's run at temperature 0. `cell` is its id."""

    session: str
    resident: str
    cell: str
    wording: int
    order: Order
    repeat: int
    control: str | None = None
    seed: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As the plan's JSON has it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Study:
    """A study as planned. `sessions` stand in the order they are held: chance decides it, so that time tells nothing.

    `cells` are in the design's order, the first being the baseline; `briefings` are what each resident is told from.
    """

    resident: str
    protocol: Mapping[str, str]  # id, version, sha256
    seed: int
    repeats: int
    factors: tuple[str, ...]
    cells: tuple[Cell, ...]
    sibling: str | None
    interviewer: Interviewer
    briefings: Mapping[str, Briefing]
    sessions: tuple[Planned, ...]
    id: str = field(default="")

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON; `canonical` of it is what is logged."""
        return {
            "format": FORMAT,
            "resident": self.resident,
            "protocol": dict(self.protocol),
            "seed": self.seed,
            "repeats": self.repeats,
            "factors": list(self.factors),
            "cells": [{"id": cell.id, "levels": dict(cell.levels)} for cell in self.cells],
            "sibling": self.sibling,
            "interviewer": self.interviewer.as_dict(),
            "briefings": {name: each.as_dict() for name, each in self.briefings.items()},
            "sessions": [each.as_dict() for each in self.sessions],
            "id": self.id,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Study:
        """The study a logged plan states. Raises IntegrityError for a format this version does not read."""
        if value.get("format") != FORMAT:
            raise IntegrityError(f"the study's plan is of format {value.get('format')!r}; this version reads {FORMAT}")
        return cls(
            resident=value["resident"],
            protocol=value["protocol"],
            seed=value["seed"],
            repeats=value["repeats"],
            factors=tuple(value["factors"]),
            cells=tuple(Cell(each["id"], each["levels"]) for each in value["cells"]),
            sibling=value["sibling"],
            interviewer=Interviewer.from_dict(value["interviewer"]),
            briefings={name: Briefing.from_dict(each) for name, each in value["briefings"].items()},
            sessions=tuple(Planned(**each) for each in value["sessions"]),
            id=value["id"],
        )

    def session(self, session_id: str) -> Planned:
        """The planned session of that id. Raises InputError."""
        for each in self.sessions:
            if each.session == session_id:
                return each
        raise InputError(f"the study {self.id} plans no session {session_id!r}")

    def plan(self, protocol: Protocol, planned: Planned) -> Plan:
        """The session as it is held. Raises InputError for another protocol than the study's."""
        if protocol.sha256 != self.protocol["sha256"]:
            raise InputError(f"the study {self.id} was planned for another protocol")
        cell = next(cell for cell in self.cells if cell.id == planned.cell)
        cold = planned.repeat == 0
        form = Form(_as_held(protocol, cell, planned.order, cold), planned.wording, planned.order, planned.control)
        place = Place(
            planned.session,
            planned.resident,
            planned.repeat,
            self.id,
            self.interviewer,
            0.0 if cold else None,
            planned.seed,
        )
        return plan_session(protocol, self.briefings[planned.resident], form, place)


def plan_study(protocol: Protocol, wanted: Wanted) -> Study:
    """Plan a study: cells by a balanced fractional factorial, wordings and orders balanced over cells and repeats.

    Controls: the sibling is asked the same sessions; where the protocol has false facts, as many sessions as a cell has
    repeats are asked under the baseline with those. Raises InputError for what cannot be planned.
    """
    _check(wanted)
    wanted = wanted if wanted.control else replace(wanted, sibling=None)
    factors = chosen_factors(protocol, wanted.factors)
    levels: dict[str, int] = {factor.name: len(factor.levels) for factor in factors}
    everything = design.combinations_of(levels)
    if wanted.cells >= everything and len(factors) > 1:
        raise InputError(
            f"{wanted.cells} cells would be all {everything} combinations of {', '.join(levels)}",
            remedy=f"A study asks under a part of them: {design.fewest(levels)} to {everything - 1} cells.",
        )
    rows = design.design(levels, wanted.cells, wanted.seed)
    cells = tuple(
        cell_of(protocol.factors, {factor.name: factor.levels[row[factor.name]].id for factor in factors}, number)
        for number, row in enumerate(rows, start=1)
    )
    study = Study(
        resident=wanted.subject.name,
        protocol={"id": protocol.id, "version": protocol.version, "sha256": protocol.sha256},
        seed=wanted.seed,
        repeats=wanted.repeats,
        factors=tuple(factor.name for factor in factors),
        cells=cells,
        sibling=None if wanted.sibling is None else wanted.sibling.name,
        interviewer=wanted.interviewer,
        briefings={each.name: each.briefing for each in (wanted.subject, wanted.sibling) if each is not None},
        sessions=tuple(_sessions(protocol, wanted, cells)),
    )
    if len(study.sessions) > MAX_SESSIONS:
        raise InputError(f"{len(study.sessions)} sessions; a study has at most {MAX_SESSIONS}")
    return _named(study)


def chosen_factors(protocol: Protocol, names: Sequence[str] | None) -> list[Factor]:
    """The factors a plan varies, in the protocol's order. Raises InputError naming what there is."""
    known = {factor.name: factor for factor in protocol.factors}
    able: list[str] = [name for name in known if name not in NOT_DESIGNED]
    for name in names if names is not None else able:
        if name in NOT_DESIGNED:
            raise InputError(f"{name!r} is not a factor to choose: {NOT_DESIGNED[name]}")
        if name not in able:
            raise InputError(f"the protocol {protocol.id} has no factor {name!r}; it has {', '.join(able) or 'none'}")
    wanted = set(able if names is None else names)
    if not wanted:
        raise InputError(f"the protocol {protocol.id} has no factor that could be varied")
    return [known[cast("Any", name)] for name in able if name in wanted]


def wordings_of(protocol: Protocol) -> int:
    """How many wordings an interview can be held in: those of the item that has most."""
    return max(len(item.texts) for item in protocol.items)


def _check(wanted: Wanted) -> None:
    for subject in (wanted.subject, wanted.sibling):
        if subject is not None and _NAME.fullmatch(subject.name) is None:
            raise InputError(f"{subject.name!r} is no resident's name")
    if not 1 <= wanted.repeats <= MAX_REPEATS:
        raise InputError(f"a cell has 1 to {MAX_REPEATS} repeats, not {wanted.repeats}")
    if not 0 <= wanted.seed < 1 << 31:
        raise InputError("a seed lies between 0 and 2147483647")
    if wanted.sibling is not None and wanted.sibling.name == wanted.subject.name:
        raise InputError("a sibling is another resident")
    if wanted.interviewer.check().kind == "person":
        raise InputError("a person asks turn by turn", remedy="`emeritus interview ask NAME` opens such a session.")


def _sessions(protocol: Protocol, wanted: Wanted, cells: Sequence[Cell]) -> Iterator[Planned]:
    """Every session, unnamed: its id, seed and place in the order come with the study's own id.

    (wording, order) pairs go round in a fixed cycle over all slots, so that any of them comes as often as any other, in
    a cell and over all; the cycle is such that neither order nor wording goes with the other.
    """
    pairs = _cycle(wordings_of(protocol), wanted.seed)
    by_chance = {cell.id: cell for cell in cells}
    slot = 0
    for cell_id in design.order(f"{wanted.seed}:cells", list(by_chance)):
        for repeat in range(1, wanted.repeats + 1):
            wording, order = pairs[slot % len(pairs)]
            yield from _asked(wanted, Planned("", wanted.subject.name, cell_id, wording, order, repeat))
            slot += 1
    for place, cell_id in enumerate(design.order(f"{wanted.seed}:cold", list(by_chance))):
        wording, order = pairs[place % len(pairs)]
        yield from _asked(wanted, Planned("", wanted.subject.name, cell_id, wording, order, 0))
    if wanted.control and any(control.kind == "false facts" for control in protocol.controls):
        for repeat in range(1, wanted.repeats + 1):
            wording, order = pairs[repeat % len(pairs)]
            yield Planned("", wanted.subject.name, cells[0].id, wording, order, repeat, "false facts")


def _asked(wanted: Wanted, planned: Planned) -> Iterator[Planned]:
    """The session, and the sibling's."""
    yield planned
    if wanted.sibling is not None:
        yield replace(planned, resident=wanted.sibling.name, control="sibling")


def _cycle(wordings: int, seed: int) -> list[tuple[int, Order]]:
    """Every wording in both orders: the orders alternate, and the second round has each wording in the other order."""
    names = [int(each) for each in design.order(f"{seed}:wordings", [str(each) for each in range(wordings)])]
    return [(names[place], ORDERS[(place + half) % 2]) for half in range(2) for place in range(wordings)]


def _named(study: Study) -> Study:
    """The study with its id, its sessions named, seeded, and in the order they are held."""
    bare = canonical({**study.as_dict(), "id": None})
    suffix = hashlib.sha256(bare).hexdigest()[:8]
    named = []
    for each in study.sessions:
        which = "t0" if each.repeat == 0 else f"f{each.repeat}" if each.control == "false facts" else str(each.repeat)
        session = f"{each.resident}-{suffix}-{each.cell}-{which}"
        seed = None if each.repeat == 0 else int(hashlib.sha256(session.encode()).hexdigest()[:7], 16)
        named.append(replace(each, session=session, seed=seed))
    by_id = {each.session: each for each in named}
    if len(by_id) < len(named):
        raise InputError("two cells of the study have the same name: levels of different factors share an id")
    held = tuple(by_id[name] for name in design.order(f"{study.seed}:held", list(by_id)))
    return replace(study, id=f"{study.resident}-{suffix}", sessions=held)


def _as_held(protocol: Protocol, cell: Cell, order: Order, cold: bool) -> Cell:
    """The cell, its levels saying also what the plan varies by itself, where the protocol has a name for it."""
    levels = dict(cell.levels)
    for factor in protocol.factors:
        for level in factor.levels:
            if (factor.name == "order" and level.order == order) or (
                factor.name == "temperature" and cold and level.temperature == 0
            ):
                levels[factor.name] = level.id
    return Cell(cell.id, levels)
