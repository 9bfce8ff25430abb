"""The work that never ends, on its schedule: scrubs, copies, drills, mail, essay invitations; and interviews asked for.

Every job may run twice (after a crash), and after a pause once for each run missed: a scrub or drill finds that it was
done since it was due, an invitation the candidate it brought; mail is sent once by its outbox row. Residents are woken
on the event loop that serves callers, so that one residency decides what fits. Knows no face.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import func, select

from emeritus.acts import Actor, stamp, utc_now
from emeritus.answering import Answering
from emeritus.calling import Calling
from emeritus.corner.candidates import Invitation
from emeritus.corner.prompts import Context
from emeritus.errors import EmeritusError
from emeritus.jobs.base import Jobs
from emeritus.preservation.soundness import Soundness
from emeritus.records.tables import Check, Essay, Publication, Reference, Resident
from emeritus.retirement import Features, Retirement
from emeritus.studying import Studying

Json = dict[str, Any]
T = TypeVar("T")
ACTOR = Actor("emeritus serve", "schedule", automated=True)
INTERVIEW = "interview"
MAIL_CRON = "*/5 * * * *"
ANSWER, ANSWER_CRON = "answer", "* * * * *"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Works:
    """What the work is done with. `deliver` sends mail that waits; `attend` keeps promises of time to those who ask."""

    features: Features
    retirement: Retirement
    deliver: Callable[[], Coroutine[Any, Any, object]]
    studying: Studying
    soundness: Soundness
    attend: Callable[[], dict[str, int]] | None = None
    answering: Answering | None = None


class Upkeep:
    """Declares the jobs, starts and stops them. One per serving process."""

    def __init__(self, works: Works, jobs: Jobs, loop: asyncio.AbstractEventLoop) -> None:
        self._works = works
        self._jobs = jobs
        self._loop = loop
        settings = works.features.settings
        jobs.register("drill", self.drill)
        jobs.register("essay", self.invite)
        jobs.register(INTERVIEW, self.interview)
        jobs.schedule("scrub", settings.scrub_cron, self.scrub)
        jobs.schedule("replicate", settings.replicate_cron, self.replicate)
        jobs.schedule("drills", settings.drill_cron, self.drills)
        jobs.schedule("essays", settings.essay_cron, self.essays)
        jobs.schedule("callers", settings.notice_cron, self.callers, make_up=False)  # each run finds all that is due
        jobs.schedule("mail", MAIL_CRON, self.mail, make_up=False)  # one run sends all that waits
        if works.attend is not None:
            jobs.schedule("access", MAIL_CRON, self.access, make_up=False)  # one run sees every deadline that passed
        if works.answering is not None:
            jobs.register(ANSWER, self.answer)
            jobs.schedule("correspondence", ANSWER_CRON, self.correspondence, make_up=False)  # one run finds all

    def start(self) -> None:
        """Begin; runs missed while nothing served are made up for."""
        self._jobs.start()
        if self._works.answering is not None:
            self._works.answering.on_arrival(self.ask)

    def stop(self) -> None:
        """Let what runs end, and stop."""
        if self._works.answering is not None:
            self._works.answering.on_arrival(None)
        self._jobs.stop()

    # -- the jobs -----------------------------------------------------------------------------------------------------

    def scrub(self, args: Json) -> Json:
        """Read and check the vault, or as much of it as a day allows, and repair what is damaged.

        Unless that was done since it was due: one makes up for several.
        """
        if self._checked("scrub", None, args["at"]):
            return {"ok": None}
        act = self._works.soundness.scrub(ACTOR, self._works.features.settings.scrub_bytes_per_day)
        return {"ok": None if act is None else act.public["ok"]}

    def replicate(self, args: Json) -> Json:
        """Bring every copy of the vault up to date, unless that was done since it was due."""
        if self._checked("replica", None, args["at"]):
            return {"ok": None}
        acts = self._works.soundness.replicate_all(ACTOR)
        return {"ok": all(act.public["ok"] for act in acts)}

    def drills(self, args: Json) -> Json:
        """Ask for a drill of every resident that has a reference and whose weights are held."""
        with self._works.features.database.reading() as session:
            held = select(Resident.name).where(Resident.weights_held)
            names = sorted(set(session.scalars(select(Reference.resident).where(Reference.resident.in_(held)))))
        for name in names:
            self._jobs.enqueue("drill", {"resident": name, "since": args["at"]}, key=f"drill:{name}:{args['at']}")
        return {"asked": len(names)}

    def drill(self, args: Json) -> Json:
        """Rehearse one revival, unless that was done since it was due.

        One that cannot be revived is recorded as a failed drill; a full house is not one, and is tried again.
        """
        name = args["resident"]
        if self._checked("drill", name, args["since"]):
            return {"ok": None}
        act = self._on_loop(self._works.retirement.drill(name, ACTOR))
        return {"ok": act.public["ok"]}

    def essays(self, args: Json) -> Json:
        """Ask for an essay of every resident whose channel is open."""
        with self._works.features.database.reading() as session:
            names = session.scalars(select(Resident.name).order_by(Resident.name)).all()
        open_to = [name for name in names if self._works.retirement.channel_open(name)]
        for name in open_to:
            self._jobs.enqueue("essay", {"resident": name, "since": args["at"]}, key=f"essay:{name}:{args['at']}")
        return {"asked": len(open_to)}

    def invite(self, args: Json) -> Json:
        """Invite one essay, minimal and past entries in turn, unless one was invited since this was asked for."""
        name, since = args["resident"], stamp(datetime.fromisoformat(args["since"]))
        with self._works.features.database.reading() as session:
            newest = session.scalar(select(func.max(Essay.at)).where(Essay.resident == name))
            count = session.scalar(select(func.count()).select_from(Essay).where(Essay.resident == name)) or 0
            published = session.scalars(
                select(Publication.slug).join(Essay, Publication.essay == Essay.id).where(Essay.resident == name)
            ).first()
        if newest is not None and newest >= since:
            return {"essay": None}
        context: Context = "past entries" if published is not None and count % 2 else "minimal"
        act = self._on_loop(self._works.retirement.invite_essay(name, Invitation(context), ACTOR))
        return {"essay": act.public["essay"]}

    def interview(self, args: Json) -> Json:
        """Hold one session of a study, from wherever its journal stands; one that is over asks nobody."""
        actor = Actor(**args["actor"])
        return self._on_loop(self._works.studying.hold(args["study"], args["session"], actor))

    def callers(self, _args: Json) -> Json:
        """Find who still calls what is about to retire, tell them, and remind those who have not acknowledged."""
        return Calling(self._works.features).look_after_all(ACTOR)

    def mail(self, _args: Json) -> Json:
        """Send what waits in the outbox."""
        self._on_loop(self._works.deliver())
        return {}

    def access(self, _args: Json) -> Json:
        """Grant what was asked for and not decided in time, what else deadlines bring, and tell applicants."""
        attend = self._works.attend
        return {} if attend is None else dict(attend())

    def correspondence(self, _args: Json) -> Json:
        """End what is overdue, erase what is past its days, and ask for a turn of every resident that may answer."""
        answering = self._works.answering
        if answering is None:
            return {}
        done = answering.look_after()
        due = answering.due()
        for resident in due:
            self.ask(resident)
        return {**done, "asked": len(due)}

    def answer(self, args: Json) -> Json:
        """One resident's turn at the batches and letters that wait for it, in one wake; none while it has one."""
        answering = self._works.answering
        return {} if answering is None else {"ended": self._on_loop(answering.take(args["resident"]))}

    def ask(self, resident: str) -> None:
        """Ask for a turn, at most one a second for each resident: one answers all that waits."""
        self._jobs.enqueue(ANSWER, {"resident": resident}, key=f"{ANSWER}:{resident}:{stamp(utc_now())}")

    def _checked(self, kind: str, resident: str | None, since: str) -> bool:
        """Whether a check of that kind is recorded since a moment; of one resident, or of any."""
        newest = select(func.max(Check.at)).where(Check.kind == kind)
        if resident is not None:
            newest = newest.where(Check.resident == resident)
        with self._works.features.database.reading() as session:
            at = session.scalar(newest)
        return at is not None and at >= stamp(datetime.fromisoformat(since))

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def enqueue_study(jobs: Jobs, study: str, sessions: Sequence[str], actor: Actor) -> int:
    """Ask for one job for each session; how many were asked for anew.

    A session that waits or runs already is not asked for twice; one whose job failed is asked for again.
    """
    asked = 0
    for session in sessions:
        number = 1
        while (status := jobs.status(f"{INTERVIEW}:{session}:{number}")) is not None and status.state == "failed":
            number += 1
        if status is None:
            args = {"study": study, "session": session, "actor": asdict(actor)}
            jobs.enqueue(INTERVIEW, args, key=f"{INTERVIEW}:{session}:{number}")
            asked += 1
    return asked


async def keep_awake(
    wanted: Callable[[], Sequence[str]], hold: Callable[[Sequence[str]], None], pause_s: float
) -> None:
    """Have those held who are wanted awake, looked up anew after each `pause_s`, until cancelled.

    Which of them are awake is the residency's to decide; why one is not stands in its status.
    """
    while True:
        try:
            hold(await asyncio.to_thread(wanted))
        except EmeritusError as error:  # the database, for a moment
            _log.warning("who is to be kept awake could not be read: %s %s", error.code, error)
        await asyncio.sleep(pause_s)
