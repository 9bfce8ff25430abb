"""A worker for the tests to start and kill: every segment leaves a line in a file, so that repeats show."""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

from emeritus.jobs.base import Json
from emeritus.jobs.dbos_jobs import DbosJobs


def note(folder: Path, line: str) -> None:
    """Append a line in one write."""
    with (folder / "effects").open("a") as file:
        file.write(f"{line}\n")


def jobs_for(url: str, executor: str, folder: Path) -> DbosJobs:
    """The jobs the tests use, declared alike in every process."""
    jobs = DbosJobs(url, executor)
    jobs.first_wait_s = 0.01
    jobs.poll_s, jobs.settled_s = 1.0, 2.0

    def first(args: Json) -> Json:
        note(folder, f"first {args['n']}")
        return {"n": args["n"] + 1}

    def held(args: Json) -> Json:
        note(folder, f"held {args['n']}")
        while not (folder / "go").exists():
            time.sleep(0.01)
        return {"n": args["n"] * 10}

    def last(args: Json) -> Json:
        note(folder, f"last {args['n']}")
        return {"n": args["n"], "by": executor}

    def tick(args: Json) -> Json:
        note(folder, f"tick {args['at']}")
        return {}

    def beat(args: Json) -> Json:
        with (folder / "beats").open("a") as file:
            file.write(f"{args['at']}\n")
        return {}

    jobs.register("chain", first, held, last)
    jobs.register("one", last)
    if (folder / "cron").exists():
        jobs.schedule("tick", (folder / "cron").read_text(), tick)
        jobs.schedule("beat", (folder / "cron").read_text(), beat, make_up=False)
    return jobs


if __name__ == "__main__":
    warnings.simplefilter("error")
    jobs_for(sys.argv[1], sys.argv[2], Path(sys.argv[3])).start()
    print("started", os.getpid(), flush=True)
    while True:
        time.sleep(60)
