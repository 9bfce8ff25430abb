"""The pure parts behind the pages: the timeline picture, cut answers, and how numbers are written."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emeritus.lifecycle.queries import AxisState, Timeline
from emeritus.records.provenance import Provenance
from emeritus.web.rendering import dated, day, moment, size
from emeritus.web.spans import Coded, cut
from emeritus.web.timeline import draw, stand

SOURCE = Provenance("a", 0, "k", None, "who", "role", False, "2026-01-01T00:00:00Z")


def event(axis: str, state: str, date: str, superseded: bool = False) -> AxisState:
    """An event on an axis."""
    return AxisState(axis, state, date, "day", "", superseded, SOURCE)


def test_nothing_dated_gives_no_picture() -> None:
    """Without a date there is nothing to draw."""
    nothing = Timeline((), "2026-01-01T00:00:00Z", None, None, None)
    assert draw(nothing) is None
    assert stand(nothing) is None


def test_states_follow_each_other_without_overlap() -> None:
    """Bars of one axis never overlap, also when several states begin on one day, and superseded ones are not drawn."""
    events = (
        event("offering", "active", "2026-01-01"),
        event("offering", "retired", "2026-01-01", superseded=True),
        event("offering", "deprecated", "2026-02-01"),
        event("offering", "retired", "2026-02-01"),
        event("access", "open", "2026-01-01"),
        event("access", "none", "2027-01-01"),
    )
    timeline = Timeline(events, "2026-02-01T12:00:00Z", events[3], events[4], None)
    picture = draw(timeline)
    assert picture is not None
    offering = [bar for bar in picture.bars if bar.axis == "offering"]
    assert [(bar.state, bar.ended, bar.future) for bar in offering] == [
        ("active", True, False),
        ("deprecated", True, False),
        ("retired", False, False),
    ]
    for axis in ("offering", "access"):
        lane = [bar for bar in picture.bars if bar.axis == axis]
        for left, right in pairwise(lane):
            assert left.x + left.width < right.x
    assert [bar.future for bar in picture.bars if bar.axis == "access"] == [False, True]
    assert all(bar.x >= 0 and bar.x + bar.width <= picture.width for bar in picture.bars)
    upright = stand(timeline)
    assert upright is not None
    assert [(bar.axis, bar.state, bar.ended, bar.future) for bar in upright.bars] == [
        (bar.axis, bar.state, bar.ended, bar.future) for bar in picture.bars
    ]
    for axis in ("offering", "access"):
        lane = [bar for bar in upright.bars if bar.axis == axis]
        for above, below in pairwise(lane):
            assert above.x == below.x
            assert above.y + above.height < below.y
    assert all(bar.x + bar.width <= upright.width and bar.y + bar.height <= upright.height for bar in upright.bars)
    assert upright.now == 26 + 44 * 2.5  # in the third of its rows: one of January, two of the first of February
    assert picture.summary == "offering: retired since 1 February 2026; access: open since 1 January 2026"


@given(
    st.text(max_size=40),
    st.lists(st.tuples(st.integers(-3, 45), st.integers(-3, 45), st.sampled_from("abc")), max_size=6),
)
def test_cut_answers_join_to_the_answer(answer: str, spans: list[tuple[int, int, str]]) -> None:
    """Whatever the spans, the pieces join to the answer, and each character carries exactly the spans around it."""
    coded = [Coded(*span) for span in spans]
    pieces = cut(answer, coded)
    assert "".join(piece.text for piece in pieces) == answer
    position = 0
    for piece in pieces:
        for offset in range(position, position + len(piece.text)):
            around = {c.preference for c in coded if 0 <= c.start <= offset < c.end <= len(answer)}
            assert set(piece.preferences) == around
        position += len(piece.text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (3_812_044, "3.81 MB"), (999_999, "1 MB"), (10**13, "10 TB")],
)
def test_sizes(value: int, text: str) -> None:
    """Sizes are decimal, to three figures, exact below a kilobyte."""
    assert size(value) == text


def test_dates_are_no_more_precise_than_known() -> None:
    """A quarter stays a quarter."""
    assert dated("2026-04-01", "quarter") == "Q2 2026"
    assert dated("2026-04-01", "month") == "April 2026"
    assert dated("2026-04-01", "year") == "2026"
    assert dated("2026-04-01", "day") == day("2026-04-01T00:00:00Z") == "1 April 2026"
    assert moment("2026-04-01T03:06:09Z") == "1 April 2026, 03:06 UTC"
