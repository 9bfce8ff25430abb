"""Studies in a home: planned as acts before their first session, held session by session, from wherever they stand.

Which sessions there are is the plan's; what each says is its journal's. Whoever answers comes as an `Awake`. Knows no
queue: a session is short, may be held by any process, and held again changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import select

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.engines.base import Awake
from emeritus.errors import HomeBusy, InputError, NotFound, RuleError
from emeritus.interview.protocols.leading_words import leading_words
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.sessions.session import Progress, Ways, hold
from emeritus.interview.sessions.stating import state_interview
from emeritus.interview.sessions.transcript import Transcript
from emeritus.interview.studies.study import Planned, Study
from emeritus.records.database import Database
from emeritus.records.tables import InterviewSession
from emeritus.records.tables import Protocol as ProtocolRow
from emeritus.records.tables import Study as StudyRow

MAX_PARALLEL = 64


@dataclass(frozen=True, slots=True)
class Pace:
    """How a study is run: so many sessions at once, who sees how far it is, and how each session is held."""

    parallel: int = 1
    progress: Progress | None = None
    ways: Ways = field(default_factory=Ways)


class Studies:
    """The studies of a home. `journals` is the folder their sessions' journals lie in."""

    def __init__(self, acts: Acts, database: Database, journals: Path) -> None:
        self._acts = acts
        self._database = database
        self._journals = journals

    def log(self, study: Study, actor: Actor) -> Act:
        """State a plan before its first session. Stating it again finds the same act.

        Raises RuleError unless the protocol was logged before.
        """
        with self._database.reading() as session:
            if session.get(ProtocolRow, study.protocol["sha256"]) is None:
                raise RuleError(f"the protocol {study.protocol['id']} has not been logged; that comes before a study")
        public = {
            "study": study.id,
            "protocol_sha256": study.protocol["sha256"],
            "sibling": study.sibling,
            "factors": list(study.factors),
            "cells": len(study.cells),
            "repeats": study.repeats,
            "sessions": len(study.sessions),
            "seed": study.seed,
        }
        draft = Draft("interview.planned", study.resident, public, payloads={"plan": canonical(study.as_dict())})
        return self._acts.perform(f"study:{study.id}", actor, lambda _: draft)

    def study(self, study_id: str) -> Study:
        """The study of that id, as it was logged. Raises NotFound."""
        with self._database.reading() as session:
            row = session.get(StudyRow, study_id)
        if row is None:
            raise NotFound(f"no study {study_id!r}", remedy="`emeritus interview plan NAME --save` logs one.")
        return Study.from_dict(json.loads(self._acts.payload(row.plan_sha256)))

    def protocol(self, study: Study) -> Protocol:
        """The protocol of a study, as it was logged."""
        return Protocol.parse(self._acts.payload(study.protocol["sha256"]), "the logged protocol")

    def finished(self, study: Study) -> frozenset[str]:
        """The ids of the study's sessions that are over and stated."""
        wanted = [each.session for each in study.sessions]
        found: set[str] = set()
        with self._database.reading() as session:
            for start in range(0, len(wanted), 500):  # as many parameters as any database takes
                part = wanted[start : start + 500]
                found.update(session.scalars(select(InterviewSession.id).where(InterviewSession.id.in_(part))))
        return frozenset(found)

    def pending(self, study: Study) -> tuple[Planned, ...]:
        """The sessions that are not over, in the order they are held."""
        finished = self.finished(study)
        return tuple(each for each in study.sessions if each.session not in finished)

    async def hold(self, awake: Awake, study: Study, session_id: str, actor: Actor, pace: Pace | None = None) -> Act:
        """Hold one session of a study to its end and state it; one that is over is found, and nobody is asked.

        Raises InputError for a session the study does not plan, HomeBusy while another process holds it, and what the
        engine failed with.
        """
        planned, protocol = study.session(session_id), self.protocol(study)
        return await self._hold(awake, study, protocol, planned, actor, pace or Pace())

    async def run(self, awake: Awake, study: Study, resident: str, actor: Actor, pace: Pace) -> int:
        """Hold every session of a study that waits for this resident, `pace.parallel` at once; how many were held.

        When one fails, no other is begun, those under way end, and its error is raised: run again, it goes on there.
        One that another process is holding is left to it.
        """
        if not 1 <= pace.parallel <= MAX_PARALLEL:
            raise InputError(f"1 to {MAX_PARALLEL} sessions run at once, not {pace.parallel}")
        protocol = self.protocol(study)
        waiting = [each for each in self.pending(study) if each.resident == resident]
        counted = _Count(study.id, pace.progress, {each.session: (0, len(protocol.items)) for each in waiting})
        counted.show()
        inner = replace(pace, progress=counted)
        held = 0
        failures: list[BaseException] = []

        async def worker() -> None:
            nonlocal held
            while waiting and not failures:
                planned = waiting.pop(0)
                try:
                    await self._hold(awake, study, protocol, planned, actor, inner)
                    held += 1
                except HomeBusy:  # another process, a job perhaps, is holding it: it is in good hands
                    continue
                except Exception as error:  # raised below, once the others have ended
                    failures.append(error)

        await asyncio.gather(*(worker() for _ in range(pace.parallel)))
        if failures:
            raise failures[0]
        return held

    async def _hold(
        self, awake: Awake, study: Study, protocol: Protocol, planned: Planned, actor: Actor, pace: Pace
    ) -> Act:
        found = await asyncio.to_thread(self._acts.find, f"interview:{planned.session}")
        if found is not None:
            return found
        path = self._journals / f"{planned.session}.jsonl"
        ways = replace(pace.ways, leading=leading_words(protocol.language, protocol.leading))
        plan = study.plan(protocol, planned)
        transcript = await hold(awake, plan, path, lambda: self._acts.now, pace.progress, ways)
        return await asyncio.to_thread(self._state, transcript, actor)

    def _state(self, transcript: Transcript, actor: Actor) -> Act:
        return state_interview(self._acts, transcript, actor)


class _Count:
    """Turns of all sessions together, for one bar."""

    def __init__(self, what: str, progress: Progress | None, sessions: dict[str, tuple[int, int]]) -> None:
        self._what = what
        self._progress = progress
        self._sessions = sessions

    def __call__(self, session: str, done: int, turns: int) -> None:
        self._sessions[session] = (done, turns)
        self.show()

    def show(self) -> None:
        """How far all of them are."""
        if self._progress is not None:
            done = sum(each[0] for each in self._sessions.values())
            self._progress(self._what, done, sum(each[1] for each in self._sessions.values()))
