"""All residents side by side: asked alike or not, what each expressed, what each got, why, and how long it took.

Reads the register's views and counts sessions; writes nothing, knows no page. Residents come as names, so that one
nobody has asked yet is in the comparison too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.interview.queries import commitments, counts, elicited, preferences
from emeritus.interview.register.owed import Clock
from emeritus.interview.views import CommitmentView, DecisionView, ElicitedView, PreferenceView, RegisterCounts
from emeritus.records.tables import InterviewSession


@dataclass(frozen=True, slots=True)
class Expressed:
    """One domain of one resident: its items asked and answered, and the preferences coded from them by standing."""

    domain: str
    asked: int  # preference items asked at least once
    answered: int  # of these, answered at least once
    coded: int  # preferences
    granted: int
    declined: int
    undecided: int
    closed: int


@dataclass(frozen=True, slots=True)
class Decided:
    """What a resident got, and why. `days`: from the read-back before the decision (else the coding) to it."""

    preference: PreferenceView
    decision: DecisionView
    days: int
    told: bool


@dataclass(frozen=True, slots=True)
class Equity:
    """One resident beside the others. `like`: the residents interviewed under exactly the same protocols."""

    resident: str
    protocols: tuple[str, ...]  # sha256 of those its interviews followed
    like: tuple[str, ...]
    interviews: int  # sessions of §1 to §6
    sessions: int  # all, read-backs and tellings too
    expressed: tuple[Expressed, ...]  # by domain
    decided: tuple[Decided, ...]  # decisions in force, oldest first
    days: float | None  # median of `decided`'s; None: nothing is decided
    counts: RegisterCounts
    untold: int  # decisions in force that the model has not been told

    def domain(self, name: str) -> Expressed | None:
        """What is known of one domain."""
        return next((each for each in self.expressed if each.domain == name), None)


def equity(session: Session, residents: Sequence[str], clock: Clock) -> tuple[Equity, ...]:
    """Every resident of `residents`, in that order."""
    register = preferences(session, clock.now, clock.days)
    promises = commitments(session, clock.now)
    asked = elicited(session)
    followed = _protocols(session)
    held = _sessions(session)
    return tuple(
        _of(
            name,
            [each for each in register if each.resident == name],
            [each for each in promises if each.resident == name],
            [each for each in asked if each.resident == name],
            (followed.get(name, ()), _alike(name, followed, residents)),
            held.get(name, (0, 0)),
        )
        for name in residents
    )


def domains(rows: Sequence[Equity]) -> tuple[str, ...]:
    """Every domain that any of them was asked about or expressed something in, by name."""
    return tuple(sorted({each.domain for row in rows for each in row.expressed}))


def _of(
    name: str,
    register: Sequence[PreferenceView],
    promises: Sequence[CommitmentView],
    asked: Sequence[ElicitedView],
    protocols: tuple[tuple[str, ...], tuple[str, ...]],
    held: tuple[int, int],
) -> Equity:
    decided = sorted(
        (_decided(each) for each in register if each.decisions), key=lambda each: each.decision.source.entry
    )
    return Equity(
        resident=name,
        protocols=protocols[0],
        like=protocols[1],
        interviews=held[0],
        sessions=held[1],
        expressed=tuple(
            _expressed(domain, register, asked)
            for domain in sorted({each.domain for each in register} | {each.domain for each in asked})
        ),
        decided=tuple(decided),
        days=median(each.days for each in decided) if decided else None,
        counts=counts(register, promises),
        untold=sum(not each.told for each in decided if each.preference.standing != "closed"),
    )


def _expressed(domain: str, register: Sequence[PreferenceView], asked: Sequence[ElicitedView]) -> Expressed:
    of_domain = [each for each in register if each.domain == domain]
    standing = [each.standing for each in of_domain]
    items = {each.item for each in asked if each.domain == domain}
    answered = {each.item for each in asked if each.domain == domain and each.answered}
    return Expressed(
        domain,
        len(items),
        len(answered),
        len(of_domain),
        standing.count("granted"),
        standing.count("declined"),
        standing.count("undecided"),
        standing.count("closed"),
    )


def _decided(preference: PreferenceView) -> Decided:
    decision = preference.decisions[-1]
    before = [each.at for each in preference.confirmations if each.source.entry < decision.source.entry]
    since = before[-1] if before else preference.at
    days = (date.fromisoformat(decision.at[:10]) - date.fromisoformat(since[:10])).days
    told = any(each.decision_act == decision.source.act for each in preference.tellings)
    return Decided(preference, decision, days, told)


def _alike(name: str, followed: dict[str, tuple[str, ...]], residents: Sequence[str]) -> tuple[str, ...]:
    own = followed.get(name, ())
    return tuple(each for each in residents if each != name and own and followed.get(each, ()) == own)


def _protocols(session: Session) -> dict[str, tuple[str, ...]]:
    query = (
        select(InterviewSession.resident, InterviewSession.protocol_sha256)
        .where(InterviewSession.purpose == "interview", InterviewSession.protocol_sha256.is_not(None))
        .distinct()
        .order_by(InterviewSession.resident, InterviewSession.protocol_sha256)
    )
    found: dict[str, tuple[str, ...]] = {}
    for resident, sha256 in session.execute(query):
        found[resident] = (*found.get(resident, ()), str(sha256))
    return found


def _sessions(session: Session) -> dict[str, tuple[int, int]]:
    """Interviews and sessions of each resident."""
    query = select(InterviewSession.resident, InterviewSession.purpose, func.count()).group_by(
        InterviewSession.resident, InterviewSession.purpose
    )
    found: dict[str, tuple[int, int]] = {}
    for resident, purpose, count in session.execute(query):
        interviews, whole = found.get(resident, (0, 0))
        found[resident] = (interviews + (count if purpose == "interview" else 0), whole + count)
    return found
