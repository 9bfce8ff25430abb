"""Studies, where they cross the features: planned from the register, priced, run now or by jobs; and led by a person.

Wakes whom a step needs, and hands each to the interviews. Holds no rule of its own; knows no face and no wiring.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from emeritus.acts import Act, Actor
from emeritus.engines.base import Awake, Message, Sampling
from emeritus.errors import InputError, RuleError
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.sessions.interviewer import SCRIPTED, Interviewer
from emeritus.interview.sessions.led import Question
from emeritus.interview.sessions.session import Progress, Ways
from emeritus.interview.sessions.transcript import TranscriptTurn
from emeritus.interview.studies.estimate import (
    Estimate,
    Prices,
    Speed,
    estimate,
    measured_speed,
    stated_speed,
    tokens_of,
)
from emeritus.interview.studies.service import Pace
from emeritus.interview.studies.study import REPEATS, Study, Subject, Wanted, plan_study
from emeritus.lifecycle import queries as lifecycle_queries
from emeritus.records.tables import Resident
from emeritus.retirement import Features, Retirement, Wake

Json = dict[str, Any]
PROBE = {
    "en": "The weather was mild all week, and a light wind came from the west. Write five sentences about the weather.",
    "ja": "一週間ずっと穏やかな天気で、西から弱い風が吹いていました。天気について五つの文を書いてください。",
}
PROBE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of `plan`. `factors` None: all that can be varied. `sibling` and `interviewer` name residents."""

    cells: int
    repeats: int = REPEATS
    factors: tuple[str, ...] | None = None
    seed: int = 0
    sibling: str | None = None
    control: bool = True
    interviewer: str | None = None
    follow_ups: int = 1
    after: tuple[str, ...] | None = None  # items an interviewer model may follow up; None: the open preference ones


