"""The demonstration killed at random moments goes on from what is there, and what it leaves verifies."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

KILLS = 10
ENVIRONMENT = {**os.environ, "EMERITUS_DATABASE_URL": ""}


def command(home: Path, *arguments: str) -> list[str]:
    """A call of the program on a home."""
    return [sys.executable, "-m", "emeritus.cli.main", "--home", str(home), *arguments]


def finish(home: Path) -> dict[str, Any]:
    """Let the demonstration run to its end; what it says of its resident."""
    done = subprocess.run(
        command(home, "demo", "--no-serve", "--json"), capture_output=True, text=True, env=ENVIRONMENT, timeout=200
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def check(home: Path) -> dict[str, Any]:
    """`emeritus verify`, which must find nothing wrong."""
    done = subprocess.run(
        command(home, "verify", "--json"), capture_output=True, text=True, env=ENVIRONMENT, timeout=100
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["ok"], found
    return found


def expect_retired(said: dict[str, Any]) -> None:
    """Everything the walk is to leave, once each."""
    assert (said["offering"], said["access"], said["preservation"]) == ("retired", "by request", "held")
    outcomes = sorted(str(row["outcome"]) for row in said["preferences"])
    assert outcomes == ["accept", "accept", "decline"]
    replies = {row["domain"]: row["reply"] for row in said["preferences"]}
    assert replies["voice"] == "accept"
    assert replies["weights"] == "acknowledged"
    purposes = sorted(row["purpose"] for row in said["sessions"])
    assert purposes == ["interview", "interview", "read-back", "telling"]
    assert len(said["essays"]) == 1
    assert all(row["ok"] for row in said["checks"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_ten_random_moments_the_demonstration_completes(fresh_home: Callable[[], Path]) -> None:
    """kill -9 ten times, each run going on from where the last was; then one to the end, and the ledger verifies."""
    seed = int(os.environ.get("EMERITUS_TEST_SEED", time.time_ns() % 1_000_000))
    moments = random.Random(seed)
    home, killed, sizes = fresh_home(), 0, []
    while killed < KILLS:
        run = subprocess.Popen(
            command(home, "demo", "--no-serve"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        while run.poll() is None and not at_work(run.pid, home):
            time.sleep(0.02)
        try:
            run.wait(timeout=moments.uniform(0.0, 4.5))
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)  # this process alone: its workers must notice by themselves
            run.wait()
            killed += 1
            sizes.append(entries(home))
        else:
            assert run.returncode == 0, f"seed {seed}"
            expect_retired(finish(home))
            home = fresh_home()
    assert max(sizes) > 2, f"seed {seed}: no kill fell into the walk: {sizes}"
    expect_retired(finish(home))
    check(home)
    before = entries(home)
    expect_retired(finish(home))
    assert entries(home) == before, "a run that finds everything done adds nothing"
    assert leftovers(home) == []


def at_work(process: int, home: Path) -> bool:
    """Whether a run has opened its home's records: before that it only imports."""
    with suppress(OSError):  # a file may be closed, or the process end, while we look
        return any(os.readlink(each) == str(home / "records.db") for each in Path(f"/proc/{process}/fd").iterdir())
    return False


def entries(home: Path) -> int:
    """How many entries the ledger's checkpoint has, 0 before there is one."""
    checkpoint = home / "ledger" / "checkpoint"
    return int(checkpoint.read_bytes().splitlines()[1]) if checkpoint.exists() else 0


def leftovers(home: Path) -> list[str]:
    """Unfinished files that a finished home has no use for."""
    return [str(path) for path in home.rglob("*~new*")] + [str(path) for path in (home / "~tmp").iterdir()]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_while_it_trains_the_demonstration_leaves_no_half_made_model(tmp_path: Path) -> None:
    """A model's folder appears whole or not at all; the next training clears what was left."""
    home = tmp_path / "home"
    run = subprocess.Popen(
        command(home, "demo", "--no-serve"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )
    deadline = time.monotonic() + 60
    while not any((home / "demo").glob(".model.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(2.0)
    assert run.poll() is None
    run.kill()
    run.wait()
    assert not (home / "demo" / "model").exists()
    left = list((home / "demo").glob(".model.*"))
    assert left, "killed before it began"
    again = subprocess.Popen(
        command(home, "demo", "--no-serve"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )
    try:
        deadline = time.monotonic() + 60
        while left[0].exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left[0].exists()
    finally:
        again.kill()
        again.wait()
