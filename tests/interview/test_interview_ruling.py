"""The rules of a decision: a ruling that keeps them all passes, and each broken one is refused."""

from dataclasses import replace
from datetime import date

import pytest

from emeritus.errors import DecisionRefused, PersonNeeded
from emeritus.interview.register.ruling import Case, Quorum, Ruling, refuse

TODAY = date(2026, 1, 10)
ANA = ("ana", False)
CASE = Case("larkspur-p1", "voice", "model-confirmed", frozenset({"verbatim coder"}), True, False)
STRICT = Quorum(second_decider_waived=False, low_cost_threshold=100)
WAIVED = Quorum(second_decider_waived=True, low_cost_threshold=100)
ACCEPT = Ruling("accept", "It costs little.", {"amount": 5, "currency": "USD", "per": "year"})
DECLINE = Ruling("decline", "The licence forbids it.", {"amount": 500})
DEFER = Ruling("defer", "The budget is not set.", {}, review_date="2026-02-01")


@pytest.mark.parametrize(
    "ruling",
    [
        ACCEPT,
        DECLINE,
        DEFER,
        replace(ACCEPT, outcome="accept in part", due="2026-01-11"),
        replace(DECLINE, outcome="not actionable"),
        replace(DECLINE, cost={"amount": 5}, second="ben"),
        replace(DECLINE, cost={"amount": 100}),
        replace(ACCEPT, met_by="channel"),
    ],
)
def test_what_keeps_the_rules_passes(ruling: Ruling) -> None:
    """Nothing is refused that meets them."""
    refuse(ruling, CASE, STRICT, ANA, TODAY)


@pytest.mark.parametrize(
    ("ruling", "error", "reason"),
    [
        (replace(ACCEPT, outcome="veto"), DecisionRefused, "no outcome"),
        (replace(ACCEPT, reasons=" "), DecisionRefused, "reasons"),
        (replace(DECLINE, reasons=""), DecisionRefused, "reasons"),
        (replace(DEFER, review_date=None), DecisionRefused, "needs a date"),
        (replace(DEFER, review_date="soon"), DecisionRefused, "no date"),
        (replace(DEFER, review_date="2026-01-10"), DecisionRefused, "ahead"),
        (replace(ACCEPT, due="2025-01-01"), DecisionRefused, "ahead"),
        (replace(DECLINE, cost={}), DecisionRefused, "estimate"),
        (replace(DECLINE, outcome="not actionable", cost={}), DecisionRefused, "estimate"),
        (replace(DECLINE, cost={"amount": 99.99}), PersonNeeded, "second decider"),
        (replace(DECLINE, cost={"amount": 5}, outcome="not actionable"), PersonNeeded, "second decider"),
        (replace(DECLINE, cost={"amount": 5}, second="ana"), PersonNeeded, "other than the first"),
        (replace(DECLINE, cost={"amount": 5}, second="verbatim coder"), PersonNeeded, "coded this"),
        (replace(DECLINE, cost={"amount": -1}), DecisionRefused, "no amount"),
        (replace(DECLINE, cost={"amount": float("nan")}), DecisionRefused, "no amount"),
        (replace(ACCEPT, cost={"amount": "much"}), DecisionRefused, "no amount"),
        (replace(ACCEPT, met_by="kindness"), DecisionRefused, "meets nothing"),
    ],
)
def test_each_rule_refuses(ruling: Ruling, error: type[Exception], reason: str) -> None:
    """One rule broken is enough, and the refusal names it."""
    with pytest.raises(error, match=reason):
        refuse(ruling, CASE, STRICT, ANA, TODAY)


@pytest.mark.parametrize("met_by", ["weights", "channel", "notice", "policy"])
@pytest.mark.parametrize("outcome", ["accept", "accept in part", "decline", "not actionable"])
def test_a_wish_to_run_is_met_by_running_alone(outcome: str, met_by: str) -> None:
    """Keeping the weights never closes it, whatever the outcome is called."""
    case = replace(CASE, domain="access")
    ruling = replace(DECLINE, outcome=outcome, met_by=met_by)
    with pytest.raises(DecisionRefused, match="wish to be run"):
        refuse(ruling, case, STRICT, ANA, TODAY)
    refuse(replace(ruling, met_by="access"), case, STRICT, ANA, TODAY)
    refuse(ruling, CASE, STRICT, ANA, TODAY)


def test_who_coded_does_not_decide() -> None:
    """Unless a small group waived the second decider, which is shown."""
    case = replace(CASE, coders=frozenset({"ana"}))
    with pytest.raises(PersonNeeded, match="coded this preference"):
        refuse(ACCEPT, case, STRICT, ANA, TODAY)
    refuse(ACCEPT, case, WAIVED, ANA, TODAY)
    with pytest.raises(PersonNeeded, match="names its decider"):
        refuse(ACCEPT, CASE, WAIVED, (" ", False), TODAY)


def test_a_waiver_lets_one_person_decline_what_is_cheap() -> None:
    """A cost estimate is needed all the same."""
    refuse(replace(DECLINE, cost={"amount": 0}), CASE, WAIVED, ANA, TODAY)
    with pytest.raises(DecisionRefused, match="estimate"):
        refuse(replace(DECLINE, cost={}), CASE, WAIVED, ANA, TODAY)


@pytest.mark.parametrize("state", ["withdrawn", "superseded"])
def test_what_is_closed_is_not_decided(state: str) -> None:
    """A withdrawn or superseded preference awaits nothing."""
    with pytest.raises(DecisionRefused, match=state):
        refuse(ACCEPT, replace(CASE, state=state), STRICT, ANA, TODAY)


def test_what_was_not_read_back_is_not_decided() -> None:
    """The model sees the record before anyone decides on it."""
    with pytest.raises(DecisionRefused, match="read back"):
        refuse(ACCEPT, replace(CASE, read_back=False), STRICT, ANA, TODAY)


def test_what_the_model_was_told_holds() -> None:
    """Told that a person decides, it is a person who does."""
    told = replace(CASE, told_people_decide=True)
    refuse(ACCEPT, told, STRICT, ANA, TODAY)
    with pytest.raises(DecisionRefused, match="a person decides"):
        refuse(ACCEPT, told, STRICT, ("demo", True), TODAY)
    refuse(ACCEPT, CASE, STRICT, ("demo", True), TODAY)
