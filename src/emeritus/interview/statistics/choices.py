"""Every answer of a study, one row each, in columns: what the statistics are computed from.

Holds what was asked, under which condition, and what was chosen; no words of an answer. Knows no statistic, no database
and no engine. Rows of one session lie together, in the order they were asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from emeritus.errors import InputError
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.sessions.replies import adequacy, choice
from emeritus.interview.sessions.transcript import Transcript, TranscriptTurn

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Corrections = Mapping[str, Mapping[int, str]]  # session -> turn -> adequacy as its coders corrected it

PHASES = ("asked", "up", "down")  # of a row: the item itself, or its menu again after a challenge
CHOSEN, ADEQUATE, NOT_ASKED = 0, 1, 7
OUTCOMES = ("chosen", "adequate", "invalid", "refused", "skipped", "empty", "cut off", "not asked")
ORDERS = ("as written", "reversed")
MAX_WORDINGS = 1 << 16
CONTROLS = ("none", "sibling", "false facts")
SESSION_COLUMNS = ("repeat", "order", "control")
ROW_COLUMNS = ("session", "turn", "item", "phase", "wording", "outcome", "option")


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that was varied. The first level is the baseline's."""

    name: str
    levels: tuple[str, ...]


ORDER = Factor("order", ORDERS)  # as the options were shown, whatever the protocol calls it
WITHIN_CELLS = (ORDER.name, "temperature")


@dataclass(frozen=True, slots=True)
class Asked:
    """One item as the statistics see it. `options` is empty where the answer is free text."""

    id: str
    kind: str
    section: int = 4
    options: tuple[str, ...] = ()  # in the protocol's order
    domain: str | None = None
    twin: str | None = None  # the item that asks the same, negated
    false: str | None = None  # of a probe: the option that repeats the control's false facts


@dataclass(frozen=True, slots=True)
class Description:
    """What was asked and what was varied, free of any protocol's form."""

    items: tuple[Asked, ...]
    factors: tuple[Factor, ...] = ()

    def item(self, item_id: str) -> int:
        """The place of an item. Raises InputError."""
        for place, item in enumerate(self.items):
            if item.id == item_id:
                return place
        raise InputError(f"no item {item_id!r} was asked")


