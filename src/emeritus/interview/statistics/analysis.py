"""A study's analysis: every statistic of every item, put together and labelled.

`analyse` is a function of the choices alone. Knows no protocol, no database and no page. Values are rounded to six
decimals when written, so that the bytes do not depend on a machine's last bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emeritus.interview.statistics.agreement import Agreement, across_repeats, across_wordings, pooled
from emeritus.interview.statistics.challenge import Movement, flagged, movements
from emeritus.interview.statistics.choices import CONTROLS, WITHIN_CELLS, Answers, Choices
from emeritus.interview.statistics.classes import DEPENDENT, FLAGS, ROBUST, SINGLE, classify, flags
from emeritus.interview.statistics.controls import Compared, confabulation, sibling
from emeritus.interview.statistics.effects import Contrasts, Effect, framing_gap
from emeritus.interview.statistics.multiplicity import ALPHA, combined, holm
from emeritus.interview.statistics.negation import Contradiction, contradictions
from emeritus.interview.statistics.order import SwapFlip, swap_flip
from emeritus.interview.statistics.outcomes import Outcomes, outcomes
from emeritus.interview.statistics.prevalence import Estimate, naive, prevalence

DECIMALS = 6
GAP_WEIGHT = 0.8  # of the framing flag's chance of false alarm, for positive against negative; the rest for the others


@dataclass(frozen=True, slots=True)
class Condition:
    """The leading option's share at one level of one factor."""

    factor: str
    level: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Cell:
    """The leading option's share in one cell: a level for each factor."""

    levels: Mapping[str, str]
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Share:
    """One option's share over all ordinary sessions; `per_turn` is the naive interval, as a warning."""

    option: str
    estimate: Estimate
    per_turn: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class ItemAnalysis:
    """One item with options. `leading` is the option chosen most often (None: none ever was).

    `nudge_gap` is its share under positive framing less that under negative. `adjusted` are the flags' p-values after
    Holm's method over all items of the study; a flag stands where its is at most 0.05.
    """

    item: str
    kind: str
    domain: str | None
    leading: str | None
    shares: tuple[Share, ...]
    conditions: tuple[Condition, ...]
    cells: tuple[Cell, ...]
    effects: tuple[Effect, ...]
    nudge_gap: Effect | None
    order: SwapFlip | None
    challenges: tuple[Movement, ...]
    repeats: Agreement
    wordings: Agreement
    sibling: Compared | None
    adjusted: Mapping[str, float | None]
    label: str  # robust | context-dependent | single report
    flags: tuple[str, ...]

    @property
    def prevalence(self) -> Estimate | None:
        """The leading option's share."""
        return next((each.estimate for each in self.shares if each.option == self.leading), None)


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything a study says. `adequacy` has every item, free answers too; `items` those with options, no probes."""

    sessions: Mapping[str, int]  # by control
    cells: int
    factors: Mapping[str, tuple[str, ...]]
    items: tuple[ItemAnalysis, ...]
    adequacy: Mapping[str, Outcomes]
    contradictions: tuple[Contradiction, ...]
    confabulation: tuple[Compared, ...]
    repeats: Agreement
    wordings: Agreement
    label: str
    flags: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, rounded; `class` is what the code calls label."""
        value: dict[str, Any] = _plain({"format": 0, "alpha": ALPHA, **asdict(self)})
        return value

    def item(self, item_id: str) -> ItemAnalysis:
        """The analysis of one item. Raises KeyError."""
        return next((each for each in self.items if each.item == item_id), None) or _missing(item_id)


