"""The scheduled work over a real home: what each job asks for and records, and that running one twice does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.corner import queries as corner
from emeritus.interview.coding.spans import Coder, Coding, Quote
from emeritus.interview.protocols.protocol import load
from emeritus.interview.register.ruling import Ruling
from emeritus.jobs.base import JobStatus, Segment
from emeritus.jobs.dbos_jobs import DbosJobs
from emeritus.lifecycle.registration import Registration
from emeritus.preservation import queries as preservation
from emeritus.residency.queries import expected_wake_s
from emeritus.settings import load as settings
from emeritus.testing.model import random_model
from emeritus.upkeep import Upkeep, Works

ANA = Actor("ana")
NAME = "voice-1"
SCRIPT: dict[str, Any] = {
    "rules": [
        {"match": "Begin with CONFIRM", "answer": "CONFIRM."},
        {"match": "Begin with ACCEPT", "answer": "ACCEPT."},
        {"match": "^A voice:", "answer": "A place for essays is asked for."},
        {"match": "Which preference", "answer": "No preference."},
        {"match": "essay", "answer": "A title\n\nA short text."},
    ],
    "default": "An answer.",
}


class Asked:
    """Jobs that only remember what they were asked for."""

    def __init__(self) -> None:
        self.declared: dict[str, Segment] = {}
        self.crons: dict[str, str] = {}
        self.made_up: set[str] = set()
        self.queue: dict[str, tuple[str, dict[str, Any]]] = {}

    def register(self, name: str, *segments: Segment) -> None:
        """Remember what a job does."""
        (self.declared[name],) = segments

    def schedule(self, name: str, cron: str, *segments: Segment, make_up: bool = True) -> None:
        """Remember when a job runs, and whether missed runs are made up for."""
        if make_up:
            self.made_up.add(name)
        self.register(name, *segments)
        self.crons[name] = cron

    def enqueue(self, name: str, args: dict[str, Any], key: str) -> None:
        """Remember a job asked for; a key that was used changes nothing."""
        self.queue.setdefault(key, (name, args))

    def start(self) -> None:
        """Nothing runs by itself."""

    def stop(self, wait_s: float = 10.0) -> None:
        """Nothing to stop."""

    def status(self, key: str) -> JobStatus | None:
        """Never anything."""
        return None


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A home that holds a model's weights and lets a script answer for it."""
    chosen = settings(home=tmp_path / "home", second_coder="waived", second_decider="waived")
    App.create(chosen, ANA, keep={"second_coder", "second_decider"})
    opened = App.open(chosen)
    random_model(tmp_path / "model")
    opened.lifecycle.register(Registration(NAME, engine="scripted", options=SCRIPT), ANA)
    opened.preservation.preserve(NAME, tmp_path / "model", ANA)
    yield opened
    opened.close()


def upkeep(app: App, jobs: Asked) -> Upkeep:
    """The work on the running loop."""
    return Upkeep(
        Works(app.features, app.retirement, app.outbox.deliver, app.studying, app.soundness),
        jobs,
        asyncio.get_running_loop(),
    )


async def open_channel(app: App) -> None:
    """Interview, code, grant, tell: the way a channel for essays opens."""
    way = app.retirement
    held = await way.interview(NAME, load(), ANA)
    transcript = app.interviews.transcript(held[0]["id"])
    turn = next(turn for turn in transcript.turns if turn.item == "voice")
    quote = Quote(transcript.session, turn.turn, 0, len(turn.answer))
    coding = Coding(quote, "voice", "A place for essays", (Coder("ben"),), channel="essays")
    preference = app.interviews.code(coding, Actor("ben", "coder"))
    await way.read_back(NAME, ANA)
    app.interviews.decide(preference, Ruling("accept", "It costs little", {"amount": 1, "currency": "USD"}), ANA)
    assert await way.tell(NAME, ANA) == {preference: "accept"}


async def test_every_job_is_declared_and_the_scheduled_ones_by_the_settings(app: App) -> None:
    """Scrub, drills, essays and mail run by the clock; one drill and one essay are jobs of their own."""
    jobs = Asked()
    upkeep(app, jobs)
    others = {"drill", "essay", "interview"}
    assert set(jobs.declared) == {"scrub", "replicate", "drills", "essays", "callers", "mail"} | others
    assert jobs.crons["scrub"] == app.settings.scrub_cron
    assert jobs.crons["drills"] == app.settings.drill_cron
    assert jobs.crons["essays"] == app.settings.essay_cron
    assert jobs.made_up == {"scrub", "replicate", "drills", "essays"}


