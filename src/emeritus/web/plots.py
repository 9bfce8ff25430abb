"""Plots of shares with their intervals, and of what came of each item: plain numbers that a template writes. Pure.

One drawing serves wide and narrow screens: a row's words stand above its line. Under each plot the page has the table
it was drawn from, so nothing is said by a picture alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_WIDTH = 350.0
_PAD = 8.0  # left and right of the scale
_ROW = 34.0
_HEAD = 22.0  # the scale's numbers
_LINE = 22.0  # of a row's line below its top


@dataclass(frozen=True, slots=True)
class Row:
    """One estimate to be drawn: in the units of the scale; None where there is nothing to draw."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    thin: tuple[float, float] | None = None  # the naive interval, beside the other
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A row as drawn: its words at (0, text_y), its line at y from x1 to x2, its point at x."""

    label: str
    text_y: float
    y: float
    x: float
    x1: float
    x2: float
    thin: tuple[float, float] | None
    strong: bool
    said: str  # the row in words, for who points at it


@dataclass(frozen=True, slots=True)
class Tick:
    """A number on the scale. `reference`: the line that a reading starts from."""

    x: float
    text: str
    reference: bool


@dataclass(frozen=True, slots=True)
class Forest:
    """Estimates one below the other on one scale."""

    width: float
    height: float
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar."""

    x: float
    width: float
    outcome: str
    count: int


@dataclass(frozen=True, slots=True)
class Bar:
    """An item and what came of it."""

    label: str
    text_y: float
    y: float
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of equal length, one below the other."""

    width: float
    height: float
    bars: tuple[Bar, ...]
    outcomes: tuple[str, ...]  # those that occur, in order
    summary: str


SHARE = ((0.0, 0.25, 0.5, 0.75, 1.0), 0.5)
DIFFERENCE = ((-1.0, -0.5, 0.0, 0.5, 1.0), 0.0)


def forest(rows: Sequence[Row], scale: tuple[Sequence[float], float], what: str) -> Forest | None:
    """The rows that have a value, in order; None without any. `scale`: its numbers, and the one to start from."""
    numbers, reference = scale
    drawn = [row for row in rows if row.value is not None]
    if not drawn:
        return None

    def x(value: float) -> float:
        share = (value - numbers[0]) / (numbers[-1] - numbers[0])
        return round(_PAD + min(max(share, 0.0), 1.0) * (_WIDTH - 2 * _PAD), 2)

    marks = []
    for place, row in enumerate(drawn):
        top, value = _HEAD + place * _ROW, row.value or 0.0
        low, high = (value if each is None else each for each in (row.low, row.high))
        thin = None if row.thin is None else (x(row.thin[0]), x(row.thin[1]))
        said = f"{row.label}: {value:.2f}"
        if row.low is not None and row.high is not None:
            said += f", interval {row.low:.2f} to {row.high:.2f}"
        marks.append(Mark(row.label, top + 12, top + _LINE, x(value), x(low), x(high), thin, row.strong, said))
    return Forest(
        _WIDTH,
        _HEAD + _ROW * len(drawn),
        tuple(marks),
        tuple(Tick(x(each), f"{each:g}", each == reference) for each in numbers),
        f"{what}. {'; '.join(mark.said for mark in marks)}.",
    )


def bars(rows: Sequence[tuple[str, Mapping[str, int]]], outcomes: Sequence[str], what: str) -> Bars | None:
    """A bar for each row that counts anything, divided by outcome in the order given; None without any."""
    drawn: list[Bar] = []
    said: list[str] = []
    seen: set[str] = set()
    for label, counts in rows:
        total = sum(counts.values())
        if not total:
            continue
        top, x = _HEAD / 2 + len(drawn) * _ROW, 0.0
        segments: list[Segment] = []
        for outcome in outcomes:
            count = counts.get(outcome, 0)
            if count:
                width = count / total * _WIDTH
                segments.append(Segment(round(x, 2), round(width, 2), outcome, count))
                seen.add(outcome)
                x += width
        drawn.append(Bar(label, top + 10, top + 15, tuple(segments)))
        said.append(f"{label}: " + ", ".join(f"{each.count} {each.outcome}" for each in segments))
    if not drawn:
        return None
    height = _HEAD / 2 + _ROW * len(drawn)
    known = tuple(outcome for outcome in outcomes if outcome in seen)
    return Bars(_WIDTH, height, tuple(drawn), known, f"{what}. {'; '.join(said)}.")
