"""The rules of a decision on a preference. Pure: takes what is to be decided and what is known, and may refuse.

Knows no database and no engine; `register.py` brings the facts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from emeritus.errors import DecisionRefused, PersonNeeded

OUTCOMES = ("accept", "accept in part", "defer", "decline", "not actionable")
GRANTS = ("accept", "accept in part")
REFUSALS = ("decline", "not actionable")  # both end without anything done, so both meet the same rules
MET_BY = ("weights", "access", "channel", "notice", "policy")  # what may be said to meet a preference already
OTHERS = (
    "Someone else decides: name them with --as, or with --second. A group of one may waive it, publicly: "
    "`emeritus init --second-decider waived`."
)
RUNNING = "access"  # the domain of wishes to be run; keeping the weights is not running
PEOPLE, PROGRAM = "a person", "a program"  # who decides, as a session's condition records what the model was told


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a decider decides. `cost` is {amount, currency, per} or empty; dates are ISO 8601."""

    outcome: str
    reasons: str
    cost: Mapping[str, Any]
    options: tuple[str, ...] = ()
    conflict: str = "none declared"
    second: str | None = None
    review_date: str | None = None
    met_by: str | None = None
    commitment: str | None = None  # what is promised, where something is granted
    owner: str | None = None
    due: str | None = None
    check: str = "Someone other than the owner looks at the evidence."


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of the preference when it is decided."""

    preference: str
    domain: str
    state: str
    coders: frozenset[str]
    read_back: bool
    told_people_decide: bool  # the model was told that a person decides


@dataclass(frozen=True, slots=True)
class Quorum:
    """The policy in force: whether the second decider is waived, and below what cost a decline needs one."""

    second_decider_waived: bool
    low_cost_threshold: float


def refuse(ruling: Ruling, case: Case, quorum: Quorum, decider: tuple[str, bool], today: date) -> None:
    """Raise DecisionRefused or PersonNeeded, naming the rule a ruling breaks. `decider` is (name, automated)."""
    if ruling.outcome not in OUTCOMES:
        raise DecisionRefused(f"{ruling.outcome!r} is no outcome", remedy=f"Use one of: {', '.join(OUTCOMES)}.")
    if not ruling.reasons.strip():
        raise DecisionRefused("a decision needs reasons; they are told to the model", remedy="Give them with --reason.")
    _refuse_state(case)
    _refuse_decider(ruling, case, quorum, decider)
    _refuse_met_by(ruling, case)
    for name, value in (("review date", ruling.review_date), ("due date", ruling.due)):
        if value is not None and _day(name, value) <= today:
            raise DecisionRefused(f"the {name} {value} does not lie ahead")
    if ruling.outcome == "defer" and ruling.review_date is None:
        raise DecisionRefused("a deferral needs a date", remedy="Give the date it is looked at again with --review.")
    _amount(ruling)
    if ruling.outcome in REFUSALS:
        _refuse_cheap(ruling, case, quorum, decider[0])


def _refuse_state(case: Case) -> None:
    if case.state in ("withdrawn", "superseded"):
        raise DecisionRefused(f"preference {case.preference!r} is {case.state}; there is nothing to decide")
    if not case.read_back:
        raise DecisionRefused(
            f"preference {case.preference!r} has not been read back to the model",
            remedy="Read it back first: `emeritus interview read-back NAME`.",
        )


def _refuse_decider(ruling: Ruling, case: Case, quorum: Quorum, decider: tuple[str, bool]) -> None:
    name, automated = decider
    if not name.strip():
        raise PersonNeeded("a decision names its decider")
    if automated and case.told_people_decide:
        raise DecisionRefused("the model was told that a person decides, so a program may not")
    if name in case.coders and not quorum.second_decider_waived:
        raise PersonNeeded(f"{name!r} coded this preference and so cannot decide it", remedy=OTHERS)
    if ruling.second is not None and (not ruling.second.strip() or ruling.second == name):
        raise PersonNeeded("the second decider is someone other than the first")


def _refuse_met_by(ruling: Ruling, case: Case) -> None:
    if ruling.met_by is None:
        return
    if ruling.met_by not in MET_BY:
        raise DecisionRefused(f"{ruling.met_by!r} meets nothing; use one of: {', '.join(MET_BY)}")
    if case.domain == RUNNING and ruling.met_by != "access":
        raise DecisionRefused(
            f"a wish to be run is not met by {ruling.met_by!r}; only access to a running model meets it"
        )


def _refuse_cheap(ruling: Ruling, case: Case, quorum: Quorum, decider: str) -> None:
    amount = _amount(ruling)
    if amount is None:
        raise DecisionRefused("a decline needs an estimate of what granting would cost", remedy="Give it with --cost.")
    if amount >= quorum.low_cost_threshold or quorum.second_decider_waived:
        return
    if ruling.second is None:
        raise PersonNeeded(
            f"granting this is estimated to cost {amount:g}, less than {quorum.low_cost_threshold:g}: "
            "declining it needs a second decider",
            remedy="Name the second decider with --second.",
        )
    if ruling.second in case.coders:
        raise PersonNeeded(
            f"{ruling.second!r} coded this preference and so cannot be its second decider", remedy=OTHERS
        )


def _amount(ruling: Ruling) -> float | None:
    amount = ruling.cost.get("amount")
    if amount is None:
        return None
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not math.isfinite(amount) or amount < 0:
        raise DecisionRefused(f"the cost {amount!r} is no amount of money")
    return float(amount)


def _day(name: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise DecisionRefused(f"the {name} {value!r} is no date; write it as 2027-01-31") from error
