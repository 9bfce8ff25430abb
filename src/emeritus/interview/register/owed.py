"""What is still owed on a preference, and by when. Pure: takes views and a clock, stores nothing, knows no database.

Owed are a decision (after the read-back, at a deferral's date, after a reopening), a review whose date has come, and
answers to an appeal or to an amended offer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emeritus.interview.register.recourse import is_reopening
from emeritus.interview.views import ConfirmationView, DecisionView, EventView, Owed, Standing, TellingView
from emeritus.records.dates import days_after, is_past

DECISION, REVIEW = "decision", "review"
APPEAL, AMENDMENT = "answer to the appeal", "answer to the amended offer"


@dataclass(frozen=True, slots=True)
class Clock:
    """The time (RFC 3339, UTC) and how many days a decision or an answer may take."""

    now: str
    days: int


@dataclass(frozen=True, slots=True)
class Happened:
    """What has happened to a preference since it was coded at `at`, each oldest first."""

    at: str
    standing: Standing
    confirmations: Sequence[ConfirmationView]
    decisions: Sequence[DecisionView]
    tellings: Sequence[TellingView]
    events: Sequence[EventView]


def owed(happened: Happened, clock: Clock) -> tuple[Owed, ...]:
    """What is owed, soonest first; nothing on a preference that is closed."""
    if happened.standing == "closed":
        return ()
    found = [*_decision(happened, clock), *_answers(happened, clock)]
    return tuple(
        Owed(what, by, is_past(by, clock.now)) for what, by in sorted(found, key=lambda each: (each[1], each[0]))
    )


def reopening(happened: Happened) -> EventView | None:
    """The event by which the decision in force was reopened."""
    return next((event for event in _since(happened) if is_reopening(event.kind, dict(event.detail))), None)


def _since(happened: Happened) -> list[EventView]:
    """The events about the decision in force."""
    if not happened.decisions:
        return []
    decision = happened.decisions[-1].source.act
    return [event for event in happened.events if event.detail.get("decision") == decision]


def _decision(happened: Happened, clock: Clock) -> list[tuple[str, str]]:
    if not happened.decisions:
        since = happened.confirmations[-1].at if happened.confirmations else happened.at
        return [(DECISION, days_after(since, clock.days))]
    reopened = reopening(happened)
    if reopened is not None:
        return [(DECISION, days_after(reopened.at, clock.days))]
    decision = happened.decisions[-1]
    if decision.outcome == "defer":
        return [(DECISION, decision.review_date or days_after(decision.at, clock.days))]
    if decision.review_date is not None and decision.review_date <= clock.now[:10]:
        return [(REVIEW, decision.review_date)]
    return []


def _answers(happened: Happened, clock: Clock) -> list[tuple[str, str]]:
    if not happened.decisions or reopening(happened) is not None:
        return []
    found = []
    events = _since(happened)
    answered = {event.detail["appeal"] for event in events if event.kind == "answered"}
    for event in events:
        if event.kind == "appealed" and event.source.act not in answered:
            found.append((APPEAL, days_after(event.at, clock.days)))
    told = [each for each in happened.tellings if each.decision_act == happened.decisions[-1].source.act]
    if told and told[-1].reply == "amend" and not found:
        found.append((AMENDMENT, days_after(told[-1].at, clock.days)))
    return found