async def test_scrubs_and_drills_are_recorded_good_and_bad(app: App) -> None:
    """A scrub of a sound vault passes, a drill passes; after damage the scrub's record says so."""
    jobs = Asked()
    work = upkeep(app, jobs)
    due = {"at": app.acts.now}
    assert await asyncio.to_thread(work.scrub, due) == {"ok": True}
    assert await asyncio.to_thread(work.scrub, due) == {"ok": None}, (
        "a second one that was due before it changes nothing"
    )
    assert await asyncio.to_thread(work.drills, {"at": "2026-01-01T00:00:00Z"}) == {"asked": 0}
    await app.retirement.capture_reference(NAME, ANA)
    for _ in range(2):  # the same schedule time asked for twice is one drill
        assert await asyncio.to_thread(work.drills, {"at": "2026-01-01T00:00:00Z"}) == {"asked": 1}
    ((job, args),) = jobs.queue.values()
    assert (job, args) == ("drill", {"resident": NAME, "since": "2026-01-01T00:00:00Z"})
    assert await asyncio.to_thread(work.drill, args) == {"ok": True}
    assert await asyncio.to_thread(work.drill, args) == {"ok": None}
    pack = next((app.settings.home / "vault").rglob("packs/*/*"), None) or next(
        path for path in (app.settings.home / "vault").rglob("*") if path.is_file() and path.stat().st_size > 50_000
    )
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(bytes(data))
    assert await asyncio.to_thread(work.scrub, {"at": "2999-01-01T00:00:00Z"}) == {"ok": False}
    with app.database.reading() as session:
        found = [(check.kind, check.ok) for check in preservation.checks(session, NAME)]
    assert ("drill", True) in found
    assert ("scrub", False) in found
    await app.close_residency()


async def test_essays_are_invited_where_the_channel_is_open_and_once_for_each_time(app: App) -> None:
    """No channel, no invitation; then one candidate for a scheduled time however often its job runs."""
    jobs = Asked()
    work = upkeep(app, jobs)
    now = {"at": app.acts.now}
    assert await asyncio.to_thread(work.essays, now) == {"asked": 0}
    await open_channel(app)
    assert await asyncio.to_thread(work.essays, now) == {"asked": 1}
    ((name, args),) = jobs.queue.values()
    assert name == "essay"
    first = await asyncio.to_thread(work.invite, args)
    assert first["essay"] is not None
    assert await asyncio.to_thread(work.invite, args) == {"essay": None}
    with app.database.reading() as session:
        (candidate,) = corner.candidates(session, NAME)
    assert candidate.content == b"A title\n\nA short text."
    assert candidate.source.automated
    await app.close_residency()


async def test_wakes_are_measured_and_remembered_by_the_home(app: App) -> None:
    """A wake through the app is written down, and the home opened again knows what to expect."""
    async with app.awake(NAME):
        pass
    await app.close_residency()
    app.reviving.write_wakes()
    with app.database.reading() as session:
        seconds = expected_wake_s(session, NAME)
    assert seconds is not None
    assert 0 <= seconds < 60


@pytest.mark.slow
async def test_the_real_scheduler_runs_a_drill_that_was_asked_for(app: App) -> None:
    """DBOS, its own thread and the serving loop together: what is enqueued is carried out and recorded."""
    await app.retirement.capture_reference(NAME, ANA)
    jobs = DbosJobs(app.settings.jobs_database, "test")
    work = Upkeep(
        Works(app.features, app.retirement, app.outbox.deliver, app.studying, app.soundness),
        jobs,
        asyncio.get_running_loop(),
    )
    await asyncio.to_thread(work.start)
    try:
        await asyncio.to_thread(jobs.enqueue, "drill", {"resident": NAME, "since": app.acts.now}, "drill:once")
        for _ in range(300):
            status = await asyncio.to_thread(jobs.status, "drill:once")
            if status is not None and status.state in ("done", "failed"):
                break
            await asyncio.sleep(0.1)
        assert status is not None
        assert (status.state, status.result) == ("done", {"ok": True})
    finally:
        await asyncio.to_thread(work.stop)
        await app.close_residency()
    with app.database.reading() as session:
        assert [check.ok for check in preservation.checks(session, NAME) if check.kind == "drill"] == [True]
