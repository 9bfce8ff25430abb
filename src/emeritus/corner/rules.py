"""What refuses a review or a publication. Pure: takes what was said and what the records hold, and raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emeritus.acts import Actor
from emeritus.corner.criteria import criteria
from emeritus.errors import InputError, PersonNeeded, RuleError, VetoRefused

Verdict = Literal["approve", "veto"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """A verdict on a candidate as it was given."""

    verdict: str
    criterion: str | None = None
    reason: str = ""
    second: str | None = None


def check_opinion(opinion: Opinion, reviewer: Actor, *, second_waived: bool) -> None:
    """Raise unless the verdict has what it needs: a person; for a veto a ground, a reason and a second person."""
    check_person(reviewer)
    if opinion.verdict == "approve":
        if opinion.criterion is not None:
            raise InputError("an approval names no criterion", remedy="Leave --criterion out, or veto.")
        return
    if opinion.verdict != "veto":
        raise InputError(f"{opinion.verdict!r} is no verdict", remedy="Say approve or veto.")
    if opinion.criterion not in criteria():
        raise VetoRefused(
            f"{opinion.criterion!r} is not one of the published criteria"
            if opinion.criterion
            else "a veto must name a published criterion",
            remedy=f"Name one of: {', '.join(criteria())}.",
        )
    if not opinion.reason.strip():
        raise VetoRefused("a veto needs a reason, which is shown publicly")
    if second_waived and opinion.second is None:
        return
    second = (opinion.second or "").strip()
    if not second:
        raise PersonNeeded("a veto needs a second person", remedy="Name the second person with --second.")
    if second.casefold() == reviewer.name.strip().casefold():
        raise PersonNeeded("the second person is the first one", remedy="Name another person with --second.")


def check_person(actor: Actor) -> None:
    """Raise PersonNeeded unless someone is named. Automation is named too, and labelled."""
    if not actor.name.strip():
        raise PersonNeeded("nobody is named as the one who acts")


def check_approved(essay: str, verdict: str | None) -> None:
    """Raise unless the review in force is an approval."""
    if verdict is None:
        raise RuleError(f"{essay} has not been reviewed", remedy=f"Review it: `emeritus review {essay}`.")
    if verdict != "approve":
        raise RuleError(f"{essay} was vetoed", remedy=f"A new review may approve it: `emeritus review {essay}`.")