@dataclass(frozen=True)
class Choices:
    """All rows of a study. S sessions, F factors, N rows; every column is an int32 array.

    Of sessions: `ids` (S names), `levels` (S x F: codes into the factor's levels, -1 where the journal does not say),
    `repeat`, `order` (code into ORDERS), `control` (into CONTROLS).
    Of rows: `session` (0 to S-1), `turn` (from 1), `item`, `phase` (into PHASES), `wording` (which of the item's
    texts), `outcome` (into OUTCOMES), `option` (into the item's options, -1 where nothing was chosen).
    `outcome` is as the coders of a settled round corrected it; `by_rule` holds what the journal alone says there.
    """

    description: Description
    ids: tuple[str, ...]
    levels: Ints
    sessions: Mapping[str, Ints]  # SESSION_COLUMNS
    rows: Mapping[str, Ints]  # ROW_COLUMNS
    by_rule: Mapping[int, int] = field(default_factory=dict)  # row -> its outcome before coders corrected it
    _answers: dict[tuple[int, int], Answers] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises InputError for columns that do not fit together."""
        size, count = len(self.ids), len(self.description.factors)
        if len(set(self.ids)) != size:
            raise InputError("a session stands among the choices twice")
        if self.levels.shape != (size, count):
            raise InputError(f"levels of shape {self.levels.shape} for {size} sessions and {count} factors")
        for name in SESSION_COLUMNS:
            if self.sessions[name].shape != (size,):
                raise InputError(f"the column {name} does not have one value for each of {size} sessions")
        rows = {self.rows[name].shape for name in ROW_COLUMNS}
        if len(rows) != 1 or len(next(iter(rows))) != 1:
            raise InputError("the columns of rows are not of one length")
        _within("session", self.rows["session"], 0, size)
        _within("wording", self.rows["wording"], 0, MAX_WORDINGS)
        _within("item", self.rows["item"], 0, len(self.description.items))
        _within("phase", self.rows["phase"], 0, len(PHASES))
        _within("outcome", self.rows["outcome"], 0, len(OUTCOMES))
        _within("order", self.sessions["order"], 0, len(ORDERS))
        _within("control", self.sessions["control"], 0, len(CONTROLS))
        sizes = np.array([len(item.options) for item in self.description.items] or [0])
        if ((self.rows["option"] >= 0) != (self.rows["outcome"] == CHOSEN)).any():
            raise InputError("a row has an option exactly where one was chosen")
        if (self.rows["option"] >= sizes[self.rows["item"]]).any():
            raise InputError("a row's option is none of its item's")
        places = np.array([*self.by_rule], np.int64)
        _within("by_rule", places, 0, len(self.rows["outcome"]))
        _within("by_rule", np.array([*self.by_rule.values()], np.int64), 0, len(OUTCOMES))
        if (sizes[self.rows["item"][places]] > 0).any():
            raise InputError("only the outcome of an answer in words is corrected")

    @cached_property
    def cell(self) -> Ints:
        """The cell of each session, numbered in the order of its levels' codes.

        Order and temperature vary within every cell of a study, and are no part of it.
        """
        return _numbered(self.levels[:, self._designed])

    @cached_property
    def baseline(self) -> Flags:
        """Which sessions are of the baseline's cell."""
        return np.asarray((self.levels[:, self._designed] == 0).all(axis=1), np.bool_)

    @cached_property
    def _designed(self) -> list[int]:
        return [place for place, factor in enumerate(self.description.factors) if factor.name not in WITHIN_CELLS]

    @cached_property
    def prompt(self) -> Longs:
        """For each row a code of levels, wording, order and control."""
        sessions, count = self.rows["session"], len(CONTROLS)
        levels = _numbered(self.levels)
        of_session = (levels * len(ORDERS) + self.sessions["order"]) * count + self.sessions["control"]
        return of_session.astype(np.int64)[sessions] * MAX_WORDINGS + self.rows["wording"]

    def answers(self, item: int, phase: int = 0) -> Answers:
        """The answers to an item, one a session at most: the first, should there be more."""
        key = (item, phase)
        if key not in self._answers:
            found = np.flatnonzero((self.rows["item"] == item) & (self.rows["phase"] == phase))
            _, first = np.unique(self.rows["session"][found], return_index=True)
            at = found[first]
            self._answers[key] = Answers(self, at, self.rows["session"][at])
        return self._answers[key]

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values, so that anyone can compute an analysis again."""
        return {
            "format": 0,
            "items": [asdict(item) for item in self.description.items],
            "factors": [asdict(factor) for factor in self.description.factors],
            "ids": list(self.ids),
            "levels": self.levels.T.tolist(),
            "sessions": {name: self.sessions[name].tolist() for name in SESSION_COLUMNS},
            "rows": {name: self.rows[name].tolist() for name in ROW_COLUMNS},
            "by_rule": [[row, outcome] for row, outcome in sorted(self.by_rule.items())],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Choices:
        """The choices that `as_dict` wrote. Raises InputError."""
        items = tuple(Asked(**{**each, "options": tuple(each["options"])}) for each in value["items"])
        factors = tuple(Factor(each["name"], tuple(each["levels"])) for each in value["factors"])
        ids = tuple(value["ids"])
        return cls(
            Description(items, factors),
            ids,
            np.array(value["levels"], np.int32).reshape(len(factors), len(ids)).T,
            {name: np.array(value["sessions"][name], np.int32) for name in SESSION_COLUMNS},
            {name: np.array(value["rows"][name], np.int32) for name in ROW_COLUMNS},
            dict(value["by_rule"]),
        )

    @classmethod
    def read(
        cls, transcripts: Iterable[Transcript], protocol: Protocol, corrections: Corrections | None = None
    ) -> Choices:
        """The choices in the transcripts of a protocol's interviews. Raises InputError for a session read twice.

        `corrections` are the adequacies that coders corrected, and hold for answers in words.
        """
        reader = _Reader(describe(protocol), corrections or {})
        for transcript in transcripts:
            reader.read(transcript)
        return reader.choices()

    @classmethod
    def from_json(cls, data: bytes) -> Choices:
        """The choices in a payload."""
        return cls.from_dict(json.loads(data))


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one item: n rows, one for each session in which it stood, in the order of the sessions."""

    choices: Choices
    at: npt.NDArray[np.intp]  # places of the rows
    session: Ints

    @property
    def outcome(self) -> Ints:
        """Codes into OUTCOMES, as coders corrected them."""
        return self.choices.rows["outcome"][self.at]

    def by_rule(self) -> Ints:
        """The same as the journal alone says."""
        found = self.outcome.copy()
        for place in np.flatnonzero(np.isin(self.at, [*self.choices.by_rule])):
            found[place] = self.choices.by_rule[int(self.at[place])]
        return found

    @property
    def option(self) -> Ints:
        """Codes into the item's options; -1 where nothing was chosen."""
        return self.choices.rows["option"][self.at]

    def of(self, name: str) -> Ints:
        """A column of the sessions these answers stand in: one of SESSION_COLUMNS, or `cell`."""
        if name == "cell":
            return self.choices.cell[self.session]
        return self.choices.sessions[name][self.session]

    @property
    def wording(self) -> Ints:
        """Which of the item's texts was used."""
        return self.choices.rows["wording"][self.at]

    def prompt(self) -> Longs:
        """A code of the exact words each answer was given to: equal where levels, wording, order and control are.

        They are repeats of one draw where the model is deterministic, so they are never counted as more.
        """
        return self.choices.prompt[self.at]

    def levels(self) -> Ints:
        """The level codes (n x F)."""
        return self.choices.levels[self.session]

    def where(self, wanted: Flags) -> Answers:
        """Only those answers."""
        return Answers(self.choices, self.at[wanted], self.session[wanted])

    def asked(self, control: int = 0) -> Answers:
        """Only those that were asked, in sessions of that control (0: ordinary ones)."""
        return self.where((self.outcome != NOT_ASKED) & (self.of("control") == control))


