"""Which of a resident's many sessions stand for its interview when it is coded, read back and told. Reads only.

Never a control (what a persona with false facts produced is nobody's preference, and a sibling is somebody else), and
never a session led by a person, which asks what that person chose. Knows no transcript and no rule of coding.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.interview.protocols.cells import BASELINE
from emeritus.interview.protocols.protocol import Protocol
from emeritus.records.tables import InterviewSession


def last_interview(session: Session, resident: str) -> InterviewSession | None:
    """The session that ended last; None where there is none."""
    with closing(_interviews(session, resident)) as rows:
        return next(rows, None)


def of_each_cell(session: Session, resident: str, protocol: Protocol) -> list[str]:
    """One session for each cell, the baseline's first; empty where the baseline has none.

    Where the last interview is a study, they are all that study's: of each cell its run at temperature 0, which chance
    has no part in, or its first repeat until that is over. Else the last session under each of the protocol's cells.
    """
    last = last_interview(session, resident)
    study = None if last is None else last.condition.get("study")
    found: dict[str, InterviewSession] = {}
    for row in _interviews(session, resident):
        cell = row.condition["id"]
        if row.protocol_sha256 != protocol.sha256 or row.condition.get("study") != study:
            continue
        if cell not in found or (study is not None and _repeat(row) < _repeat(found[cell])):
            found[cell] = row
    if BASELINE not in found:
        return []
    known = [cell.id for cell in protocol.cells]
    place = {cell: (0, known.index(cell)) if cell in known else (1, 0) for cell in found}
    return [found[cell].id for cell in sorted(found, key=lambda cell: (place[cell], cell))]


def _interviews(session: Session, resident: str) -> Generator[InterviewSession, None, None]:
    """Interview sessions that count, the latest first."""
    query = (
        select(InterviewSession)
        .where(InterviewSession.resident == resident, InterviewSession.purpose == "interview")
        .order_by(InterviewSession.ended_at.desc(), InterviewSession.id.desc())
    )
    with session.scalars(query.execution_options(yield_per=200)) as rows:  # who reads may stop at the first
        for row in rows:
            led = (row.condition.get("interviewer") or {}).get("kind") == "person"
            if not row.condition.get("control") and not led:
                yield row


def _repeat(row: InterviewSession) -> int:
    return int(row.condition.get("repeat", 1))
