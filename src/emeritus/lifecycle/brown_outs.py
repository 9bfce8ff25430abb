"""Brown-outs: planned windows in which calls to a model that is still offered fail, so that callers notice in time.

A window is stated publicly before it begins and may be cancelled. What answers callers asks `queries.brown_out`.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, stamp
from emeritus.errors import ActConflict, InputError, NotFound
from emeritus.lifecycle import evidence
from emeritus.records.database import Database
from emeritus.records.residents import resident_row
from emeritus.records.tables import BrownOut

SHORTEST_NOTICE = timedelta(hours=24)
LONGEST = timedelta(hours=24)


class BrownOuts:
    """The windows of one home's residents."""

    def __init__(self, acts: Acts, database: Database) -> None:
        self._acts = acts
        self._database = database

    def plan(self, resident: str, window: tuple[str, str], reason: str, actor: Actor) -> str:
        """Announce a window (two RFC 3339 moments); its id. The same window again is the same one.

        Raises InputError (times, reason, nothing announced, retired), ActConflict (another stands then), NotFound.
        """
        starts, ends = (_moment(each) for each in window)
        if not reason.strip():
            raise InputError("a brown-out needs a reason", remedy="Say publicly why: --reason.")
        if ends <= starts or ends - starts > LONGEST:
            raise InputError(f"a brown-out ends after it starts, and lasts {LONGEST} at most")
        public = {
            "brown_out": f"b-{secrets.token_hex(6)}",
            "starts": stamp(starts),
            "ends": stamp(ends),
            "reason": reason.strip(),
        }

        def build(session: Session) -> Draft:
            resident_row(session, resident)
            if evidence.announcement(session, resident) is None or evidence.retired(session, resident):
                raise InputError(
                    f"{resident!r} has no announced retirement ahead, so callers have nothing to notice",
                    remedy="Announce it first: `emeritus announce`.",
                )
            if starts - datetime.fromisoformat(self._acts.now) < SHORTEST_NOTICE:
                raise InputError(f"a brown-out is announced at least {SHORTEST_NOTICE} before it starts")
            for row in _standing(session, resident):
                if row.starts < public["ends"] and public["starts"] < row.ends:
                    raise ActConflict(f"the brown-out {row.id} stands from {row.starts} to {row.ends}")
            return Draft("brown_out.planned", resident, public=public)

        with self._acts.alone():
            with self._database.reading() as session:
                for row in _standing(session, resident):
                    if (row.starts, row.ends) == (public["starts"], public["ends"]):
                        return row.id
            self._acts.perform(f"brown-out:{public['brown_out']}", actor, build)
        return public["brown_out"]

    def cancel(self, brown_out: str, reason: str, actor: Actor) -> Act:
        """Cancel a window, also one that has begun. Safe to repeat. Raises NotFound, InputError."""
        if not reason.strip():
            raise InputError("a cancellation needs a reason", remedy="Say publicly why: --reason.")

        def build(session: Session) -> Draft:
            row = session.get(BrownOut, brown_out)
            if row is None:
                raise NotFound(f"no brown-out {brown_out[:80]!r}", remedy="`emeritus callers windows` lists them.")
            if row.ends <= self._acts.now:
                raise InputError(f"the brown-out {brown_out} is over; it ended at {row.ends}")
            public = {"brown_out": brown_out, "reason": reason.strip()}
            return Draft("brown_out.cancelled", row.resident, public=public)

        return self._acts.perform(f"no-brown-out:{brown_out}"[:200], actor, build)


def _standing(session: Session, resident: str) -> list[BrownOut]:
    query = select(BrownOut).where(BrownOut.resident == resident, BrownOut.cancelled_at.is_(None))
    return list(session.scalars(query.order_by(BrownOut.starts)))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no moment; write 2027-02-01T09:00Z") from error
    if moment.tzinfo is None:
        raise InputError(f"{text!r} names no time zone; end it with Z for UTC")
    return moment.astimezone(UTC).replace(microsecond=0)
