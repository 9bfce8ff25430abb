"""Dates with their precision, and the order states must keep."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emeritus.errors import InputError
from emeritus.lifecycle.axes import DatedState, Precision, When, check, check_notice, parse_when


@pytest.mark.parametrize(
    ("text", "first", "last", "precision"),
    [
        ("2024-02-29", date(2024, 2, 29), date(2024, 2, 29), "day"),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29), "month"),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31), "quarter"),
        ("2026", date(2026, 1, 1), date(2026, 12, 31), "year"),
    ],
)
def test_a_date_keeps_its_precision(text: str, first: date, last: date, precision: Precision) -> None:
    """Each form is read as the span it means and written back as it was given."""
    when = parse_when(text)
    assert (when.first, when.last, when.precision) == (first, last, precision)
    assert str(when) == text


@pytest.mark.parametrize("text", ["", "soon", "2026-13", "2026-02-30", "2026-Q5", "26-01-01", "2026-1-1", "0000"])
def test_what_is_no_date_is_refused(text: str) -> None:
    """Nothing is guessed from a text that is no date."""
    with pytest.raises(InputError):
        parse_when(text)


@given(st.dates(min_value=date(1000, 1, 1)), st.sampled_from(["day", "month", "quarter", "year"]))
def test_every_span_contains_its_first_day(day: date, precision: Precision) -> None:
    """A span read back from its text is the same span, and does not end before it begins."""
    text = {
        "day": day.isoformat(),
        "month": f"{day:%Y-%m}",
        "quarter": f"{day:%Y}-Q{(day.month - 1) // 3 + 1}",
        "year": f"{day:%Y}",
    }[precision]
    when = parse_when(text)
    assert when.first <= day <= when.last
    assert parse_when(str(when)) == when


def _offering(**dates: str) -> list[DatedState]:
    return [DatedState("offering", state, parse_when(text)) for state, text in dates.items()]


def test_a_sunset_before_its_deprecation_is_refused() -> None:
    """Retired never comes before deprecated, in whatever order they are given."""
    with pytest.raises(InputError, match=r"retired \(2026-03-01\) comes before deprecated \(2026-03-02\)"):
        check(_offering(retired="2026-03-01", deprecated="2026-03-02"))
    check(_offering(retired="2026-03-02", deprecated="2026-03-02"))
    check(_offering(deprecated="2026-Q1", retired="2026-Q1"))


def test_unknown_and_doubled_states_are_refused() -> None:
    """A state belongs to its axis and has one date."""
    with pytest.raises(InputError, match="never 'held'"):
        check([DatedState("offering", "held", When(date(2026, 1, 1)))])
    with pytest.raises(InputError, match="two dates"):
        check(_offering(retired="2026-01-01") + _offering(retired="2026-01-02"))


def test_notice_is_counted_to_the_first_day_of_the_span() -> None:
    """A coarse date must leave the whole notice period before its first day."""
    check_notice(date(2026, 1, 1), parse_when("2026-03-02"), 60)
    with pytest.raises(InputError, match="less than 60 days"):
        check_notice(date(2026, 1, 1), parse_when("2026-03-01"), 60)
    with pytest.raises(InputError, match="less than 60 days"):
        check_notice(date(2026, 1, 1), parse_when("2026-Q1"), 60)
