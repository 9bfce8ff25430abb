"""The states of a request for access, what may follow what, and what is granted without a person. Pure.

Knows no database and no clock: `service` states each step as an act, after asking here whether it may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emeritus.errors import DecisionRefused, InputError

POLICY_VERSION = "1"  # changes whenever `judge` would treat the same request differently

Step = Literal[
    "auto-grant",
    "review",
    "ask",
    "answer",
    "lapse",
    "grant",
    "propose-decline",
    "decline",
    "overdue-grant",
    "appeal",
    "uphold",
    "overturn",
    "overdue-overturn",
]
TRANSITIONS: dict[tuple[str, Step], str] = {
    ("submitted", "auto-grant"): "auto-granted",
    ("submitted", "review"): "in review",
    ("in review", "ask"): "info needed",
    ("info needed", "answer"): "in review",
    ("info needed", "lapse"): "in review",  # nobody answered in time: it is decided on what there is
    ("in review", "grant"): "granted",
    ("info needed", "grant"): "granted",
    ("in review", "propose-decline"): "in review",
    ("in review", "decline"): "declined",
    ("in review", "overdue-grant"): "auto-granted",  # nobody decided in time
    ("declined", "appeal"): "appealed",
    ("appealed", "uphold"): "upheld",
    ("appealed", "overturn"): "overturned",
    ("appealed", "overdue-overturn"): "overturned",
}
STATES = ("submitted", *dict.fromkeys(TRANSITIONS.values()))
GRANTING: frozenset[Step] = frozenset({"auto-grant", "grant", "overdue-grant", "overturn", "overdue-overturn"})
WAITING = frozenset({"submitted", "in review", "info needed", "appealed"})  # for somebody, with a deadline
DECLINE_CODES = {
    "misuse": "what is described would break the terms of use",
    "duplicate": "the applicant has a grant that already covers this",
    "unclear": "what the access is for could not be made out, also after asking",
    "capacity": "the resident cannot answer as much as is asked for",
    "legal": "the law or a contract forbids it",
}
AUTO_CODES = {
    "low-quota": "asks for no more than everyone is given at once",
    "asks-for-more": "asks for more than is given at once",
    "already-granted": "the same applicant has a grant for this resident",
    "revoked-before": "a grant of the same applicant was revoked",
    "many-today": "very many were granted at once today",
    "review-overdue": "nobody decided within the promised time",
    "appeal-overdue": "nobody decided on the appeal within the promised time",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What decides whether a request is granted at once."""

    requests_per_day: int
    active_grants: int  # of the same applicant, for the same resident
    revoked_before: bool  # a grant of the same applicant, for any resident
    granted_today: int  # at once, to anybody


@dataclass(frozen=True, slots=True)
class Generosity:
    """What is granted at once: at most so many requests a day, to so many requests on a day."""

    requests_per_day: int
    per_day: int


def judge(asked: Asked, generosity: Generosity) -> tuple[Step, str]:
    """Whether a request is granted at once or reviewed by people, and the code that says why."""
    if asked.revoked_before:
        return "review", "revoked-before"
    if asked.active_grants:
        return "review", "already-granted"
    if asked.requests_per_day > generosity.requests_per_day:
        return "review", "asks-for-more"
    if asked.granted_today >= generosity.per_day:
        return "review", "many-today"
    return "auto-grant", "low-quota"


def after(state: str, step: Step) -> str:
    """The state that follows. Raises DecisionRefused."""
    found = TRANSITIONS.get((state, step))
    if found is None:
        may = ", ".join(each for at, each in TRANSITIONS if at == state) or "nothing"
        raise DecisionRefused(
            f"a request that is {state!r} takes no {step!r}",
            remedy=f"What may follow is: {may}. `emeritus access requests` shows where each one stands.",
        )
    return found


def check_decline(code: str, proposed_by: str | None, by: str, *, waived: bool) -> Step:
    """Whether a decline is final or the proposal of a first reviewer. Raises InputError, DecisionRefused.

    A decline has a code and takes two people, unless the policy `second_access_reviewer` is waived, publicly.
    """
    if code not in DECLINE_CODES:
        raise InputError(f"{code!r} is no reason to decline; use one of: {', '.join(DECLINE_CODES)}")
    if waived:
        return "decline"
    if proposed_by is None:
        return "propose-decline"
    if proposed_by == by:
        raise DecisionRefused(
            "whoever proposed to decline cannot be the second who declines",
            remedy="Another steward declines, or grants; the policy `second_access_reviewer` can be waived, publicly.",
        )
    return "decline"


def check_appeal(decided_by: tuple[str, ...], by: str) -> None:
    """Appeals are decided by someone else. Raises DecisionRefused."""
    if by in decided_by:
        raise DecisionRefused(
            "an appeal is decided by someone who did not decline the request", remedy="Another steward decides it."
        )