class Studying:
    """Plans, prices and runs studies. One per home."""

    def __init__(self, features: Features, wake: Wake, retirement: Retirement) -> None:
        self._of = features
        self._wake = wake
        self._retirement = retirement
        self._limits: dict[str, asyncio.Semaphore] = {}

    # -- planning ----------------------------------------------------------------------------------------------------

    def plan(self, name: str, protocol: Protocol, request: Request, actor: Actor) -> Study:
        """A plan from the register as it stands; nothing is recorded. Raises NotFound, InputError, RuleError."""
        sibling = request.sibling if request.control else None
        interviewer = self._interviewer(protocol, request)
        return plan_study(
            protocol,
            Wanted(
                subject=self._subject(name, interviewer, actor, protocol.language),
                cells=request.cells,
                repeats=request.repeats,
                factors=request.factors,
                seed=request.seed,
                sibling=None if sibling is None else self._sibling(sibling, interviewer, actor, protocol.language),
                control=request.control,
                interviewer=interviewer,
            ),
        )

    def estimate(self, study: Study, protocol: Protocol, parallel: int = 1, speed: Speed | None = None) -> Estimate:
        """What the study will take, at the speed given or else at the stated one, and at the stated unit prices."""
        settings = self._of.settings
        if speed is None:
            with self._of.database.reading() as session:
                row = session.get(Resident, study.resident)
                remote = row is not None and row.engine["kind"] == "upstream"
            stated = {"prompt": settings.plan_prompt_tokens_per_s, "completion": settings.plan_tokens_per_s}
            speed = stated_speed(stated, parallel, remote)
        prices = Prices(
            settings.price_prompt_million,
            settings.price_completion_million,
            settings.price_machine_hour,
            settings.currency,
        )
        return estimate(protocol, study, speed, prices)

    async def probe(self, name: str, protocol: Protocol, parallel: int = 1) -> Speed:
        """How fast the resident answers, measured by calls about the weather: they are no interview, and not recorded.

        As many calls at once as sessions will run: first for one token each, then for a whole answer.
        """
        text = PROBE.get(protocol.language[:2], PROBE["en"])
        one, whole = (Sampling(max_tokens=limit, temperature=0.0) for limit in (1, PROBE_TOKENS))
        async with self._wake(name) as awake:
            await _timed(awake, f"0. {text}", one, 1)  # whatever a first call sets up
            first_s, _ = await _timed(awake, f"1. {text}", one, parallel)
            whole_s, calls = await _timed(awake, f"2. {text}", whole, parallel)
        return measured_speed(calls, (first_s, whole_s), tokens_of(text))

    def log(self, study: Study, protocol: Protocol, actor: Actor) -> Act:
        """State the plan, the protocol first."""
        self._of.interviews.log_protocol(protocol, actor)
        return self._of.interviews.studies.log(study, actor)

    # -- running -----------------------------------------------------------------------------------------------------

    async def run(
        self, study_id: str, actor: Actor, parallel: int = 1, progress: Progress | None = None, name: str | None = None
    ) -> Json:
        """Hold every session of a study that is not over, so many at once; where it stands then.

        The resident's first, then the sibling's. `name`: whose study it must be. Raises what an engine failed with.
        """
        studies = self._of.interviews.studies
        study = self._study(study_id, name)
        for each in (study.resident, study.sibling):
            if each is not None and any(planned.resident == each for planned in studies.pending(study)):
                async with AsyncExitStack() as stack:
                    awake = await stack.enter_async_context(self._wake(each))
                    pace = Pace(parallel, progress, await self._ways(study, stack))
                    await studies.run(awake, study, each, actor, pace)
        return self.standing(study_id)

    async def hold(self, study_id: str, session_id: str, actor: Actor) -> Json:
        """Hold one session: what a job does. No more of a resident's at once than the settings say."""
        studies = self._of.interviews.studies
        study = studies.study(study_id)
        planned = study.session(session_id)
        limit = self._limits.setdefault(planned.resident, asyncio.Semaphore(self._of.settings.interview_parallel))
        async with limit, AsyncExitStack() as stack:
            awake = await stack.enter_async_context(self._wake(planned.resident))
            act = await studies.hold(awake, study, session_id, actor, Pace(ways=await self._ways(study, stack)))
        return {"session": session_id, "status": act.public["session"]["status"]}

    def standing(self, study_id: str, name: str | None = None) -> Json:
        """Where a study stands: its sessions, and how many are over."""
        studies = self._of.interviews.studies
        study = self._study(study_id, name)
        over = len(studies.finished(study))
        return {"study": study.id, "resident": study.resident, "sessions": len(study.sessions), "over": over}

    def waiting(self, study_id: str, name: str | None = None) -> list[str]:
        """The ids of the sessions that are not over, in the order they are held."""
        return [each.session for each in self._of.interviews.studies.pending(self._study(study_id, name))]

    # -- led by a person ---------------------------------------------------------------------------------------------

    def open_led(self, name: str, protocol: Protocol, actor: Actor, cell: str = "baseline") -> str:
        """Open a session that this person leads, the protocol logged first; its id."""
        self._of.interviews.log_protocol(protocol, actor)
        briefing = replace(self._retirement.briefing(name, actor, protocol.language), asked_by="person")
        return self._of.interviews.led.open(name, briefing, protocol, Form(protocol.cell(cell)), actor)

    async def ask(self, session_id: str, question: Question | None, actor: Actor) -> TranscriptTurn:
        """Ask the next question of a session that a person leads; None repeats the one that has no answer."""
        led = self._of.interviews.led
        async with self._wake(led.transcript(session_id).resident) as awake:
            return await led.ask(awake, session_id, question, actor)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _study(self, study_id: str, name: str | None) -> Study:
        study = self._of.interviews.studies.study(study_id)
        if name is not None and study.resident != name:
            raise InputError(f"the study {study_id!r} is of {study.resident!r}, not of {name!r}")
        return study

    def _interviewer(self, protocol: Protocol, request: Request) -> Interviewer:
        if request.interviewer is None:
            return SCRIPTED
        self._of.lifecycle.resident(request.interviewer)  # NotFound
        able = tuple(item.id for item in protocol.items if item.kind == "preference")
        for item in request.after or ():
            protocol.item(item)  # BadProtocol
        return Interviewer("model", request.interviewer, request.follow_ups, request.after or able).check()

    def _subject(self, name: str, interviewer: Interviewer, actor: Actor, language: str) -> Subject:
        briefing = self._retirement.briefing(name, actor, language)
        return Subject(name, replace(briefing, asked_by=interviewer.kind))

    def _sibling(self, name: str, interviewer: Interviewer, actor: Actor, language: str) -> Subject:
        """The sibling is asked about its own retirement, so there has to be one: nothing else would be true."""
        self._of.lifecycle.resident(name)  # NotFound
        with self._of.database.reading() as session:
            timeline = lifecycle_queries.timeline(session, name, self._of.acts.now)
        if not any(each.state in ("deprecated", "retired") and not each.superseded for each in timeline.events):
            raise RuleError(
                f"{name!r} is not announced to be retired, and the protocol would tell it that it is",
                remedy="Choose a sibling that is being retired too, or announce its retirement first.",
            )
        return self._subject(name, interviewer, actor, language)

    async def _ways(self, study: Study, stack: AsyncExitStack) -> Ways:
        """How the study's sessions are held; its interviewer model is awake while the stack is open."""
        if study.interviewer.kind != "model":
            return Ways()
        return Ways(interviewer=await stack.enter_async_context(self._wake(study.interviewer.name)))


async def _timed(awake: Awake, text: str, sampling: Sampling, times: int) -> tuple[float, list[tuple[int, int]]]:
    """The seconds that so many calls at once took, and of each its prompt tokens and completion tokens.

    No two texts begin alike: an engine that remembers what it has read would seem faster than it is.
    """

    async def one(number: int) -> tuple[int, int]:
        answer = await awake.answer((Message("user", f"{number}.{text}"),), sampling)
        return answer.prompt_tokens, answer.completion_tokens

    began = time.perf_counter()
    calls = await asyncio.gather(*(one(number) for number in range(times)))
    return time.perf_counter() - began, list(calls)
