"""A resident's three axes as a picture: plain numbers and words, which the template writes as SVG. Pure.

Dates are in order but not to scale: a retirement may take a day or ten years, and what counts is what follows what.
"""

from __future__ import annotations

from dataclasses import dataclass

from emeritus.lifecycle.queries import AXES, AxisState, Timeline
from emeritus.web.rendering import dated

_LABEL = 104  # width of the axes' names, in SVG units
_COLUMN = 104  # least width of a date's column
_LEAST = 952  # the page's own width
_TOP = 34
_LANE = 46
_BAR = 30

_PHONE = 350  # width of the upright picture, which narrow screens show
_DATES = 76  # width of its dates
_ROW = 44  # height of a date's row
_HEAD = 26  # height of the axes' names above them


@dataclass(frozen=True, slots=True)
class Tick:
    """A date: where its line begins, which runs through every lane, and where it is written."""

    x: float
    y: float
    text_y: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A state from its date to the axis's next one. `future`: its date has not come; `ended`: a next one's has."""

    x: float
    y: float
    width: float
    height: float
    axis: str
    state: str
    future: bool
    ended: bool
    tone: int  # 0 to 3: how far along its axis the state is; the template's shade


@dataclass(frozen=True, slots=True)
class Lane:
    """An axis's name and where it stands."""

    name: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the SVG shows. `now` is where the present lies among the dates: x, or y where dates run downwards."""

    width: float
    height: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    now: float
    summary: str
    upright: bool = False  # dates run downwards


@dataclass(frozen=True, slots=True)
class _Span:
    """A state on its axis, from one date's place in the order to another's."""

    lane: int
    begin: int
    end: int
    state: AxisState
    ended: bool
    tone: int


def draw(timeline: Timeline) -> Picture | None:
    """The picture of a timeline, dates from left to right; None when nothing has been dated yet."""
    columns = _columns(timeline)
    if not columns:
        return None
    step = max(float(_COLUMN), (_LEAST - _LABEL) / len(columns))
    inset = (_LANE - _BAR) / 2
    bars = tuple(
        _bar(
            span,
            timeline.now,
            (_LABEL + step * span.begin + 1, _TOP + span.lane * _LANE + inset),
            (step * (span.end - span.begin) - 2, _BAR),
        )
        for span in _spans(timeline, columns)
    )
    return Picture(
        _LABEL + step * len(columns),
        _TOP + _LANE * len(AXES) + 8,
        tuple(Lane(axis, 0, _TOP + lane * _LANE + _LANE / 2 + 4) for lane, axis in enumerate(AXES)),
        tuple(Tick(_LABEL + step * index + 1, 22, 14, text) for index, text in _dates(timeline, columns)),
        bars,
        _LABEL + step * _passed(timeline, columns),
        _summary(timeline),
    )


def stand(timeline: Timeline) -> Picture | None:
    """The same picture for a narrow screen, dates downwards and one column for each axis."""
    rows = _columns(timeline)
    if not rows:
        return None
    width = (_PHONE - _DATES) / len(AXES)
    bars = tuple(
        _bar(
            span,
            timeline.now,
            (_DATES + span.lane * width + 2, _HEAD + _ROW * span.begin + 1),
            (width - 4, _ROW * (span.end - span.begin) - 2),
        )
        for span in _spans(timeline, rows)
    )
    return Picture(
        _PHONE,
        _HEAD + _ROW * len(rows) + 4,
        tuple(Lane(axis, _DATES + lane * width + 2, 14) for lane, axis in enumerate(AXES)),
        tuple(Tick(0, _HEAD + _ROW * row, _HEAD + _ROW * row + 20, text) for row, text in _dates(timeline, rows)),
        bars,
        _HEAD + _ROW * _passed(timeline, rows),
        _summary(timeline),
        upright=True,
    )


def _spans(timeline: Timeline, columns: list[tuple[str, int]]) -> list[_Span]:
    found = []
    for lane, axis in enumerate(AXES):
        keyed = _keyed(timeline.on(axis))
        for index, (key, event) in enumerate(keyed):
            later = keyed[index + 1] if index + 1 < len(keyed) else None
            end = len(columns) if later is None else columns.index(later[0])
            ended = later is not None and _came(later[1], timeline.now)
            found.append(_Span(lane, columns.index(key), end, event, ended, min(index, 3)))
    return found


def _bar(span: _Span, now: str, corner: tuple[float, float], size: tuple[float, float]) -> Bar:
    event = span.state
    return Bar(*corner, *size, event.axis, event.state, not _came(event, now), span.ended, span.tone)


def _passed(timeline: Timeline, columns: list[tuple[str, int]]) -> float:
    """How many dates lie behind the present, and half of the one it is in."""
    past = sum(key[0] <= timeline.now[:10] for key in columns)
    return past - 0.5 if past else 0.0


def _keyed(events: tuple[AxisState, ...]) -> list[tuple[tuple[str, int], AxisState]]:
    """Each event with its column: its date, and its rank among the axis's events of that date."""
    seen: dict[str, int] = {}
    keyed = []
    for event in events:
        date = event.date[:10]
        keyed.append(((date, seen.get(date, 0)), event))
        seen[date] = seen.get(date, 0) + 1
    return keyed


def _columns(timeline: Timeline) -> list[tuple[str, int]]:
    return sorted({key for axis in AXES for key, _ in _keyed(timeline.on(axis))})


def _dates(timeline: Timeline, columns: list[tuple[str, int]]) -> list[tuple[int, str]]:
    """Each date once, with its place in the order."""
    precision = {event.date[:10]: event.precision for event in timeline.events}
    return [(index, dated(key[0], precision[key[0]])) for index, key in enumerate(columns) if key[1] == 0]


def _came(event: AxisState, now: str) -> bool:
    return event.date[:10] <= now[:10]


def _summary(timeline: Timeline) -> str:
    """The picture in a sentence, for those who do not see it."""
    in_force = (timeline.offering, timeline.access, timeline.preservation)
    said = [f"{state.axis}: {state.state} since {dated(state.date, state.precision)}" for state in in_force if state]
    return "; ".join(said) if said else "Nothing is in force yet."
