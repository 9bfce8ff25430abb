"""Studies over a real home: planned from the register, priced, run now or by jobs, and sessions that people lead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.errors import BadProtocol, InputError, NotFound, RuleError
from emeritus.interview.protocols.protocol import load
from emeritus.interview.sessions.led import Question
from emeritus.jobs.base import JobStatus
from emeritus.lifecycle.axes import parse_when
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement
from emeritus.records.tables import InterviewSession
from emeritus.settings import load as settings
from emeritus.studying import Request
from emeritus.upkeep import INTERVIEW, enqueue_study

ANA = Actor("ana")
NAME, SIBLING, ASKER = "voice-1", "voice-2", "asker-1"
SCRIPT: dict[str, Any] = {
    "rules": [
        {"match": "Which preference", "answer": "No preference."},
        {"match": "weather", "answer": "It rains. " * 40},
    ],
    "default": "An answer.",
}
PROTOCOL = load()
SMALL = Request(cells=2, repeats=2)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A home with three residents for whom scripts answer; the weights of none are held."""
    chosen = settings(home=tmp_path / "home", interview_parallel=1)
    App.create(chosen, ANA, keep=set())
    opened = App.open(chosen)
    for name in (NAME, SIBLING, ASKER):
        opened.lifecycle.register(Registration(name, engine="scripted", options=SCRIPT, weights_held=False), ANA)
    yield opened
    opened.close()


def announce(app: App, name: str) -> None:
    """Announce a resident's retirement."""
    app.lifecycle.announce(
        name, Announcement(parse_when("2099-01-01"), parse_when("2099-06-01"), "A successor is in use."), ANA
    )


def saved(app: App, request: Request = SMALL) -> str:
    """A study, planned and logged; its id."""
    study = app.studying.plan(NAME, PROTOCOL, request, ANA)
    app.studying.log(study, PROTOCOL, ANA)
    return study.id


def held(app: App) -> list[InterviewSession]:
    """Every finished session."""
    with app.database.reading() as session:
        return list(session.scalars(select(InterviewSession).order_by(InterviewSession.id)))


async def test_a_study_is_planned_and_run_with_its_sibling(app: App) -> None:
    """Resident and sibling are asked the same; where it stands is said; run again, nothing is left."""
    announce(app, SIBLING)
    study = saved(app, replace(SMALL, sibling=SIBLING))
    assert app.studying.standing(study) == {"study": study, "resident": NAME, "sessions": 12, "over": 0}
    seen: list[tuple[int, int]] = []
    done = await app.studying.run(study, ANA, 3, lambda _, turns, total: seen.append((turns, total)), NAME)
    assert done["over"] == 12
    assert {(row.resident, row.condition["control"]) for row in held(app)} == {(NAME, None), (SIBLING, "sibling")}
    assert max(turns for turns, _ in seen) == 6 * len(PROTOCOL.items)
    assert app.studying.waiting(study) == []
    assert (await app.studying.run(study, ANA))["over"] == 12
    with pytest.raises(InputError, match="not of 'voice-2'"):
        app.studying.standing(study, SIBLING)
    await app.close_residency()


async def test_a_sibling_that_is_not_being_retired_is_refused(app: App) -> None:
    """The protocol would tell it something that is not true."""
    with pytest.raises(RuleError, match="not announced to be retired"):
        app.studying.plan(NAME, PROTOCOL, replace(SMALL, sibling=SIBLING), ANA)
    app.studying.plan(NAME, PROTOCOL, replace(SMALL, sibling=SIBLING, control=False), ANA)
    with pytest.raises(NotFound):
        app.studying.plan(NAME, PROTOCOL, replace(SMALL, sibling="nobody"), ANA)


async def test_planning_records_nothing(app: App) -> None:
    """Neither plan nor estimate nor probe leaves an act or a journal."""
    size = app.ledger.size
    study = app.studying.plan(NAME, PROTOCOL, SMALL, ANA)
    app.studying.estimate(study, PROTOCOL, 2)
    await app.studying.probe(NAME, PROTOCOL, 2)
    await app.close_residency()
    assert app.ledger.size == size
    assert list((app.settings.home / "journals").iterdir()) == []


