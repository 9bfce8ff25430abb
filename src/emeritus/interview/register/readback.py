"""§7: what is to be read back to a model, and how its replies are recorded. Reads the register, writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.interview.projection import UNDECIDED
from emeritus.interview.sessions.prompts import Record
from emeritus.interview.sessions.replies import confirmation
from emeritus.interview.sessions.transcript import Transcript
from emeritus.records.tables import ActRow, Confirmation, Preference

QUOTE = 1000  # characters of a reply that the register repeats; the journal has all of it


def pending(session: Session, resident: str, again: bool) -> list[tuple[Record, int]]:
    """Records to read back, in the order they were coded, each with how often it has been.

    Those never read back; with `again`, also those whose record the model did not confirm.
    """
    query = (
        select(Preference)
        .join(ActRow, ActRow.id == Preference.act)
        .where(Preference.resident == resident, Preference.state.in_(UNDECIDED))
        .order_by(ActRow.seq)
    )
    found = []
    for row in session.scalars(query):
        times = session.scalar(select(func.count()).where(Confirmation.preference == row.id)) or 0
        if times == 0 or (again and row.state == "disputed"):
            paraphrase = None if row.paraphrase == row.need else row.paraphrase
            found.append((Record(row.id, row.domain, row.need, paraphrase), times))
    return found


def outcomes(transcript: Transcript, records: Sequence[Record]) -> list[dict[str, Any]]:
    """What the model produced to each record, read by its leading word."""
    known = {record.preference for record in records}
    return [
        {
            "preference": turn.item,
            "turn": turn.turn,
            "outcome": confirmation(turn.answer),
            "quote": turn.answer[:QUOTE],
        }
        for turn in transcript.turns
        if turn.item in known
    ]