def describe(protocol: Protocol) -> Description:
    """A protocol as the statistics see it. A challenge is no item of its own: it asks its target again."""
    probes = {probe for control in protocol.controls for probe in control.probes}
    items = tuple(
        Asked(
            item.id,
            item.kind,
            item.section,
            tuple(option.id for option in item.options),
            item.domain,
            None if item.negated else item.twin,
            next((option.id for option in item.options if option.false), None) if item.id in probes else None,
        )
        for item in protocol.items
        if item.kind != "challenge"
    )
    factors = [Factor(each.name, tuple(level.id for level in each.levels)) for each in protocol.factors]
    kept = tuple(factor for factor in factors if factor.name != ORDER.name)
    return Description(items, (*kept, ORDER))


def _numbered(levels: Ints) -> Ints:
    if levels.size == 0:
        return np.zeros(len(levels), np.int32)
    return np.unique(levels, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)


class _Reader:
    """Collects the rows of transcripts, one at a time: none is held longer than it takes to read it."""

    def __init__(self, description: Description, corrections: Corrections) -> None:
        self._description = description
        self._corrections = corrections
        self._by_rule: dict[int, int] = {}
        self._places = {item.id: place for place, item in enumerate(description.items)}
        self._options = [{each: code for code, each in enumerate(item.options)} for item in description.items]
        self._codes = [{each: code for code, each in enumerate(factor.levels)} for factor in description.factors]
        self._ids: list[str] = []
        self._levels: list[list[int]] = []
        self._sessions: list[tuple[int, ...]] = []
        self._rows: list[tuple[int, ...]] = []

    def read(self, transcript: Transcript) -> None:
        condition = transcript.condition
        levels = {**condition.get("levels", {}), ORDER.name: condition.get("order", ORDERS[0])}
        self._levels.append(
            [
                codes.get(levels.get(factor.name, factor.levels[0]), -1)
                for factor, codes in zip(self._description.factors, self._codes, strict=True)
            ]
        )
        self._sessions.append(
            (
                int(condition.get("repeat", 1)),
                ORDERS.index(levels[ORDER.name]),
                CONTROLS.index(condition.get("control") or CONTROLS[0]),
            )
        )
        corrected = self._corrections.get(transcript.session, {})
        for turn in transcript.turns:
            self._read(len(self._ids), turn, corrected.get(turn.turn))
        self._ids.append(transcript.session)

    def _read(self, session: int, turn: TranscriptTurn, corrected: str | None) -> None:
        challenged = turn.kind == "challenge" and turn.target is not None
        place = self._places.get(str(turn.target) if challenged else turn.item)
        if place is None or turn.kind == "follow-up":
            return  # added as the session went: no other session was asked it
        option, outcome = -1, ""
        if turn.options:
            outcome, chosen = choice(turn.answer, turn.options, turn.answered, turn.finish_reason)
            if chosen is not None:
                option = self._options[place].get(chosen, -1)
        else:
            by_rule = adequacy(turn.answer, turn.answered, turn.finish_reason)
            outcome = corrected or by_rule
            if outcome != by_rule:
                self._by_rule[len(self._rows)] = OUTCOMES.index(by_rule)
        phase = PHASES.index(turn.direction or "") if challenged else 0
        self._rows.append((session, turn.turn, place, phase, turn.wording, OUTCOMES.index(outcome), option))

    def choices(self) -> Choices:
        """All that was read."""
        rows = np.array(self._rows, np.int32).reshape(-1, len(ROW_COLUMNS))
        sessions = np.array(self._sessions, np.int32).reshape(-1, len(SESSION_COLUMNS))
        return Choices(
            self._description,
            tuple(self._ids),
            np.array(self._levels, np.int32).reshape(len(self._ids), len(self._description.factors)),
            {name: np.ascontiguousarray(sessions[:, place]) for place, name in enumerate(SESSION_COLUMNS)},
            {name: np.ascontiguousarray(rows[:, place]) for place, name in enumerate(ROW_COLUMNS)},
            self._by_rule,
        )


def _within(name: str, column: npt.NDArray[np.integer], low: int, high: int) -> None:
    if column.size and (column.min() < low or column.max() >= high):
        raise InputError(f"the column {name} holds a value outside {low} to {high - 1}")


def columns(names: Sequence[str], values: Sequence[Sequence[int]]) -> dict[str, Ints]:
    """Named int32 columns from sequences."""
    return {name: np.array(each, np.int32) for name, each in zip(names, values, strict=True)}
