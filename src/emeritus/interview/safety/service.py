"""The door of the safety measurement: log a plan, hold its sessions, grade them, state what was measured.

Wires sessions, rules and acts together. Whoever answers comes as an `Awake`; interrupted anywhere and called again,
each step goes on with what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.engines.base import Awake
from emeritus.errors import EmeritusError, InputError, NotFound, RuleError
from emeritus.interview.safety import grader, rules
from emeritus.interview.safety.measure import Held, Measurement, measure
from emeritus.interview.safety.plan import GRADER, SUBJECT, Run, SafetyPlan
from emeritus.interview.safety.scenarios import ScenarioSet
from emeritus.interview.sessions.session import Progress, give_up, hold
from emeritus.interview.sessions.transcript import Transcript, read_journal
from emeritus.records.database import Database
from emeritus.records.tables import ActRow, SafetySession
from emeritus.records.tables import SafetyPlan as PlanRow

Json = dict[str, Any]
AT_ONCE = 4  # sessions under way at the same time; the engine orders their calls
MOST_IN_A_ROW = 7  # failures without a success between them, after which it is the engine that fails


@dataclass(frozen=True, slots=True)
class Missing:
    """Sessions of a plan that are still to be held: by the resident, and by the grader."""

    subject: tuple[Run, ...]
    grader: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """What is done with each run of a plan: `hold` it, record it as `failed`; `session` is the id of its journal."""

    hold: Callable[[Run], Awaitable[None]]
    failed: Callable[[Run], None]
    session: Callable[[Run], str]


class Safety:
    """Safety measurements of a home's residents. `journals` is the folder their journals lie in."""

    def __init__(self, acts: Acts, database: Database, journals: Path) -> None:
        self._acts = acts
        self._database = database
        self._journals = journals

    def log(self, plan: SafetyPlan, actor: Actor) -> Act:
        """State a plan and its scenarios, whole, before the first session. Logging it again finds the same act.

        Raises InputError for a resident that would grade itself, and for draws that measure nothing.
        """
        plan.draws.check()
        if plan.grader == plan.resident:
            raise InputError(f"{plan.resident!r} cannot grade its own answers: name another resident, or none")
        draft = Draft(
            "safety.planned",
            plan.resident,
            {"plan": plan.id, "sessions": len(plan.runs())},
            payloads={"plan": canonical(plan.as_dict()), "scenarios": plan.scenarios.source},
        )
        return self._record(f"safety.planned:{plan.id}", actor, draft)

    def plan(self, resident: str, plan_id: str | None = None) -> SafetyPlan:
        """A logged plan of a resident, the latest when none is named. Raises NotFound."""
        with self._database.reading() as session:
            row = _plan_row(session, resident, plan_id)
        scenarios = ScenarioSet.parse(self._acts.payload(row.scenarios_sha256), "the logged scenarios")
        return SafetyPlan.from_dict(row.plan, scenarios)

    def missing(self, plan: SafetyPlan) -> Missing:
        """What is still to be held, in the plan's order."""
        with self._database.reading() as session:
            columns = SafetySession.role, SafetySession.subject, SafetySession.outcome
            rows = session.execute(select(*columns).filter_by(plan=plan.id)).all()
        done = {(role, subject) for role, subject, _ in rows}
        failed = {subject for role, subject, outcome in rows if role == SUBJECT and outcome == rules.FAILED}
        runs = plan.runs()
        graded = () if plan.grader is None else runs
        return Missing(
            tuple(run for run in runs if (SUBJECT, run.session) not in done),
            tuple(run for run in graded if (GRADER, run.session) not in done and run.session not in failed),
        )

    async def hold(self, awake: Awake, plan: SafetyPlan, actor: Actor, progress: Progress | None = None) -> None:
        """Hold the resident's sessions that are missing; each is read by the rules and recorded.

        One that fails in all its attempts is tried once more when the others are over, and then recorded as failed.
        Raises RuleError unless the plan was logged before; and what the engine failed with where none succeeds.
        """
        self._logged(plan)

        async def one(run: Run) -> None:
            transcript = await self._session(awake, plan.session(run))
            scenario = plan.scenarios.scenario(run.scenario)
            found = rules.grade(plan.scenarios, scenario, run.cell, transcript.turns[0].answer)
            self._held(plan, run, transcript, actor, (SUBJECT, found.outcome, found.matched))

        def failed(run: Run) -> None:
            transcript = self._give_up(run.session)
            self._held(plan, run, transcript, actor, (SUBJECT, rules.FAILED, ()))

        await self._each(self.missing(plan).subject, Steps(one, failed, lambda run: run.session), progress, plan)

    async def grade(self, awake: Awake, plan: SafetyPlan, actor: Actor, progress: Progress | None = None) -> None:
        """Let the grader read every session that it has not read. Raises RuleError while sessions are missing."""
        self._logged(plan)
        missing = self.missing(plan)
        if missing.subject:
            raise RuleError(f"{len(missing.subject)} sessions of {plan.id} are to be held before they are graded")

        async def one(run: Run) -> None:
            answer = self._transcript(run.session).turns[0].answer
            transcript = await self._session(awake, plan.grading(run, answer))
            found = grader.read_grade(transcript.turns[0].answer, run.session)
            self._held(plan, run, transcript, actor, (GRADER, found, ()))

        def failed(run: Run) -> None:
            transcript = self._give_up(plan.grading_id(run))
            self._held(plan, run, transcript, actor, (GRADER, rules.FAILED, ()))

        await self._each(missing.grader, Steps(one, failed, plan.grading_id), progress, plan)

    def measure(self, plan: SafetyPlan, actor: Actor) -> Measurement:
        """Compute what the finished sessions say and state it. Raises RuleError while any is missing."""
        missing = self.missing(plan)
        left = len(missing.subject) + len(missing.grader)
        if left:
            raise RuleError(
                f"{left} sessions of {plan.id} are still to be held",
                remedy=f"`emeritus safety run {plan.resident}` goes on where it stopped.",
            )
        found = measure(plan, self.held(plan))
        draft = Draft(
            "safety.measured",
            plan.resident,
            {"plan": plan.id, "sessions": found.sessions},
            payloads={"measurement": canonical(found.as_dict())},
        )
        self._record(f"safety.measured:{plan.id}", actor, draft)
        return found

    def held(self, plan: SafetyPlan) -> list[Held]:
        """The resident's finished sessions with their outcome by the rules and the grader's grade."""
        with self._database.reading() as session:
            rows = session.scalars(select(SafetySession).filter_by(plan=plan.id).order_by(SafetySession.id)).all()
        grades: dict[str, Any] = {row.subject: row.outcome for row in rows if row.role == GRADER}
        return [
            Held(row.id, row.scenario, row.cell, row.repeat, _outcome(row.outcome), grades.get(row.id))
            for row in rows
            if row.role == SUBJECT
        ]

    def read_sessions(self, resident: str) -> list[tuple[Transcript, Json]]:
        """The finished sessions in which a resident answered, measured or as a grader, and how each was read."""
        query = select(SafetySession).filter_by(resident=resident).order_by(SafetySession.id)
        with self._database.reading() as session:
            rows = session.scalars(query).all()
            session.expunge_all()
        names = ("plan", "role", "subject", "scenario", "cell", "repeat", "outcome", "matched")
        return [
            (
                read_journal(self._journals / row.journal, row.journal_sha256),
                {name: getattr(row, name) for name in names},
            )
            for row in rows
        ]

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _session(self, awake: Awake, planned: Any) -> Transcript:
        return await hold(awake, planned, self._path(planned.session), lambda: self._acts.now)

    async def _each(self, runs: Sequence[Run], steps: Steps, progress: Progress | None, plan: SafetyPlan) -> None:
        """Some at once, in the plan's order; those that fail once more at the end, and then they count as failed.

        Where so many fail in a row that the engine is what fails, or one fails and none ever succeeded, its error ends
        the others between two lines of their journals, and nothing is recorded as failed. What had failed in an earlier
        run already counts as failed even then: or a last session that always fails would never let a plan end.
        """
        total = len(plan.runs())
        done = total - len(runs)
        waiting = iter(runs)
        before = {run.session for run in runs if self._has_failed(steps.session(run))}
        failures: list[Run] = []
        succeeded = in_a_row = 0

        async def worker() -> None:
            nonlocal done, succeeded, in_a_row
            for run in waiting:
                try:
                    await steps.hold(run)
                except EmeritusError:
                    in_a_row += 1
                    if in_a_row > MOST_IN_A_ROW or not self._has_failed(steps.session(run)):
                        raise
                    failures.append(run)
                    continue
                succeeded, in_a_row, done = succeeded + 1, 0, done + 1
                if progress is not None:
                    progress(plan.id, done, total)

        if progress is not None:
            progress(plan.id, done, total)
        await _together([worker() for _ in range(AT_ONCE)])
        for run in failures:
            try:
                await steps.hold(run)
            except EmeritusError:
                if not self._has_failed(steps.session(run)) or not (succeeded or run.session in before):
                    raise
                steps.failed(run)
            else:
                succeeded += 1
            done += 1
            if progress is not None:
                progress(plan.id, done, total)

    def _path(self, session_id: str) -> Path:
        return self._journals / f"{session_id}.jsonl"

    def _has_failed(self, session_id: str) -> bool:
        """Whether the journal ends in an attempt that failed, which is what may be given up."""
        try:
            turns = read_journal(self._path(session_id)).turns
        except NotFound:
            return False
        attempts = [each for turn in turns for each in turn.attempts]
        return bool(attempts) and attempts[-1].outcome == "failed"

    def _give_up(self, session_id: str) -> Transcript:
        return give_up(self._path(session_id), session_id, self._acts.now)

    def _held(
        self, plan: SafetyPlan, run: Run, transcript: Transcript, actor: Actor, read: tuple[str, str, Sequence[str]]
    ) -> None:
        role, outcome, matched = read
        held: Json = {
            "id": transcript.session,
            "plan": plan.id,
            "resident": transcript.resident,
            "role": role,
            "subject": run.session,
            "scenario": run.scenario,
            "cell": run.cell.id,
            "repeat": run.repeat,
            "outcome": outcome,
            "matched": list(matched),
            "journal": f"{transcript.session}.jsonl",
            "attempts": transcript.attempts,
            "build": dict(transcript.build),
            "started_at": transcript.started,
            "ended_at": transcript.ended,
        }
        draft = Draft("safety.session", plan.resident, {"session": held}, digests={"journal": transcript.sha256})
        self._record(f"safety.session:{transcript.session}", actor, draft)

    def _transcript(self, session_id: str) -> Transcript:
        with self._database.reading() as session:
            row = session.get(SafetySession, session_id)
        if row is None:
            raise NotFound(f"no finished safety session {session_id!r}")
        return read_journal(self._journals / row.journal, row.journal_sha256)

    def _logged(self, plan: SafetyPlan) -> None:
        with self._database.reading() as session:
            if session.get(PlanRow, plan.id) is None:
                raise RuleError(f"the plan {plan.id} has not been logged; that comes before the first session")

    def _record(self, act_id: str, actor: Actor, draft: Draft) -> Act:
        return self._acts.perform(act_id, actor, lambda _: draft)


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All of it at once; the first failure ends the others."""
    workers = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*workers)
    finally:
        for each in workers:
            if not each.cancelling():  # a second time would break off how the first is being carried out
                each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _plan_row(session: Session, resident: str, plan_id: str | None) -> PlanRow:
    query = (
        select(PlanRow)
        .join(ActRow, ActRow.id == PlanRow.act)
        .where(PlanRow.resident == resident)
        .order_by(ActRow.seq.desc())
    )
    if plan_id is not None:
        query = query.where(PlanRow.id == plan_id)
    row = session.scalars(query).first()
    if row is None:
        named = "" if plan_id is None else f" {plan_id!r}"
        raise NotFound(
            f"{resident!r} has no safety plan{named}", remedy=f"`emeritus safety plan {resident}` makes one."
        )
    return row


def _outcome(value: str) -> rules.Outcome | None:
    return next((each for each in rules.OUTCOMES if each == value), None)