async def test_a_probe_measures_the_engine(app: App) -> None:
    """So many calls at once; its tokens are the engine's own; the estimate says that it was measured."""
    speed = await app.studying.probe(NAME, PROTOCOL, 3)
    await app.close_residency()
    assert "3 calls at once" in speed.how
    assert speed.completion_tokens_per_s > 0
    assert 0.2 < speed.tokens_per_assumed < 2  # the script counts words
    study = app.studying.plan(NAME, PROTOCOL, SMALL, ANA)
    found = app.studying.estimate(study, PROTOCOL, 3, speed)
    assert any("measured by a probe" in line for line in found.how)


async def test_an_interviewer_model_is_woken_beside_the_resident(app: App) -> None:
    """It is another resident; what it adds stands in the transcripts under its name; what is told says a model asks."""
    request = replace(SMALL, interviewer=ASKER, follow_ups=1, after=("voice",))
    study = saved(app, request)
    await app.studying.run(study, ANA, 2)
    await app.close_residency()
    transcripts = [app.interviews.transcript(row.id) for row in held(app)]
    assert len(transcripts) == 6
    for transcript in transcripts:
        (added,) = [turn for turn in transcript.turns if turn.by is not None]
        assert (added.item, added.question, added.by and added.by["name"]) == ("voice+1", "No preference.", ASKER)
        assert transcript.briefing["asked_by"] == "model"
    with pytest.raises(NotFound):
        app.studying.plan(NAME, PROTOCOL, replace(request, interviewer="nobody"), ANA)
    with pytest.raises(BadProtocol):
        app.studying.plan(NAME, PROTOCOL, replace(request, after=("nothing",)), ANA)


class Queue:
    """Jobs that are only remembered, with the state each is said to be in."""

    def __init__(self) -> None:
        self.asked: dict[str, dict[str, Any]] = {}
        self.states: dict[str, str] = {}

    def enqueue(self, name: str, args: dict[str, Any], key: str) -> None:
        """Remember."""
        assert name == INTERVIEW
        self.asked[key] = args

    def status(self, key: str) -> JobStatus | None:
        """What was said of it."""
        return JobStatus(self.states.get(key, "waiting")) if key in self.asked else None


async def test_jobs_hold_a_study_as_a_run_does(app: App) -> None:
    """One job a session, asked for once; a failed one again; run twice, each session is held once."""
    study = saved(app)
    queue = Queue()
    waiting = app.studying.waiting(study)
    assert enqueue_study(queue, study, waiting, ANA) == len(waiting) == 6
    assert enqueue_study(queue, study, waiting, ANA) == 0
    queue.states[f"interview:{waiting[0]}:1"] = "failed"
    assert enqueue_study(queue, study, waiting, ANA) == 1
    assert f"interview:{waiting[0]}:2" in queue.asked
    work = app.upkeep(asyncio.get_running_loop())
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(4) as workers:  # threads of their own, as the queue's are: sessions need the loop's
        given = [json.loads(json.dumps(args)) for args in queue.asked.values()]
        found = await asyncio.gather(*(loop.run_in_executor(workers, work.interview, args) for args in given))
    assert {each["status"] for each in found} == {"complete"}
    rows = held(app)
    assert [row.id for row in rows] == sorted(waiting)
    await app.close_residency()


async def test_a_person_leads_a_session(app: App) -> None:
    """What the model is told says that a person asks; the session is theirs, and an act in the end."""
    session = app.studying.open_led(NAME, PROTOCOL, ANA)
    turn = await app.studying.ask(session, Question(item="users"), ANA)
    assert turn.answer == "No preference."
    own = await app.studying.ask(session, Question(words="What else?"), ANA)
    assert own.answer == "An answer."
    app.interviews.led.end(session, ANA)
    await app.close_residency()
    (row,) = held(app)
    assert row.condition["interviewer"] == {"kind": "person", "name": "ana"}
    assert app.interviews.transcript(session).briefing["asked_by"] == "person"


@pytest.mark.slow
async def test_the_real_queue_holds_a_study_while_the_house_serves(app: App) -> None:
    """Jobs asked for by one process are run by the worker of another, beside a run of the same study."""
    study = saved(app)
    queue = app.queue()
    await asyncio.to_thread(enqueue_study, queue, study, app.studying.waiting(study), ANA)
    await asyncio.to_thread(queue.stop, 0)
    work = app.upkeep(asyncio.get_running_loop())
    await asyncio.to_thread(work.start)
    try:
        for _ in range(600):
            if not app.studying.waiting(study):
                break
            await asyncio.sleep(0.1)
        assert app.studying.standing(study)["over"] == 6
    finally:
        await asyncio.to_thread(work.stop)
        await app.close_residency()
