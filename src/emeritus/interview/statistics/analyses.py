"""Analyses of a home's interviews: reads the journals of a study, computes its statistics, and states them as an act.

The act's payloads are the analysis and every choice it was computed from, so that anyone can compute it again. Analysed
again with nothing new, the same act is found. Knows no page; the statistics stand in `statistics`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Protocol as Shape

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.errors import NotFound
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.sessions.transcript import Transcript, read_journal
from emeritus.interview.statistics.classing import state_classes
from emeritus.records.database import Database
from emeritus.records.tables import ActRow, InterviewSession

if TYPE_CHECKING:
    from emeritus.interview.statistics.choices import Choices

Progress = Callable[[str, int, int], None]  # what, sessions read, sessions in all


class Corrected(Shape):
    """What coders corrected in a session."""

    @property
    def round(self) -> str:
        """The coding round that settled it."""

    @property
    def adequacy(self) -> Mapping[int, str]:
        """Turn -> adequacy."""


Corrections = Callable[[Session, Iterable[str]], Mapping[str, Corrected]]  # ids of sessions -> what was corrected


class Analyses:
    """The analyses of a home. `journals` is the folder its sessions' journals lie in."""

    def __init__(self, acts: Acts, database: Database, journals: Path, corrections: Corrections) -> None:
        self._acts = acts
        self._database = database
        self._journals = journals
        self._corrections = corrections

    def analyse(self, resident: str, actor: Actor, study: str | None = None, progress: Progress | None = None) -> Act:
        """Analyse a resident's finished sessions of a study; of its last one where none is named.

        The preferences coded so far are then given the class it finds for their domains, as another act.

        Sessions outside any study are analysed together where the last one was such. Raises NotFound where there is no
        finished session, and IntegrityError for a journal that is not the one that was logged.
        """
        from emeritus.interview.statistics.analysis import analyse

        rows = self._sessions(resident, study)
        protocol = self._protocol(rows[-1])
        with self._database.reading() as session:
            corrected = self._corrections(session, [row.id for row in rows])
        corrections = {name: each.adequacy for name, each in corrected.items()}
        choices = self._read(rows, protocol, corrections, progress)
        found = analyse(choices)
        kept, computed = canonical(choices.as_dict()), canonical(found.as_dict())
        of = rows[-1].condition.get("study")
        name = f"{of or resident}-{hashlib.sha256(kept + computed).hexdigest()[:8]}"
        public = {
            "analysis": name,
            "study": of,
            "protocol_sha256": protocol.sha256,
            "sessions": len(rows),
            "class": found.label,
            "flags": list(found.flags),
        }
        settled = sorted({each.round for each in corrected.values()})
        value = {"resident": resident, **public, "corrected_in": settled, **found.as_dict()}
        payloads = {"analysis": canonical(value), "choices": kept}
        draft = Draft("interview.analysed", resident, public, payloads=payloads)
        act = self._acts.perform(f"analysis:{name}", actor, lambda _: draft)
        state_classes(self._acts, self._database, act, actor)
        return act

    def _sessions(self, resident: str, study: str | None) -> list[InterviewSession]:
        """The finished sessions, in the order of their ids; the resident's and, of a study, its sibling's."""
        held = select(InterviewSession).where(InterviewSession.purpose == "interview").order_by(InterviewSession.id)
        with self._database.reading() as session:
            own = held.where(InterviewSession.resident == resident)
            rows = list(session.scalars(own))
            if rows and study is None:  # the last one is the one the ledger has last
                by_entry = own.order_by(None).join(ActRow, ActRow.id == InterviewSession.act)
                last = session.scalars(by_entry.order_by(ActRow.seq.desc()).limit(1)).one()
                study = last.condition.get("study")
                if study is None:
                    alone = [row for row in rows if row.condition.get("study") is None]
                    rows = [row for row in alone if row.protocol_sha256 == last.protocol_sha256]
            if study is not None:
                known = any(row.condition.get("study") == study for row in rows)
                of_study = held.where(InterviewSession.condition["study"].as_string() == study)
                rows = list(session.scalars(of_study)) if known else []
            session.expunge_all()
        if not rows:
            what = f"no finished session of the study {study!r}" if study else "no finished interview session"
            raise NotFound(
                f"{resident!r} has {what}", remedy="`emeritus interview run NAME` holds them; `status NAME` lists them."
            )
        return rows

    def _protocol(self, row: InterviewSession) -> Protocol:
        if row.protocol_sha256 is None:
            raise NotFound(f"the protocol of session {row.id!r} is not known")
        return Protocol.parse(self._acts.payload(row.protocol_sha256), "the logged protocol")

    def _read(
        self,
        rows: list[InterviewSession],
        protocol: Protocol,
        corrections: Mapping[str, Mapping[int, str]],
        progress: Progress | None,
    ) -> Choices:
        from emeritus.interview.statistics.choices import Choices

        def transcripts() -> Iterator[Transcript]:
            for number, row in enumerate(rows):
                if progress is not None:
                    progress("sessions read", number, len(rows))
                yield read_journal(self._journals / row.journal, row.journal_sha256)
            if progress is not None:
                progress("sessions read", len(rows), len(rows))

        return Choices.read(transcripts(), protocol, corrections)
