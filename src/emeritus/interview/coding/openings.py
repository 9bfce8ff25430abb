"""Which sessions a coding round takes: named, drawn, or those of a round that is coded again; what is refused.

Reads rows and writes none; whoever opens a round states it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.errors import InputError, NotFound, RuleError
from emeritus.interview.coding.spans import Coder
from emeritus.interview.protocols.protocol import Protocol
from emeritus.records.tables import CodingResolution, CodingRound, InterviewSession

MOST_SESSIONS = 500


@dataclass(frozen=True, slots=True)
class Opening:
    """A round to open. `sessions` empty: all interviews not in a round yet, `sample` of them drawn by their digest."""

    resident: str
    coders: tuple[Coder, ...]
    sessions: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    sample: int | None = None
    recodes: str | None = None


def drawn(session: Session, opening: Opening, protocol: Callable[[str], Protocol]) -> list[str]:
    """The sessions of a round to open. `protocol` finds a logged one by its sha256.

    Raises InputError, NotFound, RuleError (a control, a session that another round has, a round that is settled).
    """
    query = select(InterviewSession).where(
        InterviewSession.resident == opening.resident, InterviewSession.purpose == "interview"
    )
    known = {row.id: row for row in session.scalars(query.order_by(InterviewSession.id))}
    taken = _taken(session, opening)
    chosen = list(opening.sessions)
    if opening.recodes is not None and not chosen:
        chosen = list(session.get_one(CodingRound, opening.recodes).sessions)
    if not chosen:
        free = [each for each, row in known.items() if each not in taken and not row.condition.get("control")]
        chosen = mixed("sample", free)[: opening.sample]
    for each in chosen:
        if each not in known:
            raise NotFound(f"{opening.resident!r} has no interview {each!r}")
        if known[each].condition.get("control"):
            raise RuleError(f"session {each!r} is a control: what was produced in it is no preference")
        if each in taken:
            raise RuleError(f"session {each!r} is coded in round {taken[each]} already")
    if not 1 <= len(set(chosen)) == len(chosen) <= MOST_SESSIONS:
        raise InputError(
            f"a round has 1 to {MOST_SESSIONS} sessions, each once",
            remedy="Hold an interview first, or draw some: --sample 20.",
        )
    protocols = {known[each].protocol_sha256 for each in chosen} - {None}
    items = {item.id for sha256 in protocols for item in protocol(str(sha256)).items}
    unknown = sorted(set(opening.items) - items)
    if unknown:
        raise InputError(f"the protocol has no items {', '.join(unknown)}")
    return chosen


def _taken(session: Session, opening: Opening) -> dict[str, str]:
    """Sessions that stand in a round that was not recoded; session -> round. Raises NotFound, RuleError."""
    rows = session.scalars(select(CodingRound).where(CodingRound.resident == opening.resident)).all()
    replaced = {row.recodes for row in rows}
    if opening.recodes is not None:
        old = next((row for row in rows if row.id == opening.recodes), None)
        if old is None:
            raise NotFound(f"{opening.resident!r} has no coding round {opening.recodes!r}")
        settled = session.scalar(select(CodingResolution.round).where(CodingResolution.round == old.id).limit(1))
        if old.id in replaced or settled:
            raise RuleError(f"round {old.id} is settled or recoded already")
        replaced.add(old.id)
    return {each: row.id for row in rows if row.id not in replaced for each in row.sessions}


def mixed(salt: str, sessions: Sequence[str]) -> list[str]:
    """Sessions in an order that says nothing of their conditions, and is the same for everyone."""
    return sorted(sessions, key=lambda each: hashlib.sha256(f"{salt}\n{each}".encode()).hexdigest())
