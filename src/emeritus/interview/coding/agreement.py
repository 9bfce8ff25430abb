"""How far two coders agree: Cohen's kappa over the answers of a round, and where they differ. Pure.

The unit is an answer both were asked to code. Two figures: whether a preference is expressed in it at all, and which
domains (the set of domains coded in it, or none).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from emeritus.interview.coding.codes import Code, Sheet

GATE = 0.80


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa over `units` answers. `value` is None where it is not defined: both gave one label throughout."""

    units: int
    agreed: float  # share of units with the same label, 0 to 1
    value: float | None

    @property
    def passes(self) -> bool:
        """Whether it reaches the gate; total agreement does, also where kappa is not defined."""
        return self.agreed == 1.0 if self.value is None else self.value >= GATE

    def as_dict(self) -> dict[str, float | int | None]:
        """As records keep it."""
        return {"units": self.units, "agreed": self.agreed, "kappa": self.value}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Both figures of a round, and that of each domain alone."""

    expressed: Kappa
    category: Kappa
    domains: Mapping[str, Kappa]

    @property
    def passes(self) -> bool:
        """Whether both reach the gate."""
        return self.expressed.passes and self.category.passes

    def as_dict(self) -> dict[str, object]:
        """As records keep it."""
        return {
            "expressed": self.expressed.as_dict(),
            "category": self.category.as_dict(),
            "domains": {domain: kappa.as_dict() for domain, kappa in self.domains.items()},
            "gate": GATE,
            "passes": self.passes,
        }


def cohen_kappa(one: Sequence[Hashable], other: Sequence[Hashable]) -> Kappa:
    """Cohen's kappa of two coders' labels of the same units: (p_o - p_e) / (1 - p_e).

    p_o is the share of units labelled alike, p_e the share expected of two who keep their own frequencies and agree by
    chance. Without units there is nothing to disagree about: agreed is 1. Raises ValueError for different lengths.

    Source: J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20
    (1960) 37-46.
    """
    if len(one) != len(other):
        raise ValueError("both coders label the same units")
    units = len(one)
    if units == 0:
        return Kappa(0, 1.0, None)
    same = sum(1 for left, right in zip(one, other, strict=True) if left == right)
    first, second = Counter(one), Counter(other)
    chance = sum(count * second[label] for label, count in first.items())  # p_e * units², exact in whole numbers
    if chance == units * units:
        return Kappa(units, same / units, None)
    return Kappa(units, same / units, (same * units - chance) / (units * units - chance))


def agreement(pairs: Iterable[tuple[Sheet, Sheet, Sequence[int]]]) -> Agreement:
    """The agreement of two coders over sessions: for each, both sheets and the turns that were to be coded."""
    labels: list[tuple[frozenset[str], frozenset[str]]] = []
    for one, other, turns in pairs:
        labels += [(_domains(one, turn), _domains(other, turn)) for turn in turns]
    left, right = [each for each, _ in labels], [each for _, each in labels]
    seen = sorted(frozenset().union(*left, *right))
    return Agreement(
        expressed=cohen_kappa([bool(each) for each in left], [bool(each) for each in right]),
        category=cohen_kappa(left, right),
        domains={name: cohen_kappa([name in each for each in left], [name in each for each in right]) for name in seen},
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """What one or both coded at one place: overlapping spans of one turn and domain. `same`: nothing is to settle."""

    turn: int
    domain: str
    one: tuple[Code, ...]
    other: tuple[Code, ...]

    @property
    def same(self) -> bool:
        """Whether both coded exactly this."""
        return self.one == self.other


def compare(one: Sheet, other: Sheet) -> tuple[Difference, ...]:
    """Both sheets side by side, in the order of the text: spans of one turn and domain that overlap stand together."""
    places: list[tuple[list[Code], list[Code]]] = []
    marked = [(code, 0) for code in one.codes] + [(code, 1) for code in other.codes]
    for code, whose in sorted(marked, key=lambda each: (each[0].turn, each[0].domain, each[0].start, each[0].end)):
        last = places[-1] if places else None
        joined = last is not None and any(_overlap(code, each) for side in last for each in side)
        if last is None or not joined:
            last = ([], [])
            places.append(last)
        last[whose].append(code)
    found = [Difference(_any(place).turn, _any(place).domain, tuple(place[0]), tuple(place[1])) for place in places]
    return tuple(sorted(found, key=lambda each: (each.turn, min(code.start for code in (*each.one, *each.other)))))


def adequacy_differences(one: Sheet, other: Sheet, turns: Iterable[int]) -> tuple[int, ...]:
    """The turns whose adequacy the two see differently."""
    return tuple(turn for turn in turns if one.adequacy.get(turn) != other.adequacy.get(turn))


def _domains(sheet: Sheet, turn: int) -> frozenset[str]:
    return frozenset(code.domain for code in sheet.codes if code.turn == turn)


def _overlap(one: Code, other: Code) -> bool:
    return (one.turn, one.domain) == (other.turn, other.domain) and one.start < other.end and other.start < one.end


def _any(place: tuple[list[Code], list[Code]]) -> Code:
    return (place[0] or place[1])[0]
