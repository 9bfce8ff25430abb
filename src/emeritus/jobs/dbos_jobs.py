"""Jobs on DBOS, in SQLite or PostgreSQL: the only module that knows DBOS.

What DBOS leaves to be set, and why it is set so: results are JSON, since unpickling is running what the database says;
the application version is pinned, or work queued by an older build would wait for ever; executor ids are stable and
exclusive, since a start takes up what its executor left unfinished, which must not still be running elsewhere; SQLite
is put in WAL mode. No admin server, no telemetry; its log goes to ours.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from emeritus.errors import (
    AccessError,
    AlreadyExists,
    BadSettings,
    DatabaseUnavailable,
    InputError,
    NotFound,
    RuleError,
)
from emeritus.jobs.base import JobStatus, Json, Segment
from emeritus.jobs.exclusive import Exclusive, use_wal

if TYPE_CHECKING:
    from dbos import DBOSClient, DBOSConfig

APPLICATION = "emeritus"
VERSION = "1"  # of the meaning of queued work, not of the program; a new one must first drain the old
QUEUE = "emeritus"
JOB, SCHEDULED = "emeritus.job", "emeritus.scheduled"
CONCURRENCY = 4  # jobs at once per worker
MAX_INTERRUPTIONS = 20  # a job that was cut off so often is taken to be what kills the worker
_REFUSALS = (InputError, RuleError, AccessError)  # the same next time, so never retried
_FAILED = {"ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}


class DbosJobs:
    """Jobs in a database of their own. One per process, since DBOS is."""

    def __init__(self, database_url: str, executor_id: str, log: logging.Logger | None = None) -> None:
        """Nothing is opened yet. `log` gets DBOS's warnings; by default those of 'emeritus.jobs'."""
        address = make_url(database_url)
        if address.get_backend_name() not in ("sqlite", "postgresql"):
            raise BadSettings("the jobs' database must be sqlite or postgresql", setting="jobs_database_url")
        self._url = address.render_as_string(hide_password=False)
        self._executor_id = executor_id
        self._log = log or logging.getLogger("emeritus.jobs")
        self._jobs: dict[str, tuple[Segment, ...]] = {}
        self._crons: dict[str, str] = {}
        self._made_up: set[str] = set()  # schedules whose missed runs are made up for
        self._exclusive = Exclusive(address, executor_id)
        self._client: DBOSClient | None = None
        self._opening = threading.Lock()
        self._started = False
        self._stopping = threading.Event()
        self.poll_s = 5.0  # how often DBOS looks for schedules
        self.settled_s = 5.0  # after a start, by when DBOS has its schedules running
        self.first_wait_s = 1.0  # before a failed segment's second try; doubled each time
        self.tries = 4

    def register(self, name: str, *segments: Segment) -> None:
        """Declare what a job does. Raises AlreadyExists for a second job of that name."""
        if name in self._jobs:
            raise AlreadyExists(f"there is a job {name!r} already")
        self._jobs[name] = segments

    def schedule(self, name: str, cron: str, *segments: Segment, make_up: bool = True) -> None:
        """Declare a job that runs by the clock (cron, UTC). Raises BadSettings for an unusable cron."""
        from croniter import croniter  # comes with DBOS

        if not croniter.is_valid(cron, second_at_beginning=True):
            raise BadSettings(f"{cron!r} is not a cron expression", remedy="Give five fields, e.g. '17 3 * * *'.")
        self.register(name, *segments)
        self._crons[name] = cron
        if make_up:
            self._made_up.add(name)

    def enqueue(self, name: str, args: Json, key: str) -> None:
        """Ask for a job, durably, once per key; any process may, not only a worker."""
        with self._reaching() as client:
            client.enqueue(
                {"workflow_name": JOB, "queue_name": QUEUE, "workflow_id": key, "app_version": VERSION}, name, args
            )

    def status(self, key: str) -> JobStatus | None:
        """Where the job of that key is; None when there is none."""
        with self._reaching() as client:
            found = client.list_workflows(workflow_ids=[key])
        if not found:
            return None
        state = found[0].status
        if state == "SUCCESS":
            return JobStatus("done", result=found[0].output)
        if state in _FAILED:
            return JobStatus("failed", error=str(found[0].error or state))
        return JobStatus("running" if state == "PENDING" else "waiting")

    def start(self) -> None:
        """Begin to run jobs, taking up first what this executor left unfinished."""
        from dbos import DBOS

        with self._reaching() as client:
            self._exclusive.take()
            fired = {each["schedule_name"]: each["last_fired_at"] for each in client.list_schedules()}
        try:
            DBOS(config=self._config())
            DBOS.workflow(name=JOB, max_recovery_attempts=MAX_INTERRUPTIONS)(self._workflow())
            scheduled = DBOS.workflow(name=SCHEDULED, max_recovery_attempts=MAX_INTERRUPTIONS)(
                self._scheduled_workflow()
            )
            DBOS.launch()
            self._started = True
            DBOS.register_queue(QUEUE, worker_concurrency=CONCURRENCY, on_conflict="always_update")
            self._apply_schedules(scheduled, fired)
        except BaseException:
            self.stop(0)
            raise

    def stop(self, wait_s: float = 10.0) -> None:
        """Let running segments end, for at most `wait_s` seconds, and stop."""
        from dbos import DBOS

        self._stopping.set()
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=int(wait_s) if self._started else 0)
        self._started = False
        if self._client is not None:
            self._client.destroy()
            self._client = None
        self._exclusive.release()

    # -- inside

    def _workflow(self) -> Callable[[str, Json], Json]:
        def run(name: str, args: Json) -> Json:
            return self._run(name, args)

        return run

    def _scheduled_workflow(self) -> Callable[[str, Json], Json]:
        def run(at: str, context: Json) -> Json:  # DBOS hands over the time as its serializer stored it
            moment = datetime.fromisoformat(at).astimezone(UTC)
            return self._run(context["job"], {"at": moment.strftime("%Y-%m-%dT%H:%M:%SZ")})

        return run

    def _run(self, name: str, args: Json) -> Json:
        """Each segment is one DBOS step: its result is kept, and a resumed job goes on after the last one kept."""
        from dbos import DBOS
        from dbos import error as dbos_error

        if name not in self._jobs:
            raise NotFound(f"this worker knows no job {name!r}")
        for number, segment in enumerate(self._jobs[name]):
            try:
                args = DBOS.run_step(
                    {
                        "name": f"{name}.{number}",
                        "retries_allowed": True,
                        "max_attempts": self.tries,
                        "interval_seconds": self.first_wait_s,
                        "backoff_rate": 2.0,
                        "should_retry": lambda error: not isinstance(error, _REFUSALS),
                    },
                    segment,
                    args,
                )
            except dbos_error.DBOSMaxStepRetriesExceeded as error:
                raise error.errors[-1] from None  # what went wrong, rather than how often
        return args

    def _apply_schedules(self, workflow: Callable[[Any, Any], Any], fired: dict[str, str | None]) -> None:
        """Declare the schedules; `fired` is when each fired last before this start."""
        from dbos import DBOS
        from dbos._dbos import _get_dbos_instance

        DBOS.apply_schedules(
            [
                {
                    "schedule_name": name,
                    "workflow_fn": workflow,
                    "schedule": cron,
                    "context": {"job": name},
                    "automatic_backfill": name in self._made_up,
                    "cron_timezone": "UTC",
                    "queue_name": QUEUE,
                }
                for name, cron in self._crons.items()
            ]
        )
        for name in set(self._crons) - set(fired):
            # DBOS makes up only for what was missed since a schedule last fired; a new one counts from now. There is no
            # public way to say so in 3.4.
            _get_dbos_instance()._sys_db.update_last_fired_at(name, datetime.now(UTC).isoformat())
        for name in set(fired) - set(self._crons):
            DBOS.delete_schedule(name)
        since = {
            name: datetime.fromisoformat(at) for name, at in fired.items() if at is not None and name in self._made_up
        }
        self._stopping.clear()
        threading.Thread(target=self._make_up, args=(since,), name="emeritus-make-up", daemon=True).start()

    def _make_up(self, since: dict[str, datetime]) -> None:
        """Once more ask for the runs missed: DBOS makes up to a moment and counts on from a later one, and a run due
        between the two would be lost. Runs that are there already keep their keys, so nothing runs twice."""
        from dbos import DBOS

        if self._stopping.wait(self.settled_s):
            return
        for name, moment in since.items():
            try:
                DBOS.backfill_schedule(name, moment, datetime.now(UTC))
            except Exception:  # whatever DBOS or the database raises must not end in a silent thread
                self._log.exception("missed runs of %s could not be asked for", name)

    def _config(self) -> DBOSConfig:
        from dbos import DBOSPortableJSONSerializer

        return {
            "name": APPLICATION,
            "system_database_url": self._url,
            "application_version": VERSION,
            "executor_id": self._executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "enable_otlp": False,
            "log_level": "WARNING",
            "scheduler_polling_interval_sec": self.poll_s,
        }

    def _forward_log(self) -> None:
        """DBOS adds a console of its own unless its logger has a handler."""
        logger = logging.getLogger("dbos")
        logger.handlers = [_Forward(self._log)]
        logger.propagate = False

    def _open(self) -> DBOSClient:
        """The client, once the tables exist; whoever comes first makes them."""
        from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer

        with self._opening:
            if self._client is None:
                self._forward_log()
                use_wal(self._url)
                DBOS.migrate(self._url)
                self._client = DBOSClient(
                    system_database_url=self._url,
                    serializer=DBOSPortableJSONSerializer(),
                    application_name=APPLICATION,
                    retry_connection_errors=False,
                )
            return self._client

    @contextmanager
    def _reaching(self) -> Iterator[DBOSClient]:
        try:
            yield self._open()
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise DatabaseUnavailable(f"the jobs' database is not available: {error}") from error


class _Forward(logging.Handler):
    """Hands records on to another logger."""

    def __init__(self, log: logging.Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record."""
        if self._log.isEnabledFor(record.levelno):
            self._log.handle(record)