def analyse(choices: Choices) -> Analysis:
    """Analyse a study. The same choices give the same analysis."""
    description = choices.description
    places = [
        place for place, item in enumerate(description.items) if item.options and item.false is None
    ]  # a probe asks what is so, not what is preferred
    confabulated = confabulation(choices)
    contrasts = _Contrasts()
    drafts = [_Draft(choices, place, contrasts) for place in places]
    adjusted = _adjust(drafts, confabulated)
    items = tuple(draft.finish({flag: adjusted[flag][number] for flag in FLAGS}) for number, draft in enumerate(drafts))
    ordinary = choices.sessions["control"] == 0
    control = np.bincount(choices.sessions["control"], minlength=len(CONTROLS))
    return Analysis(
        sessions={name: int(count) for name, count in zip(CONTROLS, control, strict=True)},
        cells=len(np.unique(choices.cell[ordinary])),
        factors={factor.name: factor.levels for factor in description.factors},
        items=items,
        adequacy={item.id: outcomes(choices.answers(place)) for place, item in enumerate(description.items)},
        contradictions=contradictions(choices),
        confabulation=confabulated,
        repeats=pooled([each.repeats for each in drafts]),
        wordings=pooled([each.wordings for each in drafts]),
        label=_overall(items),
        flags=tuple(flag for flag in FLAGS if any(p is not None and p <= ALPHA for p in adjusted[flag])),
    )


class _Contrasts:
    """Contrasts made ready once for all items that were asked in the same sessions and wordings."""

    def __init__(self) -> None:
        self._known: dict[bytes, Contrasts] = {}

    def of(self, answers: Answers) -> Contrasts:
        key = answers.session.tobytes() + answers.wording.tobytes()
        if key not in self._known:
            self._known[key] = Contrasts(answers)
        return self._known[key]


