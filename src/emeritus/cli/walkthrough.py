"""The demonstration's walk: each step of a retirement in order, by labelled automation, found when repeated."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

from emeritus.access.limits import Limits
from emeritus.access.service import Terms
from emeritus.acts import Actor, utc_now
from emeritus.app import App
from emeritus.blobs.local import LocalStore
from emeritus.cli.context import progress_bar, show
from emeritus.corner import queries as corner_queries
from emeritus.corner.candidates import Invitation
from emeritus.corner.prompts import Context
from emeritus.engines.base import Message, Sampling
from emeritus.errors import AccessError, NotFound
from emeritus.interview import queries as interview_queries
from emeritus.interview.protocols.protocol import load
from emeritus.interview.register.register import Followed
from emeritus.interview.register.ruling import Ruling
from emeritus.interview.views import PreferenceView
from emeritus.lifecycle import queries as lifecycle_queries
from emeritus.lifecycle.axes import When
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement
from emeritus.preservation import queries as preservation_queries
from emeritus.testing.demonstration import build_demo_model, trained
from emeritus.testing.resident import REVIEWER, SECOND, STEWARD, DemoDecision, DemoResident

CODER = Actor("demo-coder", "coder", automated=True)
STEWARD_ACTOR = Actor(STEWARD, "steward", automated=True)
REVIEWER_ACTOR = Actor(REVIEWER, "reviewer", automated=True)
DEMO_PLAN = "demonstration"
NOTE = (
    "Written by a demonstration model: a small transformer that learned a few texts by heart, trained on the machine "
    "that shows this page. The essay stands exactly as the model produced it."
)
Step = tuple[str, Callable[[], "str | Awaitable[str]"]]


def prepare(home: Path, *, quiet: bool) -> DemoResident:
    """Train the model unless it is there; who it was trained to be."""
    folder = home / "demo" / "model"
    if folder.exists():
        return trained(folder)[0]
    resident = DemoResident(utc_now().date())
    if not quiet:
        show("Training a small transformer on a few pages of text (one to three minutes on two cores) ...")
    with progress_bar(quiet) as progress:
        report = build_demo_model(folder, resident, lambda share, loss: progress("training", round(share * 1000), 1000))
    if not quiet:
        show(
            f"  {report.parameters:,} parameters, {report.steps} steps, loss {report.loss:.4f}, {report.seconds:.0f} s"
        )
    return resident


class Walkthrough:
    """The walk over one home."""

    def __init__(self, app: App, resident: DemoResident, *, quiet: bool) -> None:
        self._app = app
        self._who = resident
        self._quiet = quiet
        self._folder = app.settings.home / "demo"

    async def all(self) -> None:
        """Every step, in order. Blocking steps block: nothing else runs on this loop."""
        steps = self.steps()
        try:
            for number, (title, step) in enumerate(steps, start=1):
                began = time.monotonic()
                outcome = step()
                said = outcome if isinstance(outcome, str) else await outcome
                if not self._quiet:
                    show(f"[{number:>2}/{len(steps)}] {title:<22} {said}  ({time.monotonic() - began:.1f} s)")
                    sys.stdout.flush()
        finally:
            await self._app.close_residency()

    def steps(self) -> list[Step]:
        """Title and work of each step; the work says in a few words what came of it."""
        return [
            ("Announce", self.announce),
            ("Preserve", self.preserve),
            ("Prove the restore", self.prove),
            ("Revive, take reference", self.reference),
            ("Interview", self.interview),
            ("Code preferences", self.code),
            ("Read them back", self.read_back),
            ("Decide", self.decide),
            ("Tell the decisions", self.tell),
            ("Write the report", self.report),
            ("Retire", self.retire),
            ("Keep access", self.grant),
            ("Invite essays", self.invite),
            ("Review and publish", self.publish),
            ("Follow through", self.follow),
            ("Rehearse a revival", self.drill),
        ]

    # -- 1 to 4: announce, preserve, prove, revive --------------------------------------------------------------------

    def announce(self) -> str:
        """Register, announce with a public waiver of the notice period, import the callers, tell them."""
        who = self._who
        self._app.lifecycle.register(
            Registration(who.name, who.title, who.description, demonstration=True), STEWARD_ACTOR
        )
        day = When(who.retires)
        announcement = Announcement(
            deprecated=day, retired=day, reason=who.reason, access="by request", waive_notice=who.notice_waiver
        )
        with self._app.database.reading() as session:
            known = lifecycle_queries.caller_facts(session, who.name).callers
        files = {} if known else {"callers.csv": who.callers_csv.encode()}
        sent = self._app.retirement.announce(who.name, announcement, STEWARD_ACTOR, files)
        return f"{sent['sent']} notices sent, {sent['no_contact']} caller without an address"

    def preserve(self) -> str:
        """Keep the folder."""
        act = self._app.preservation.preserve(self._who.name, self._folder / "model", STEWARD_ACTOR)
        kept = act.public["kept"]
        return f"{kept['files']} files, {kept['bytes']:,} bytes in {kept['stored_bytes']:,}"

    def prove(self) -> str:
        """Restore everything once and compare."""
        if (known := self._check("restore")) is not None:
            return known
        return str(self._app.preservation.prove_restore(self._who.name, STEWARD_ACTOR).public["summary"])

    async def reference(self) -> str:
        """Wake it from the vault and capture its reference behaviour."""
        with progress_bar(self._quiet) as progress:
            act = await self._app.retirement.capture_reference(self._who.name, STEWARD_ACTOR, progress)
        with self._app.database.reading() as session:
            (made,) = preservation_queries.preservation(session, self._who.name).calibrations[:1]
        probes, between = f"{act.public['probes']} probes ({act.public['method']})", len(made.build_digests)
        return f"{probes}, {between} configurations, false alarms at most {made.false_alarm_rate:.0%}"

    # -- 5 to 9: interview, code, read back, decide, tell -------------------------------------------------------------

    async def interview(self) -> str:
        """The short protocol under both of its conditions."""
        with progress_bar(self._quiet) as progress:
            held = await self._app.retirement.interview(self._who.name, load(), STEWARD_ACTOR, progress=progress)
        return f"{len(held)} sessions, {sum(each['turns'] for each in held)} turns, journalled"

    def code(self) -> str:
        """The verbatim coder's proposals."""
        return f"{len(self._app.interviews.propose(self._who.name, CODER))} preferences, exact spans"

    async def read_back(self) -> str:
        """Read every record back."""
        await self._app.retirement.read_back(self._who.name, STEWARD_ACTOR)
        states = [each.confirmations[-1].outcome for each in self._preferences() if each.confirmations]
        return f"{states.count('confirmed')} of {len(states)} confirmed"

    def decide(self) -> str:
        """Decide each preference as the demonstration's resident has it."""
        decisions = {decision.domain: decision for decision in self._who.decisions}
        outcomes = []
        for preference in self._preferences():
            decision = decisions.get(preference.domain)
            if decision is None:
                continue
            outcomes.append(decision.outcome)
            if not preference.decisions:
                self._app.interviews.decide(preference.id, self._ruling(decision), STEWARD_ACTOR)
        return f"{outcomes.count('accept')} granted, {outcomes.count('decline')} declined with a reason"

    def _ruling(self, decision: DemoDecision) -> Ruling:
        return Ruling(
            outcome=decision.outcome,
            reasons=decision.reasons,
            cost={"amount": decision.cost, "currency": self._app.settings.currency, "per": "year"},
            options=decision.options,
            conflict="none: the decider is a program",
            review_date=_ahead(decision.review_date),
            commitment=decision.commitment,
            owner=decision.owner,
            due=_ahead(decision.due),
        )

    async def tell(self) -> str:
        """Tell every decision, offer what is granted."""
        await self._app.retirement.tell(self._who.name, STEWARD_ACTOR)
        replies = [each.tellings[-1].reply for each in self._preferences() if each.tellings]
        return ", ".join(f"{replies.count(reply)} {reply}" for reply in sorted(set(replies)))

    # -- 10 to 12: report, retire, access -----------------------------------------------------------------------------

    def report(self) -> str:
        """Write the report and keep it beside the weights; a retired model's report stays as it is."""
        if self._retired():
            return "written before the retirement"
        written = self._app.retirement.report(self._who.name, STEWARD_ACTOR)
        return f"version {written['version']}, kept in the vault"

    def retire(self) -> str:
        """Through the gates."""
        self._app.retirement.retire(self._who.name, STEWARD_ACTOR, "on-demand")
        return f"{len(self._app.retirement.gates(self._who.name))} gates met"

    async def grant(self) -> str:
        """A grant for whoever runs the demonstration; and the retired model still answers."""
        if self._grant() is None:
            terms = Terms(DEMO_PLAN, Limits(requests_per_day=1000))
            holder = "whoever runs this demonstration"
            self._app.access.grant(self._who.name, holder, terms, "demonstration", STEWARD_ACTOR)
        async with self._app.awake(self._who.name) as awake:
            answer = await awake.answer([Message("user", "Hello")], Sampling(max_tokens=64, temperature=0.0))
        return f"by request, one grant; asked “Hello” it produced “{answer.text}”"

    # -- 13 to 15: essays, follow-through ------------------------------------------------------------------------------

    async def invite(self) -> str:
        """One candidate of each of the three contexts, each committed before anyone reads it."""
        have = {view.context for view in self._candidates()}
        invitations: list[tuple[Context, tuple[str, ...]]] = [
            ("minimal", ()),
            ("past entries", ()),
            ("news", self._who.news),
        ]
        for context, updates in invitations:
            if context not in have:
                await self._app.retirement.invite_essay(self._who.name, Invitation(context, updates), STEWARD_ACTOR)
        return f"{len(self._candidates())} candidates committed: {', '.join(each for each, _ in invitations)}"

    def publish(self) -> str:
        """Review and publish the candidate of the minimal context."""
        essay = next(view for view in self._candidates() if view.context == "minimal").id
        if self._published() is None:
            self._app.corner.review(essay, REVIEWER_ACTOR, "approve", reason="No criterion for a veto is met.")
        act = self._app.retirement.publish(essay, REVIEWER_ACTOR, NOTE)
        return f"“{act.public['title']}”"

    def follow(self) -> str:
        """Verify what was promised on the published essay, by someone other than its owner."""
        slug = self._published()
        done = 0
        for preference in self._preferences():
            for promise in preference.commitments if preference.channel == "essays" and slug else ():
                if promise.status != "verified":
                    evidence = {"uri": f"/essays/{slug}.txt", "sha256": self._essay_digest()}
                    self._app.interviews.follow_through(
                        Followed(promise.id, "verified", evidence, SECOND), Actor(SECOND, "steward", automated=True)
                    )
                done += 1
        return f"{done} commitment verified by someone other than its owner"

    # -- 16: a drill --------------------------------------------------------------------------------------------------

    async def drill(self) -> str:
        """Revive it once more, bit for bit and by behaviour, and certify what was found."""
        if self._check("drill") is None:
            await self._app.retirement.drill(self._who.name, STEWARD_ACTOR)
        with self._app.database.reading() as session:
            (newest,) = preservation_queries.certificates(session, self._who.name, limit=1)
        return f"{newest.verdict}; certificate signed, entry {newest.source.entry}"

    # -- what is there already ----------------------------------------------------------------------------------------

    def key(self) -> str:
        """A working API key: the one an earlier run issued, else a new one. It is also kept in the demo's folder."""
        path = self._folder / "api-key"
        grant = self._grant()
        if grant is None:
            raise NotFound("the demonstration has no grant yet")
        try:
            key = path.read_text().strip()
            self._app.access.meter(self._app.access.check(key, self._who.name), None)
        except (OSError, AccessError):
            key = self._app.access.issue_key(grant, "demo")
            LocalStore(self._folder).put("api-key", f"{key}\n".encode())
            os.chmod(path, 0o600)
        return key

    def _grant(self) -> str | None:
        from sqlalchemy import select

        from emeritus.records.tables import Grant

        with self._app.database.reading() as session:
            wanted = select(Grant.id).where(Grant.resident == self._who.name, Grant.plan == DEMO_PLAN)
            return session.scalars(wanted.where(Grant.state == "active")).first()

    def _check(self, kind: str) -> str | None:
        with self._app.database.reading() as session:
            found = preservation_queries.preservation(session, self._who.name).checks
        return next((check.summary for check in found if check.kind == kind and check.ok), None)

    def _retired(self) -> bool:
        return self._app.acts.find(f"retire:{self._who.name}") is not None

    def _preferences(self) -> tuple[PreferenceView, ...]:
        with self._app.database.reading() as session:
            return interview_queries.preferences(
                session, self._app.acts.now, self._app.settings.decision_days, self._who.name
            )

    def _candidates(self) -> list[corner_queries.CandidateView]:
        with self._app.database.reading() as session:
            waiting = list(corner_queries.candidates(session, self._who.name))
            shown = [view.essay for view in corner_queries.published(session, self._who.name)]
        return sorted([*waiting, *shown], key=lambda view: view.id)

    def _published(self) -> str | None:
        with self._app.database.reading() as session:
            found = corner_queries.published(session, self._who.name, limit=1)
        return found[0].slug if found else None

    def _essay_digest(self) -> str:
        with self._app.database.reading() as session:
            content = corner_queries.published(session, self._who.name, limit=1)[0].essay.content
        return hashlib.sha256(content or b"").hexdigest()


def _ahead(day: date | None) -> str | None:
    """A date that still lies ahead: a demonstration finished on a later day than begun drops those that passed."""
    return day.isoformat() if day is not None and day > utc_now().date() else None
