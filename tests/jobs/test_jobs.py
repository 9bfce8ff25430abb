"""Jobs survive kills, run once, retry, and make up for missed runs, on SQLite and PostgreSQL."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from job_worker import jobs_for
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from emeritus.errors import AlreadyExists, BadSettings, DatabaseUnavailable, HomeBusy, NotFound
from emeritus.jobs.base import JobStatus, Json
from emeritus.jobs.dbos_jobs import CONCURRENCY, VERSION, DbosJobs

WORKER = Path(__file__).with_name("job_worker.py")


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.05)


def effects(folder: Path) -> list[str]:
    """What the segments noted."""
    path = folder / "effects"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def url(database_url: str) -> str:
    """A database for jobs, of each kind in turn."""
    return database_url


class Workers:
    """Worker processes, all ended with the test."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def start(self, executor: str) -> subprocess.Popen[str]:
        """A worker that has started."""
        process = subprocess.Popen(
            [sys.executable, str(WORKER), self.url, executor, str(self.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("started"), process.communicate()[1]
        return process

    def kill(self, process: subprocess.Popen[str]) -> str:
        """kill -9; returns what it had written to its error stream."""
        os.kill(process.pid, signal.SIGKILL)
        self.running.remove(process)
        return process.communicate()[1]


@pytest.fixture
def workers(url: str, tmp_path: Path) -> Iterator[Workers]:
    """Worker processes on that database."""
    found = Workers(url, tmp_path)
    yield found
    for process in list(found.running):
        found.kill(process)


@pytest.fixture
def asking(url: str, tmp_path: Path) -> Iterator[DbosJobs]:
    """A process that asks for jobs and runs none."""
    jobs = jobs_for(url, "asking", tmp_path)
    yield jobs
    jobs.stop(0)


def done(jobs: DbosJobs, key: str) -> Callable[[], bool]:
    """Whether a job is done."""
    return lambda: (jobs.status(key) or JobStatus("waiting")).state == "done"


def test_a_killed_worker_finishes_after_a_restart_without_repeating(
    workers: Workers, asking: DbosJobs, tmp_path: Path
) -> None:
    """kill -9 in the second segment: the next start repeats that one only, and the result stays."""
    asking.enqueue("chain", {"n": 1}, "k")
    assert asking.status("k") == JobStatus("waiting")
    worker = workers.start("w1")
    until(lambda: effects(tmp_path) == ["first 1", "held 2"])
    until(lambda: asking.status("k") == JobStatus("running"))
    workers.kill(worker)
    (tmp_path / "go").touch()
    worker = workers.start("w1")
    until(done(asking, "k"))
    assert effects(tmp_path) == ["first 1", "held 2", "held 2", "last 20"]
    assert workers.kill(worker) == ""  # nothing on the console
    assert asking.status("k") == JobStatus("done", {"n": 20, "by": "w1"})
    assert asking.status("other") is None


def test_two_workers_share_the_work_and_run_nothing_twice(workers: Workers, asking: DbosJobs, tmp_path: Path) -> None:
    """Forty jobs, asked for twice each, on two workers: each runs once, and both workers take part."""
    (tmp_path / "go").touch()
    for executor in ("w1", "w2"):
        workers.start(executor)
    for number in range(40):
        asking.enqueue("one", {"n": number}, f"k{number}")
        asking.enqueue("one", {"n": -1}, f"k{number}")
    until(lambda: len(effects(tmp_path)) >= 40 and all(done(asking, f"k{number}")() for number in range(40)))
    assert sorted(effects(tmp_path)) == sorted(f"last {number}" for number in range(40))
    results = [asking.status(f"k{number}") for number in range(40)]
    assert {status.result["by"] for status in results if status and status.result} == {"w1", "w2"}


def test_an_executor_id_is_used_by_one_worker_at_a_time(
    workers: Workers, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker of the same id would take up work that still runs: it is refused while the first lives."""
    monkeypatch.setattr("emeritus.jobs.exclusive._WAIT_S", 0.2)
    first = workers.start("w1")
    second = jobs_for(url, "w1", tmp_path)
    with pytest.raises(HomeBusy, match="w1"):
        second.start()
    monkeypatch.undo()
    workers.kill(first)
    second.start()
    second.stop(0)


@pytest.mark.slow
def test_missed_runs_are_made_up_for(workers: Workers, tmp_path: Path) -> None:
    """A schedule by the second: the seconds before its first run and those without a worker are all there, once.

    Each worker lives past the second asking: a run that falls due while a start makes up for others is only then found.
    """
    (tmp_path / "cron").write_text("* * * * * *")
    workers.kill(workers.start("w1"))  # killed before it can have fired, as a rule
    time.sleep(2)
    worker = workers.start("w1")
    until(lambda: len(effects(tmp_path)) >= 4)
    time.sleep(4)
    workers.kill(worker)
    time.sleep(3)
    workers.start("w1")  # makes up for those 3 seconds, and finishes what the kill interrupted
    restarted = datetime.now(UTC)
    time.sleep(4)

    def times() -> list[datetime]:
        lines = [line.removeprefix("tick ").replace("Z", "+00:00") for line in effects(tmp_path)]
        return sorted(datetime.fromisoformat(line) for line in lines)

    def no_gap() -> bool:
        distinct = sorted(set(times()))
        return distinct[-1] > restarted and all(
            later - earlier == timedelta(seconds=1) for earlier, later in pairwise(distinct)
        )

    until(no_gap)
    beats = sorted(
        {datetime.fromisoformat(line.replace("Z", "+00:00")) for line in (tmp_path / "beats").read_text().split()}
    )
    assert max(later - earlier for earlier, later in pairwise(beats)) >= timedelta(seconds=3), (
        "these are not made up for"
    )
    repeated = [count for count in Counter(times()).values() if count > 1]
    assert len(repeated) <= 3 * CONCURRENCY  # only runs that a kill cut off after their line was written


def test_a_schedule_no_longer_declared_ends(url: str, tmp_path: Path, asking: DbosJobs) -> None:
    """A start removes schedules the program does not declare any more."""
    (tmp_path / "cron").write_text("* * * * * *")
    jobs = jobs_for(url, "w1", tmp_path)
    jobs.start()
    until(lambda: effects(tmp_path))
    jobs.stop()
    (tmp_path / "cron").unlink()
    jobs = jobs_for(url, "w1", tmp_path)
    jobs.start()
    jobs.enqueue("one", {"n": 1}, "after")
    until(done(jobs, "after"))
    count = len(effects(tmp_path))
    time.sleep(2.5)
    assert len(effects(tmp_path)) == count
    jobs.stop(0)


def test_failures_are_retried_and_refusals_are_not(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A segment that fails twice succeeds at the third try; one that always fails ends as failed with its own words."""
    tries = {"flaky": 0, "broken": 0, "refused": 0}

    def flaky(args: Json) -> Json:
        tries["flaky"] += 1
        if tries["flaky"] < 3:
            raise OSError("not yet")
        return args

    def broken(_: Json) -> Json:
        tries["broken"] += 1
        raise OSError("never")

    def refused(_: Json) -> Json:
        tries["refused"] += 1
        raise NotFound("no such resident")

    jobs = jobs_for(url, "w1", tmp_path)
    for name, segment in {"flaky": flaky, "broken": broken, "refused": refused}.items():
        jobs.register(name, segment)
        jobs.enqueue(name, {"a": [1, None, "é"]}, name)
    jobs.register("no JSON", lambda _: {"a": object()})
    jobs.enqueue("no JSON", {}, "no JSON")
    jobs.enqueue("unknown", {}, "unknown")
    with caplog.at_level(logging.CRITICAL):
        jobs.start()
        until(done(jobs, "flaky"))
        for key in ("broken", "refused", "unknown", "no JSON"):
            until(lambda key=key: jobs.status(key).state == "failed")
    assert jobs.status("flaky") == JobStatus("done", {"a": [1, None, "é"]})
    assert jobs.status("broken") == JobStatus("failed", error="never")
    assert jobs.status("refused") == JobStatus("failed", error="no such resident")
    assert "unknown" in (jobs.status("unknown").error or "")
    assert "JSON" in (jobs.status("no JSON").error or "")
    assert tries == {"flaky": 3, "broken": jobs.tries, "refused": 1}
    jobs.stop(0)


def test_what_is_stored_is_json(url: str, tmp_path: Path, asking: DbosJobs) -> None:
    """Arguments are readable JSON in the database, never a pickle, and the version is the pinned one."""
    asking.enqueue("one", {"n": "é"}, "k")
    with pytest.raises(TypeError):
        asking.enqueue("one", {"n": object()}, "k2")
    assert asking.status("k2") is None
    address = make_url(url)
    schema = "" if address.get_backend_name() == "sqlite" else "dbos."
    engine = create_engine(address if not schema else address.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        stored = connection.execute(text(f"SELECT inputs FROM {schema}workflow_input")).scalars().all()
        how = connection.execute(text(f"SELECT application_version, serialization FROM {schema}workflow_status")).one()
    assert stored == ['{"namedArgs":{},"positionalArgs":["one",{"n":"é"}]}']
    assert how == (VERSION, "portable_json")


def test_sqlite_runs_in_wal_mode(tmp_path: Path) -> None:
    """DBOS's file is put in WAL mode by whoever opens it first."""
    jobs = DbosJobs(f"sqlite:///{tmp_path / 'jobs.db'}", "w1")
    assert jobs.status("k") is None
    jobs.stop(0)
    connection = sqlite3.connect(tmp_path / "jobs.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_unusable_declarations_are_refused(tmp_path: Path) -> None:
    """A second job of a name, a cron that is none, and a database we do not know."""
    jobs = DbosJobs(f"sqlite:///{tmp_path / 'jobs.db'}", "w1")
    jobs.register("a", lambda args: args)
    with pytest.raises(AlreadyExists):
        jobs.register("a", lambda args: args)
    with pytest.raises(BadSettings, match="cron"):
        jobs.schedule("b", "whenever", lambda args: args)
    with pytest.raises(BadSettings):
        DbosJobs("mysql://localhost/x", "w1")


def test_a_database_out_of_reach_is_named(tmp_path: Path) -> None:
    """No folder, no server: DatabaseUnavailable, for a worker and for who only asks."""
    for url in (f"sqlite:///{tmp_path}/missing/jobs.db", "postgresql://nobody@127.0.0.1:1/none"):
        jobs = DbosJobs(url, "w1")
        with pytest.raises(DatabaseUnavailable):
            jobs.enqueue("a", {}, "k")
        with pytest.raises(DatabaseUnavailable):
            jobs.start()
