"""Acts stay once and whole through crashes, full disks, and side by side."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from acts_house import (
    STEWARD,
    Home,
    caller,
    dump,
    essay,
    perform_some,
    policy,
    refuse,
)

from emeritus.blobs.base import BlobStore
from emeritus.errors import StoreFull
from emeritus.ledger.log import Ledger
from migrated import migrated


class PowerCut(BaseException):
    """Ends a process as a power cut would: nothing in between may catch it."""


class Dying:
    """A store that works until its n-th write and then cuts the power, just before or just after that write.

    The counter is shared by all stores of one home, so that a cut can fall anywhere in an act.
    """

    def __init__(self, store: BlobStore, countdown: list[int], after: bool) -> None:
        self._store = store
        self._countdown = countdown
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _write(self, write: Callable[[], Any]) -> Any:
        self._countdown[0] -= 1
        if self._countdown[0] == 0 and not self._after:
            raise PowerCut
        result = write()
        if self._countdown[0] == 0:
            raise PowerCut
        return result

    def put(self, key: str, data: bytes) -> None:
        self._write(lambda: self._store.put(key, data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        done: bool = self._write(lambda: self._store.put_if_absent(key, data))
        return done

    def delete(self, key: str) -> None:
        self._write(lambda: self._store.delete(key))


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
def test_the_power_cut_at_each_write_in_turn(tmp_path: Path, after: bool) -> None:
    """Wherever the power goes, the next run finds whole acts only, does the rest, and nothing is done twice."""
    cuts, finished = 0, False
    while not finished:
        folder = tmp_path / str(cuts)
        folder.mkdir()
        database = migrated(folder / "records.db")
        home = Home(folder, database)
        countdown = [cuts + 1]
        try:
            perform_some(home.open(lambda store, count=countdown: Dying(store, count, after)), 1)
            finished = True
        except PowerCut:
            cuts += 1
        acts = home.open()
        acts.catch_up()
        size = home.ledger().size
        rows = dump(database)
        assert [row[1] for row in sorted(rows["acts"], key=lambda row: row[1])] == list(range(size))
        assert len(rows["policies"]) + len(rows["callers"]) + len(rows["essays"]) == size
        perform_some(acts, 1)
        assert home.ledger().size == 3
        assert home.ledger().verify().problems == []
        complete = dump(database)
        acts.rebuild()
        assert dump(database) == complete
        database.dispose()
    assert cuts >= 10


def test_a_crash_between_ledger_and_sql_is_caught_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement whose rows were never committed is projected by the next process, and the act is not repeated."""
    acts = home.open()
    append = Ledger.append

    def append_and_die(ledger: Ledger, statement: dict[str, Any]) -> int:
        append(ledger, statement)
        raise PowerCut

    monkeypatch.setattr(Ledger, "append", append_and_die)
    with pytest.raises(PowerCut):
        acts.perform("caller:1", STEWARD, caller("a@example.org"))
    monkeypatch.undo()
    assert dump(home.database)["acts"] == []
    again = home.open()
    assert again.find("caller:1") is None
    done = again.perform("caller:1", STEWARD, refuse)
    assert done.private == {"contact": "a@example.org"}
    assert len(dump(home.database)["callers"]) == 1


def test_a_full_store_refuses_the_act_and_a_later_one_succeeds(sqlite_home: Home) -> None:
    """StoreFull while anything is written reaches the caller, and the act can be done once there is room."""

    class Full(Dying):
        def _write(self, write: Callable[[], Any]) -> Any:
            self._countdown[0] -= 1
            if self._countdown[0] < 1:
                raise StoreFull("no room left")
            return write()

    for cut in range(1, 5):
        countdown = [cut]
        acts = sqlite_home.open(lambda store, count=countdown: Full(store, count, False))
        with pytest.raises(StoreFull):
            acts.perform("essay:1", STEWARD, essay(b"text"))
        assert acts.find("essay:1") is None
        countdown[0] = 1 << 30
        assert acts.perform(f"policy:{cut}", STEWARD, policy("n")).seq == cut - 1  # the same object goes on
    assert sqlite_home.open().perform("essay:1", STEWARD, essay(b"text")).seq == 4
    assert sqlite_home.ledger().verify().ok


WORKER = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from acts_house import STEWARD, Home, caller, essay, policy, refuse
from emeritus.records.database import Database
folder, url, who = sys.argv[1:]
acts = Home(Path(folder), Database.open(url)).open()
print("ready", flush=True)
for number in range(1000):
    acts.perform(f"policy:{{number}}", STEWARD, policy("n", str(number)))
    acts.perform(f"caller:{{who}}:{{number}}", STEWARD, caller(f"{{number}}@example.org"))
    acts.perform(f"essay:{{number}}", STEWARD, essay(b"essay %d" % number))
"""


def start(home: Home, url: str, who: str) -> subprocess.Popen[str]:
    """Another process that performs acts until it is killed, past its start-up."""
    command = [sys.executable, "-c", WORKER, str(home.folder), url, who]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9, after making sure that it did not fail by itself."""
    assert process.poll() is None, process.communicate()[1]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_two_processes_perform_side_by_side(home: Home, database_url: str) -> None:
    """Two processes that want the same acts do each once, in one order, and lose none of their own."""
    processes = [start(home, database_url, who) for who in ("a", "b")]
    deadline = time.monotonic() + 60
    while min(sum(row[0].startswith(f"caller:{who}") for row in dump(home.database)["acts"]) for who in ("a", "b")) < 5:
        assert all(process.poll() is None for process in processes), [each.communicate() for each in processes]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for process in processes:
        kill(process)
    home.open().catch_up()
    acts = dump(home.database)["acts"]
    assert sorted(row[1] for row in acts) == list(range(home.ledger().size))
    shared = [row[0] for row in acts if row[0].startswith("policy")]
    assert len(shared) == len(set(shared))
    assert {row[0][7] for row in acts if row[0].startswith("caller")} == {"a", "b"}
    assert home.ledger().verify().problems == []
    before = dump(home.database)
    home.open().rebuild()
    after = dump(home.database)
    for name in before:  # a killed process may have used up a number of PostgreSQL's sequences
        strip = slice(1, None) if name == "policies" else slice(None)
        assert [row[strip] for row in after[name]] == [row[strip] for row in before[name]]


def test_kill_minus_nine_at_random_moments(sqlite_home: Home) -> None:
    """A process killed eight times goes on each time from whole acts, and the ledger verifies at every stop."""
    url = f"sqlite:///{sqlite_home.folder / 'records.db'}"
    seen = sqlite_home.folder / "seen"
    chance = random.Random(7)
    reached = 0
    for _ in range(8):
        process = start(sqlite_home, url, "a")
        while sqlite_home.ledger().size < reached + chance.randint(2, 4):
            assert process.poll() is None, process.communicate()[1]
        time.sleep(chance.uniform(0, 0.03))  # somewhere within an act
        kill(process)
        report = sqlite_home.ledger().verify(seen)
        assert report.problems == []
        assert report.size >= reached + 2
        reached = report.size
        sqlite_home.open().catch_up()
        assert len(dump(sqlite_home.database)["acts"]) == reached
    assert reached >= 16
