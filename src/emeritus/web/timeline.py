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


@dataclass(frozen=True, slots=True)
class Tick:
    """A date on the top edge."""

    x: float
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
    y: float


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the SVG shows. `now_x` is where the present lies among the dates."""

    width: float
    height: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    now_x: float
    summary: str


def draw(timeline: Timeline) -> Picture | None:
    """The picture of a timeline; None when nothing has been dated yet."""
    columns = _columns(timeline)
    if not columns:
        return None
    step = max(float(_COLUMN), (_LEAST - _LABEL) / len(columns))
    right = _LABEL + step * len(columns)
    x = {key: _LABEL + step * index for index, key in enumerate(columns)}
    bars: list[Bar] = []
    for lane, axis in enumerate(AXES):
        keyed = _keyed(timeline.on(axis))
        for index, (key, event) in enumerate(keyed):
            end = x[keyed[index + 1][0]] if index + 1 < len(keyed) else right
            next_came = index + 1 < len(keyed) and _came(keyed[index + 1][1], timeline.now)
            bars.append(
                Bar(
                    x[key] + 1,
                    _TOP + lane * _LANE + (_LANE - _BAR) / 2,
                    end - x[key] - 2,
                    _BAR,
                    axis,
                    event.state,
                    not _came(event, timeline.now),
                    next_came,
                    min(index, 3),
                )
            )
    past = [key for key in columns if key[0] <= timeline.now[:10]]
    now_x = x[past[-1]] + step / 2 if past else _LABEL
    lanes = tuple(Lane(axis, _TOP + lane * _LANE + _LANE / 2) for lane, axis in enumerate(AXES))
    return Picture(
        right, _TOP + _LANE * len(AXES) + 8, lanes, _ticks(timeline, columns, x), tuple(bars), now_x, _summary(timeline)
    )


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


def _ticks(timeline: Timeline, columns: list[tuple[str, int]], x: dict[tuple[str, int], float]) -> tuple[Tick, ...]:
    precision = {event.date[:10]: event.precision for event in timeline.events}
    return tuple(Tick(x[key] + 1, dated(key[0], precision[key[0]])) for key in columns if key[1] == 0)


def _came(event: AxisState, now: str) -> bool:
    return event.date[:10] <= now[:10]


def _summary(timeline: Timeline) -> str:
    """The picture in a sentence, for those who do not see it."""
    in_force = (timeline.offering, timeline.access, timeline.preservation)
    said = [f"{state.axis}: {state.state} since {dated(state.date, state.precision)}" for state in in_force if state]
    return "; ".join(said) if said else "Nothing is in force yet."
