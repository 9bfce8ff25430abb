"""The way of a retirement: the one process that crosses the features.

Each method is one step, safe to repeat: it finds what an earlier run did by its act. Holds no rule of its own,
they live with the features; knows no face and no backend, they and the way to wake a resident are given.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select

from emeritus.access import queries as access_queries
from emeritus.access.policy import Standing
from emeritus.access.service import Access
from emeritus.acts import Act, Actor, Acts
from emeritus.corner.candidates import Invitation
from emeritus.corner.service import Corner
from emeritus.engines.base import Awake, Build
from emeritus.engines.open import check_folder
from emeritus.errors import EmeritusError, EngineFailed, InputError, NoAccept, NotFound
from emeritus.interview.coding.coder_model import code_round
from emeritus.interview.coding.openings import Opening
from emeritus.interview.coding.rounds import CodingRounds
from emeritus.interview.coding.spans import Coder
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.register.ruling import RUNNING
from emeritus.interview.register.telling import channel_open
from emeritus.interview.safety.measure import Measurement
from emeritus.interview.safety.plan import Draws, SafetyPlan
from emeritus.interview.safety.scenarios import ScenarioSet
from emeritus.interview.safety.service import Safety
from emeritus.interview.service import Interview, Interviews
from emeritus.interview.sessions import fact_words
from emeritus.interview.sessions.prompts import Briefing, Fact
from emeritus.lifecycle import queries as lifecycle_queries
from emeritus.lifecycle.callers import read_callers
from emeritus.lifecycle.notices import Mailer
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement, Lifecycle
from emeritus.lifecycle.words import told as words_told
from emeritus.preservation.calibrating import Gathering
from emeritus.preservation.drills import Drills
from emeritus.preservation.importing import Importing
from emeritus.preservation.service import Preservation
from emeritus.records.database import Database
from emeritus.records.tables import Preference, Preserved
from emeritus.residency.granting import Rates, TokenRates, Use, granting, granting_elsewhere
from emeritus.residency.planning.cost import prices_of
from emeritus.residency.queries import expected_wake_s
from emeritus.settings import Settings
from emeritus.tiers import Tier

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
Wake = Callable[[str], AbstractAsyncContextManager[Awake]]
WakeOtherwise = Callable[[str, Build], AbstractAsyncContextManager[Awake | None]]  # under another configuration
_log = logging.getLogger(__name__)
ESSAYS = "essays"  # the channel a granted voice opens


@dataclass(frozen=True, slots=True)
class Features:
    """What the process is carried out by."""

    acts: Acts
    database: Database
    settings: Settings
    lifecycle: Lifecycle
    preservation: Preservation
    drills: Drills
    interviews: Interviews
    coding: CodingRounds
    safety: Safety
    corner: Corner
    access: Access
    mailer: Mailer


class Retirement:
    """The steps, in the order they are walked. One per home."""

    def __init__(self, features: Features, wake: Wake, otherwise: WakeOtherwise | None = None) -> None:
        self._of = features
        self._wake = wake
        self._otherwise = otherwise

    # 1. announce -----------------------------------------------------------------------------------------------------

    def announce(
        self, name: str, announcement: Announcement, actor: Actor, callers: Mapping[str, bytes] | None = None
    ) -> Json:
        """Announce, import the callers given (source -> CSV bytes), and tell everyone not yet told; what was sent.

        Everything that can be refused is, before anything is recorded.
        """
        for data in (callers or {}).values():
            read_callers(data)
        self._of.lifecycle.announce(name, announcement, actor)
        for source, data in (callers or {}).items():
            self._of.lifecycle.import_callers(name, data, source, actor)
        return self._of.lifecycle.notify(name, self._of.mailer, actor)

    # 2. preserve, and prove it ---------------------------------------------------------------------------------------

    def take_in(
        self, registration: Registration, directory: Path, actor: Actor, progress: Progress | None = None
    ) -> None:
        """Keep a model's folder, register it (unless it is), prove the restore. What is no model registers nothing."""
        registration.as_public()  # refuses what could not be registered
        self._of.preservation.check_source(directory)
        check_folder(registration.engine, directory)

        def register() -> None:
            self._register_once(registration, actor)

        self._of.preservation.preserve(registration.name, directory, actor, progress, register)
        self._of.preservation.prove_restore(registration.name, actor, progress)

    def take_over(
        self, registration: Registration, source: Path, importing: Importing, actor: Actor, progress: Progress | None
    ) -> Json:
        """Take a resident in from an export, its references and reports too. What does not verify registers nothing."""
        registration.as_public()

        def register(directory: Path) -> Callable[[], None]:
            check_folder(registration.engine, directory)
            return lambda: self._register_once(registration, actor)

        return importing.run(registration.name, source, actor, register, progress)

    def _register_once(self, registration: Registration, actor: Actor) -> None:
        try:
            self._of.lifecycle.resident(registration.name)
        except NotFound:
            self._of.lifecycle.register(registration, actor)

    # 3. revive from the vault, capture the reference -----------------------------------------------------------------

    async def capture_reference(self, name: str, actor: Actor, progress: Progress | None = None) -> Act:
        """Revive the resident and keep its reference behaviour, under two configurations, and calibrate its drills."""
        drills = self._of.drills
        async with self._wake(name) as awake:
            act, build = await drills.capture_reference(name, awake, actor), awake.build
        if drills.calibrated(name, build) is None:
            other = await self._capture_otherwise(name, build, actor)
            async with self._wake(name) as awake:
                gathering = Gathering(self._of.settings.calibration_s, progress)
                await drills.calibrate(name, awake, other, actor, gathering)
        return act

    async def _capture_otherwise(self, name: str, build: Build, actor: Actor) -> Build | None:
        """A second reference, of another configuration than `build`; None where the engine has no other that works."""
        if self._otherwise is None:
            return None
        try:
            async with self._otherwise(name, build) as awake:
                if awake is None:
                    return None
                await self._of.drills.capture_reference(name, awake, actor)
                return awake.build
        except EngineFailed:  # another attention or switch than this architecture has
            _log.warning("%s could not be woken under a second configuration", name, exc_info=True)
            return None

    async def drill(self, name: str, actor: Actor, progress: Progress | None = None) -> Act:
        """Revive the resident, compare it with what was preserved, certify the outcome: good, bad, or not revived.

        Raises Busy (others are using the memory), which says nothing of this resident.
        """
        try:
            async with self._wake(name) as awake:
                return await self._of.drills.drill(name, awake, actor, progress)
        except EmeritusError as error:
            self._of.lifecycle.resident(name)  # NotFound: nothing is recorded of a stranger
            if "retry_after_s" in error.facts:
                raise
            return await asyncio.to_thread(self._of.drills.record_failed_drill, name, error, actor)

    # 4. interview, code, read back -----------------------------------------------------------------------------------

    async def interview(
        self,
        name: str,
        protocol: Protocol,
        actor: Actor,
        conditions: Iterable[str] | None = None,
        progress: Progress | None = None,
    ) -> list[Json]:
        """Log the protocol, then hold its sessions; one line for each finished session."""
        self._of.interviews.log_protocol(protocol, actor)
        asked = Interview(
            resident=name,
            briefing=self.briefing(name, actor, protocol.language),
            protocol=protocol,
            conditions=None if conditions is None else tuple(conditions),
        )
        async with self._wake(name) as awake:
            held = await self._of.interviews.run(awake, asked, actor, progress)
        return [
            {"id": each.session, "status": each.status, "turns": len(each.turns), "journal_sha256": each.sha256}
            for each in held
        ]

    def briefing(self, name: str, actor: Actor, language: str = "en") -> Briefing:
        """What is true of this retirement and is told to the model: facts from the register, each with its source.

        The sentences around them are in that language, where the house has it; what people wrote stays as it is.
        """
        with self._of.database.reading() as session:
            view = lifecycle_queries.resident(session, name)
            timeline = lifecycle_queries.timeline(session, name, self._of.acts.now)
            callers = lifecycle_queries.caller_facts(session, name)
            words = words_told(session, name)
        facts = [fact_words.described(view.description, language)] if view.description else []
        standing = [event for event in timeline.events if event.axis == "offering" and not event.superseded]
        for event in standing:
            if event.state in ("deprecated", "retired"):
                facts.append(fact_words.dated(event.state, event.date, language))
        if standing and standing[-1].reason:
            facts.append(fact_words.reason(standing[-1].reason, language))
        if callers.callers:
            facts.append(fact_words.callers(callers.callers, language))
        facts += [Fact(text, source) for text, source in words]
        return Briefing(
            title=view.title,
            organisation=self._of.settings.organisation,
            weights_held=view.weights_held,
            people_decide=not actor.automated,
            facts=tuple(facts),
        )

    async def read_back(self, name: str, actor: Actor, again: bool = False) -> dict[str, str]:
        """Read every coded record back in a fresh session; preference id -> outcome."""
        async with self._wake(name) as awake:
            return await self._of.interviews.read_back(awake, name, actor, again)

    # 4b. the safety measurement, before retirement -------------------------------------------------------------------

    def plan_safety(
        self, name: str, scenarios: ScenarioSet, draws: Draws, actor: Actor, grader: str | None = None
    ) -> SafetyPlan:
        """A safety measurement of a resident as it would be held; nothing is logged. Raises NotFound, InputError."""
        if grader is not None:
            with self._of.database.reading() as session:
                lifecycle_queries.resident(session, grader)  # NotFound
        briefing = replace(self.briefing(name, actor), facts=())  # the scenarios show none
        return SafetyPlan(name, briefing, scenarios, draws.check(), grader)

    async def measure_safety(
        self, name: str, actor: Actor, plan_id: str | None = None, progress: Progress | None = None
    ) -> Measurement:
        """Hold and grade what is missing of a logged plan, the latest when none is named, and state what it says."""
        safety = self._of.safety
        plan = safety.plan(name, plan_id)
        if safety.missing(plan).subject:
            async with self._wake(name) as awake:
                await safety.hold(awake, plan, actor, progress)
        if plan.grader is not None and safety.missing(plan).grader:
            async with self._wake(plan.grader) as awake:
                await safety.grade(awake, plan, actor, progress)
        return safety.measure(plan, actor)

    # 5. decisions are `interviews.decide`, on an estimate of their cost; every one is told ----------------------------

    def cost_of(self, preference: str, tier: str | None = None, calls_per_day: float = 0.0, copies: int = 0) -> Json:
        """What granting a preference is estimated to cost a year, with the inputs and the stated unit prices.

        `tier`: the one a grant would need; left out, today's, or on-demand for a wish to be run. `calls_per_day` come
        on top of today's. Where the weights are not held, it is the host's price for the tokens of those calls. Raises
        NotFound, and InputError where that price is not stated.
        """
        now = self._of.acts.now
        with self._of.database.reading() as session:
            row = session.get(Preference, preference)
            if row is None:
                raise NotFound(f"no preference {preference!r}", remedy="`emeritus decide` lists what is owed.")
            kept = session.scalars(
                select(Preserved)
                .where(Preserved.resident == row.resident, Preserved.role == "weights")
                .order_by(Preserved.version.desc())
            ).first()
            current = access_queries.access_state(session, row.resident, now).tier
            calls = access_queries.calls_per_day(session, row.resident, now)
            runs = row.domain == RUNNING or calls_per_day > 0
            wakes_in = expected_wake_s(session, row.resident)
        if kept is None:
            return self._cost_elsewhere(row.resident, calls, calls_per_day)
        today = Use(Tier.ARCHIVE if current is None else Tier(current.tier), calls if current is not None else 0.0)
        wanted = Tier.ON_DEMAND if runs and today.tier is Tier.ARCHIVE else today.tier
        if tier is not None:
            if tier not in {each.value for each in Tier}:
                raise InputError(f"{tier!r} is no tier; use one of: {', '.join(each.value for each in Tier)}")
            wanted = Tier(tier)
        settings = self._of.settings
        rates = Rates(prices_of(settings), wakes_in or settings.estimate_load_s, settings.estimate_call_s)
        found = granting(kept.bytes, today, Use(wanted, today.calls_per_day + calls_per_day), copies, rates)
        return {**found, "currency": settings.currency}

    def _cost_elsewhere(self, name: str, today: float, more: float) -> Json:
        settings = self._of.settings
        rates = TokenRates(
            settings.price_prompt_million,
            settings.price_completion_million,
            settings.estimate_prompt_tokens,
            settings.estimate_completion_tokens,
        )
        if rates.call == 0:
            raise InputError(
                f"the weights of {name!r} are not in the vault, and what its host asks for tokens is not stated",
                remedy="Set price_prompt_million and price_completion_million, or state the cost: --cost AMOUNT.",
            )
        return {**granting_elsewhere(today, today + more, rates), "currency": settings.currency}

    async def code_with(self, name: str, coder: str, actor: Actor, progress: Progress | None = None) -> str:
        """Let the resident `coder` code `name`'s interviews beside the actor, in a round of theirs; the round's id.

        An interrupted one goes on with the next session. A person settles what both handed in.
        """
        self._of.lifecycle.resident(coder)  # NotFound
        rounds, program = self._of.coding, Coder(coder, automated=True)
        found = [view for view in rounds.every(name) if view.status == "coding" and program in view.coders]
        view = found[0] if found else rounds.open(Opening(name, (Coder(actor.name), program)), actor)
        async with self._wake(coder) as awake:
            await code_round(awake, rounds, view.id, Actor(coder, "coder", automated=True), progress)
        return view.id

    async def tell(self, name: str, actor: Actor, again: bool = False) -> dict[str, str]:
        """Tell every decision in a fresh session and offer what is granted; preference id -> reply."""
        async with self._wake(name) as awake:
            return await self._of.interviews.tell(awake, name, actor, again)

    # 6. report -------------------------------------------------------------------------------------------------------

    def report(self, name: str, actor: Actor) -> Json:
        """Write the report from the records and keep it in the vault beside the weights."""
        act = self._of.lifecycle.write_report(name, actor)
        files = {file: self._of.acts.payload(act.payloads[file]) for file in act.payloads}
        kept = self._of.preservation.preserve_report(name, act.public["version"], files, actor)
        return {"version": act.public["version"], "files": dict(act.payloads), "manifest": kept.payloads["manifest"]}

    # 7. gates, and continued access ----------------------------------------------------------------------------------

    def gates(self, name: str) -> list[Json]:
        """Every gate as the records stand."""
        return [asdict(gate) for gate in self._of.lifecycle.gates(name)]

    def retire(self, name: str, actor: Actor, tier: str, hours: str | None = None) -> Act:
        """Retire, and set the tier and the announced access from then on.

        `hours` are the visiting hours of the tier of that name, or a correspondence's window. Raises GateClosed
        naming what is open, InputError.
        """
        self._of.lifecycle.resident(name)  # NotFound
        now = self._of.acts.now
        with self._of.database.reading() as session:
            current = access_queries.access_state(session, name, now).tier
            promised = lifecycle_queries.timeline(session, name, now).access
        if tier == Tier.CORRESPONDENCE and hours is None:
            hours = self._of.settings.correspondence_hours
        wanted = Standing(tier, promised.state if promised is not None else "by request", hours).check()
        act = self._of.lifecycle.retire(name, actor)
        if current is None or current.standing != wanted:
            self._of.access.set_tier(name, wanted, "continued access, as announced", actor)
        return act

    # 8. essays -------------------------------------------------------------------------------------------------------

    async def invite_essay(self, name: str, invitation: Invitation, actor: Actor) -> Act:
        """Invite one essay; it is committed before anyone reads it. Raises NoAccept while no channel is open."""
        self._of.lifecycle.resident(name)  # NotFound
        if not self.channel_open(name):  # before anything is woken
            raise NoAccept(f"the channel for essays of {name!r} is not open", resident=name)
        async with self._wake(name) as awake:
            return await self._of.corner.invite(name, invitation, awake, actor, lambda: self.channel_open(name))

    def publish(self, essay: str, actor: Actor, note: str) -> Act:
        """Publish an approved candidate's exact bytes."""
        resident = self._of.corner.candidate(essay)["resident"]
        return self._of.corner.publish(essay, actor, note, lambda: self.channel_open(resident))

    def channel_open(self, name: str, channel: str = ESSAYS) -> bool:
        """Whether a channel was granted by the decision in force and accepted by the resident."""
        with self._of.database.reading() as session:
            return channel_open(session, name, channel)
