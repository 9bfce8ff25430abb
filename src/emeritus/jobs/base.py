"""What running jobs means, whatever runs them. The one backend is `dbos_jobs`.

A job is a chain of segments. A segment takes the dictionary the one before returned and returns the next, all of it
JSON. A segment that finished is never run again; one that was interrupted runs again from its start, so it must be
idempotent, and short: a wait for a person is a row with a deadline, not a job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Json = dict[str, Any]
Segment = Callable[[Json], Json]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Where a job is. `result` is the last segment's once `done`; `error` is one sentence once `failed`."""

    state: Literal["waiting", "running", "done", "failed"]
    result: Json | None = None
    error: str | None = None


class Jobs(Protocol):
    """A durable queue with schedules. Declare with `register` and `schedule`, then `start`; `enqueue` works without."""

    def register(self, name: str, *segments: Segment) -> None:
        """Declare what a job does. Raises AlreadyExists for a second job of that name."""

    def schedule(self, name: str, cron: str, *segments: Segment, make_up: bool = True) -> None:
        """Declare a job that runs by the clock (five cron fields, UTC) with {"at": RFC 3339 time} as its argument.

        Runs missed while no worker was up are made up for at the next start, each with its own time, unless
        `make_up` is false. Raises BadSettings for an unusable cron.
        """

    def enqueue(self, name: str, args: Json, key: str) -> None:
        """Ask for a job, durably. A key that was used before changes nothing, whatever became of that job."""

    def start(self) -> None:
        """Begin to run jobs. Raises HomeBusy when a worker of the same executor id is running."""

    def stop(self, wait_s: float = 10.0) -> None:
        """Let running segments end, for at most `wait_s` seconds, and stop. What is cut off runs at the next start."""

    def status(self, key: str) -> JobStatus | None:
        """Where the job of that key is; None when there is none."""
