"""The list of a model's callers: taken from files, logs and metering; shown; one of them erased.

Who they are is the private part of an act: the ledger holds a salted commitment. A caller's id is random, so nothing in
the ledger can be traced to a contact. Sends nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.errors import NotFound
from emeritus.lifecycle.callers import CallerLine, identity
from emeritus.records.database import Database
from emeritus.records.residents import resident_row
from emeritus.records.tables import ActRow, Caller, Message

Json = dict[str, Any]
METERING = "metering"


@dataclass(frozen=True, slots=True)
class Taken:
    """What is to be imported: callers, where from, the source's sha256, and how many of its lines were left out."""

    lines: Sequence[CallerLine]
    source: str
    sha256: str
    bad_lines: int = 0


class CallerBook:
    """The callers of one home's residents."""

    def __init__(self, acts: Acts, database: Database) -> None:
        self._acts = acts
        self._database = database

    def take(self, resident: str, taken: Taken, actor: Actor) -> Act:
        """Import callers as one act. A contact known already keeps its id and takes the new figures.

        What was imported last is not imported again. Raises NotFound.
        """

        def build(session: Session) -> Draft:
            resident_row(session, resident)
            rows = session.scalars(select(Caller).where(Caller.resident == resident)).all()
            known = {identity(row.contact, row.label): row for row in rows}
            callers = [_caller(line, known) for line in taken.lines]
            public = {
                "source": taken.source,
                "callers": len(callers),
                "with_contact": sum(caller["contact"] is not None for caller in callers),
                "new": len({caller["id"] for caller in callers} - {row.id for row in rows}),
            }
            if taken.bad_lines:
                public["bad_lines"] = taken.bad_lines
            private = {"callers": callers, "sha256": taken.sha256}
            return Draft("callers.imported", resident, public=public, private=private)

        with self._acts.alone():
            last = self._last(resident)
            if last is not None and last.private is not None and last.private.get("sha256") == taken.sha256:
                return last
            return self._acts.perform(f"callers:{resident}:{secrets.token_hex(6)}", actor, build)

    def erase(self, resident: str, caller: str, actor: Actor) -> None:
        """Erase one caller's data: in every act that named it, in its rows, and in messages that have not left.

        The others of those acts are stated anew first, under the ids they have. May be repeated after a crash. Raises
        NotFound.
        """
        with self._acts.alone():
            naming = self._naming(resident, caller)
            if not naming:
                raise NotFound(f"no caller {caller[:80]!r} of {resident!r}", remedy="`emeritus callers list NAME`.")
            with self._database.reading() as session:
                row = session.get(Caller, caller)
                contact = None if row is None else row.contact
                others = [
                    _as_private(each)
                    for each in session.scalars(select(Caller).where(Caller.resident == resident).order_by(Caller.id))
                    if each.id != caller and each.act in naming
                ]
            if others:
                public = {"source": "kept when another was erased", "callers": len(others), "new": 0}
                public["with_contact"] = sum(each["contact"] is not None for each in others)
                private = {"callers": others, "sha256": secrets.token_hex(32)}
                self._acts.perform(
                    f"callers:{resident}:{secrets.token_hex(6)}",
                    actor,
                    lambda _: Draft("callers.imported", resident, public=public, private=private),
                )
        if contact is not None:
            with self._database.session() as session:
                session.execute(delete(Message).where(Message.recipient == contact))
        for act in naming:
            self._acts.erase_private(act)

    def _naming(self, resident: str, caller: str) -> list[str]:
        """The imports whose private part names the caller."""
        query = select(ActRow.id).where(ActRow.kind == "callers.imported", ActRow.resident == resident)
        with self._database.reading() as session:
            ids = session.scalars(query.order_by(ActRow.seq)).all()
        found = (self._acts.find(each) for each in ids)
        return [
            act.id
            for act in found
            if act is not None
            and act.private is not None
            and any(each["id"] == caller for each in act.private["callers"])
        ]

    def _last(self, resident: str) -> Act | None:
        with self._database.reading() as session:
            found = session.scalars(
                select(ActRow.id)
                .where(ActRow.kind == "callers.imported", ActRow.resident == resident)
                .order_by(ActRow.seq.desc())
                .limit(1)
            ).first()
        return None if found is None else self._acts.find(found)


def find_caller(session: Session, resident: str, named: str) -> Caller:
    """A caller of a resident by its id or its contact. Raises NotFound."""
    row = session.scalars(
        select(Caller).where(Caller.resident == resident, or_(Caller.id == named, Caller.contact == named)).limit(1)
    ).first()
    if row is None:
        raise NotFound(f"no caller {named[:80]!r} of {resident!r}", remedy="`emeritus callers list NAME` shows them.")
    return row


def _caller(line: CallerLine, known: Mapping[tuple[str, str], Caller]) -> Json:
    row = known.get(line.identity)
    if row is None:
        return {"id": secrets.token_hex(8), **asdict(line), "grants": list(line.grants)}
    grants = sorted({*line.grants, *(row.grants or ())})
    days = [day for day in (line.last_used, row.last_used) if day is not None]
    return {
        "id": row.id,
        **asdict(line),
        "label": line.label or row.label,
        "last_used": max(days, default=None),
        "grants": grants,
    }


def _as_private(row: Caller) -> Json:
    return {
        "id": row.id,
        "contact": row.contact,
        "label": row.label,
        "requests": row.requests,
        "last_used": row.last_used,
        "grants": list(row.grants or ()),
    }
