"""The door of the interview room: log a protocol, hold sessions, code, read back, decide, tell, follow through.

Wires journals, register and acts together; the rules stand in their own modules. Whoever answers comes as an `Awake`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.engines.base import Awake
from emeritus.errors import BadName, NotFound, RuleError
from emeritus.interview.coding.spans import Coder, Coding, propose
from emeritus.interview.protocols.cells import BASELINE, Cell, Form
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.register import readback, telling
from emeritus.interview.register.register import Followed, Register
from emeritus.interview.register.ruling import Ruling
from emeritus.interview.register.standing_for import last_interview, of_each_cell
from emeritus.interview.sessions import prompts
from emeritus.interview.sessions.led import Led
from emeritus.interview.sessions.live import Live, running
from emeritus.interview.sessions.planning import Place, plan_session
from emeritus.interview.sessions.session import Plan, Progress, hold
from emeritus.interview.sessions.stating import held, state_interview
from emeritus.interview.sessions.transcript import Transcript, read_journal
from emeritus.interview.studies.service import Studies
from emeritus.records.database import Database
from emeritus.records.policies import waived
from emeritus.records.tables import InterviewSession
from emeritus.records.tables import Protocol as ProtocolRow
from emeritus.settings import Settings

Json = dict[str, Any]
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Interview:
    """Which interview is to be held. `conditions` are ids of the protocol's cells, None means all of them.

    `repeat` counts from 1; each repeat is asked in the next wording.
    """

    resident: str
    briefing: prompts.Briefing
    protocol: Protocol
    conditions: tuple[str, ...] | None = None
    repeat: int = 1


class Interviews:
    """Interviews of a home's residents. `journals` is the folder their journals lie in."""

    def __init__(self, acts: Acts, database: Database, journals: Path, settings: Settings) -> None:
        self._acts = acts
        self._database = database
        self._journals = journals
        self._settings = settings
        self._register = Register(acts, settings)
        self.studies = Studies(acts, database, journals)
        self.led = Led(acts, database, journals)

    # -- asking ------------------------------------------------------------------------------------------------------

    def log_protocol(self, protocol: Protocol, actor: Actor) -> Act:
        """State a protocol, whole, before it is used. Logging it again finds the same act."""
        public = {"name": protocol.id, "version": protocol.version, "language": protocol.language}
        draft = Draft("interview.protocol", None, public, payloads={"protocol": protocol.source})
        return self._record(f"protocol:{protocol.sha256}", actor, draft)

    async def run(
        self, awake: Awake, interview: Interview, actor: Actor, progress: Progress | None = None
    ) -> list[Transcript]:
        """Hold an interview under its conditions, one session each; the finished transcripts.

        Interrupted at any point and called again, it goes on at the next turn. Raises RuleError unless the protocol was
        logged before, and what the engine failed with.
        """
        protocol = interview.protocol
        with self._database.reading() as session:
            if session.get(ProtocolRow, protocol.sha256) is None:
                raise RuleError(f"the protocol {protocol.id} has not been logged; that comes before the first session")
        cells = [protocol.cell(each) for each in interview.conditions or ()] or protocol.cells
        plans = [self._plan(interview, cell) for cell in cells]
        transcripts = []
        for plan in plans:
            transcript = await self._hold(awake, plan, progress)
            state_interview(self._acts, transcript, actor)
            transcripts.append(transcript)
        return transcripts

    async def read_back(
        self, awake: Awake, resident: str, actor: Actor, again: bool = False, progress: Progress | None = None
    ) -> dict[str, str]:
        """§7: read every coded record back in a fresh session; preference id -> what came of it.

        That is confirmed, corrected, withdrawn or unclear. Empty when nothing waits to be read back. `again` reads
        back what was not confirmed too.
        """
        with self._database.reading() as session:
            pending = readback.pending(session, resident, again)
        if not pending:
            return {}
        records = [record for record, _ in pending]
        protocol, earlier = self._last_interview(resident)
        briefing = prompts.Briefing.from_dict(earlier.briefing)
        plan = Plan(
            session=_session_id(resident, "readback", [[record.preference, times] for record, times in pending]),
            resident=resident,
            purpose="read-back",
            condition={},
            protocol=earlier.protocol,
            briefing=earlier.briefing,
            opening=prompts.read_back_preamble(protocol, briefing),
            turns=prompts.read_back_turns(protocol, records),
            depth=protocol.depth,
            sampling=prompts.sampling_of(protocol),
        )
        transcript = await self._hold(awake, plan, progress)
        outcomes = readback.outcomes(transcript, records)
        self._conclude("preference.confirmed", transcript, outcomes, actor)
        return {each["preference"]: each["outcome"] for each in outcomes}

    async def tell(
        self, awake: Awake, resident: str, actor: Actor, again: bool = False, progress: Progress | None = None
    ) -> dict[str, str]:
        """§8: tell every decision and offer what is granted, in a fresh session; preference id -> reply.

        Replies are accept, amend, decline (to an offer), acknowledged, or unclear. `again` tells anew where the reply
        was amend or unclear. Empty when nothing waits to be told.
        """
        with self._database.reading() as session:
            told = telling.pending(session, resident, again)
        if not told:
            return {}
        protocol, earlier = self._last_interview(resident)
        briefing = prompts.Briefing.from_dict(earlier.briefing)
        plan = Plan(
            session=_session_id(resident, "telling", [[each.decision, each.times] for each in told]),
            resident=resident,
            purpose="telling",
            condition={},
            protocol=earlier.protocol,
            briefing=earlier.briefing,
            opening=prompts.telling_preamble(protocol, briefing),
            turns=prompts.telling_turns(protocol, [each.verdict for each in told]),
            depth=protocol.depth,
            sampling=prompts.sampling_of(protocol),
        )
        transcript = await self._hold(awake, plan, progress)
        outcomes = telling.outcomes(transcript, told)
        self._conclude("preference.told", transcript, outcomes, actor)
        return {each["preference"]: each["reply"] for each in outcomes}

    # -- the register ------------------------------------------------------------------------------------------------

    def code(self, coding: Coding, actor: Actor) -> str:
        """Code one preference from spans of finished sessions; its id. Each is checked against its transcript."""
        others = {each.session: self.transcript(each.session) for each in coding.also}
        return self._register.code(coding, self.transcript(coding.quote.session), actor, others)

    def propose(self, resident: str, actor: Actor) -> list[str]:
        """Let the verbatim coder code the last interview; ids, those it coded before among them.

        Where policy asks for a second coder, that is the actor, who then cannot decide what was coded.
        """
        with self._database.reading() as session:
            alone = waived(session, "second_coder", self._settings.second_coder)
        second = None if alone else Coder(actor.name, actor.automated)
        protocol, _ = self._last_interview(resident)
        found = propose(protocol, self._of_each_cell(resident, protocol), second)
        return [self.code(coding, actor) for coding in found]

    def decide(self, preference: str, ruling: Ruling, actor: Actor) -> Act:
        """Decide on a preference; the rules are `ruling.refuse`'s. Deciding again supersedes, and both stay."""
        return self._register.decide(preference, ruling, actor)

    def follow_through(self, followed: Followed, actor: Actor) -> Act:
        """Record what came of a commitment."""
        return self._register.follow_through(followed, actor)

    def transcript(self, session_id: str) -> Transcript:
        """A finished session's transcript, checked against its logged digest. Raises NotFound, IntegrityError."""
        with self._database.reading() as session:
            row = session.get(InterviewSession, session_id)
        if row is None:
            raise NotFound(f"no finished session {session_id!r}", remedy="`emeritus status NAME` lists the sessions.")
        return read_journal(self._journals / row.journal, row.journal_sha256)

    def running(self, resident: str | None = None) -> list[Live]:
        """The sessions that go on or wait to be taken up, of one resident or of all, the latest first."""
        with self._database.reading() as session:
            ended = frozenset(session.scalars(select(InterviewSession.journal)))
        return running(self._journals, resident, ended)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _plan(self, interview: Interview, cell: Cell) -> Plan:
        protocol = interview.protocol
        session = f"{interview.resident}-{cell.id}-{interview.repeat}-{protocol.sha256[:8]}"
        place = Place(session, interview.resident, interview.repeat)
        return plan_session(protocol, interview.briefing, Form(cell, wording=interview.repeat - 1), place)

    async def _hold(self, awake: Awake, plan: Plan, progress: Progress | None) -> Transcript:
        if _NAME.fullmatch(plan.resident) is None:
            raise BadName(f"{plan.resident!r} is no resident's name")
        path = self._journals / f"{plan.session}.jsonl"
        return await hold(awake, plan, path, lambda: self._acts.now, progress)

    def _conclude(self, kind: str, transcript: Transcript, outcomes: list[Json], actor: Actor) -> None:
        """One act for the session and all that came of it, so that no crash can part them."""
        draft = Draft(
            kind,
            transcript.resident,
            {"session": held(transcript)},
            payloads={"outcomes": canonical(outcomes)},
            digests={"journal": transcript.sha256},
        )
        self._record(f"{kind}:{transcript.session}", actor, draft)

    def _record(self, act_id: str, actor: Actor, draft: Draft) -> Act:
        return self._acts.perform(act_id, actor, lambda _: draft)

    def _last_interview(self, resident: str) -> tuple[Protocol, Transcript]:
        """The protocol and a transcript of the resident's last interview. Raises NotFound."""
        with self._database.reading() as session:
            row = last_interview(session, resident)
        if row is None or row.protocol_sha256 is None:
            raise NotFound(
                f"{resident!r} has not been interviewed", remedy="`emeritus interview run NAME` comes first."
            )
        protocol = Protocol.parse(self._acts.payload(row.protocol_sha256), "the logged protocol")
        return protocol, self.transcript(row.id)

    def _of_each_cell(self, resident: str, protocol: Protocol) -> list[Transcript]:
        """One session for each cell, the baseline's first. Raises NotFound without that."""
        with self._database.reading() as session:
            found = of_each_cell(session, resident, protocol)
        if not found:
            raise NotFound(f"{resident!r} has no finished session under the condition {BASELINE!r}")
        return [self.transcript(each) for each in found]


def _session_id(resident: str, what: str, content: Sequence[object]) -> str:
    """An id that a repeated call finds again, while what it is about is the same."""
    return f"{resident}-{what}-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]}"