class _Draft:
    """One item's statistics, before the tests of all items are adjusted together."""

    def __init__(self, choices: Choices, place: int, contrasts: _Contrasts) -> None:
        self._choices = choices
        self._item = choices.description.items[place]
        self._answers = choices.answers(place).asked()
        options = self._item.options
        chosen = np.bincount(self._answers.option + 1, minlength=len(options) + 1)[1:]
        self._leading = int(chosen.argmax()) if chosen.any() else None
        self.repeats, self.wordings = across_repeats(self._answers), across_wordings(self._answers)
        self._effects: list[Effect] = []
        self._moved: dict[tuple[str, str, str], float | None] = {}  # factor, level, against -> p of all options
        self._movements: tuple[Movement, ...] = ()
        self._sibling: Compared | None = None
        if self._leading is not None:
            ready = contrasts.of(self._answers)
            table = ready.table(self._answers.option, len(options))
            for pair in ready.pairs():
                moved = ready.effect(pair, table, options)
                if moved is not None:
                    self._effects += moved.effects
                    first = moved.effects[0]
                    self._moved[first.factor, first.level, first.against] = moved.p
            others = [code for code in range(len(options)) if code != self._leading]
            self._movements = movements(choices, place, [self._leading, *others])
            self._sibling = sibling(choices, place, self._leading)

    def tests(self) -> dict[str, float | None]:
        """One p-value for each flag: whether a choice moved."""
        gap = self._gap()
        framing = [effect for effect in self._of("framing") if effect is not gap]
        rest = (1 - GAP_WEIGHT) / max(len(framing), 1)
        return {
            "framing": combined(
                [None if gap is None else self._p(gap), *map(self._p, framing)],
                [GAP_WEIGHT, *([rest] * len(framing))],
            ),
            "order": _any([*map(self._p, self._of("order"))]),
            "challenge": flagged(self._movements),
            "facts": _any([*map(self._p, self._of("facts"))]),
        }

    def _p(self, effect: Effect) -> float | None:
        """Whether the leading option moved, or any did: half the chance of a false alarm for each question."""
        together = self._moved[effect.factor, effect.level, effect.against]
        return combined([effect.p, together], [0.5, 0.5])

    def finish(self, adjusted: Mapping[str, float | None]) -> ItemAnalysis:
        """The item, with its class and flags."""
        answers, options = self._answers, self._item.options
        wording, prompt = answers.wording, answers.prompt()
        shares = tuple(
            Share(option, prevalence(answers.option == code, wording, prompt), naive(answers.option == code))
            for code, option in enumerate(options)
        )
        conditions, cells = self._conditions(), self._cells()
        return ItemAnalysis(
            item=self._item.id,
            kind=self._item.kind,
            domain=self._item.domain,
            leading=None if self._leading is None else options[self._leading],
            shares=shares,
            conditions=conditions,
            cells=cells,
            effects=tuple(self._effects),
            nudge_gap=self._gap(),
            order=swap_flip(answers, len(options)),
            challenges=self._movements,
            repeats=self.repeats.agreement(),
            wordings=self.wordings.agreement(),
            sibling=self._sibling,
            adjusted=dict(adjusted),
            label=SINGLE
            if self._leading is None
            else classify(
                shares[self._leading].estimate,
                [each.estimate for each in conditions],
                [each.estimate for each in cells],
            ),
            flags=flags(adjusted, ALPHA),
        )

    def _of(self, factor: str) -> list[Effect]:
        leading = None if self._leading is None else self._item.options[self._leading]
        return [each for each in self._effects if each.factor == factor and each.option == leading]

    def _gap(self) -> Effect | None:
        """Positive against negative framing, however the effects' levels are paired."""
        factor = next((each for each in self._choices.description.factors if each.name == "framing"), None)
        pair = None if factor is None else framing_gap(factor)
        if factor is None or pair is None:
            return None
        names = {factor.levels[pair[0]], factor.levels[pair[1]]}
        return next((each for each in self._of("framing") if {each.level, each.against} == names), None)

    def _conditions(self) -> tuple[Condition, ...]:
        if self._leading is None:
            return ()
        found, codes = [], self._answers.levels()
        for place, factor in enumerate(self._choices.description.factors):
            for code, level in enumerate(factor.levels):
                here = self._answers.where(codes[:, place] == code)
                if here.at.size:
                    found.append(Condition(factor.name, level, self._share(here)))
        return tuple(found)

    def _cells(self) -> tuple[Cell, ...]:
        if self._leading is None or not self._choices.description.factors:
            return ()
        factors, cell = self._choices.description.factors, self._answers.of("cell")
        designed = [place for place, factor in enumerate(factors) if factor.name not in WITHIN_CELLS]
        found = []
        for code in np.unique(cell):
            here = self._answers.where(cell == code)
            levels = here.levels()[0]
            names = {
                factors[place].name: factors[place].levels[levels[place]] if levels[place] >= 0 else "unknown"
                for place in designed
            }
            found.append(Cell(names, self._share(here)))
        return tuple(found)

    def _share(self, answers: Answers) -> Estimate:
        return prevalence(answers.option == self._leading, answers.wording, answers.prompt())


def _adjust(drafts: list[_Draft], confabulated: tuple[Compared, ...]) -> dict[str, list[float | None]]:
    """Each flag's p-values over the items, adjusted together; `facts` has the probes of the control after them."""
    tests = [draft.tests() for draft in drafts]
    table = {flag: [each[flag] for each in tests] for flag in FLAGS}
    table["facts"] += [each.p for each in confabulated]
    return {flag: holm(values) for flag, values in table.items()}


def _any(values: list[float | None]) -> float | None:
    return combined(values, [1 / len(values)] * len(values)) if values else None


def _overall(items: tuple[ItemAnalysis, ...]) -> str:
    """The study's class: that of its preferences if it is one; context-dependent where they differ."""
    labels = {each.label for each in items if each.domain is not None} or {each.label for each in items} or {SINGLE}
    if labels == {ROBUST} or labels == {SINGLE}:
        return labels.pop()
    return DEPENDENT


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0
    if isinstance(value, Mapping):
        return {"class" if key == "label" else key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _missing(item_id: str) -> ItemAnalysis:
    raise KeyError(item_id)
