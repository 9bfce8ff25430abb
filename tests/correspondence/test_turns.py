"""A resident's turn over both databases: killed, taken by two, cut off, and put back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from turn_process import Anybody, Slow

from emeritus.correspondence.questions import Question
from emeritus.correspondence.service import Correspondence, NewBatch, NewLine
from emeritus.correspondence.turns import Turns
from emeritus.correspondence.views import BatchView, Sender
from emeritus.engines.base import Message, Sampling
from emeritus.errors import Busy, EngineDied
from emeritus.records.database import Database
from emeritus.settings import load

BEN = Sender("g-1", "0123456789ab")


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> Correspondence:
    """The correspondence of a home without anything else."""
    (tmp_path / "home").mkdir()
    return Correspondence(database, load(home=tmp_path / "home"))


def make(kept: Correspondence, lines: int) -> str:
    """A batch of as many questions."""
    asked = [
        NewLine(f"q-{n}", "ibis", {"n": n}, Question(((Message("user", str(n)),),), Sampling())) for n in range(lines)
    ]
    return kept.create(BEN, NewBatch("/v1/chat/completions", datetime.now(UTC) + timedelta(days=1)), asked)


def start(tmp_path: Path, address: str, pause_s: float) -> subprocess.Popen[str]:
    """A process that takes the turn."""
    script = Path(__file__).with_name("turn_process.py")
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "home"), address, str(pause_s)], stdout=subprocess.PIPE, text=True
    )


def state(kept: Correspondence, batch: str) -> BatchView:
    """The batch as it is."""
    return kept.batch(BEN.owner, batch)


def wait_for(kept: Correspondence, batch: str, answered: int) -> None:
    """Wait until as many lines are answered."""
    deadline = time.monotonic() + 60
    while state(kept, batch).counts.answered < answered:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def journal(kept: Correspondence, batch: str) -> list[dict[str, object]]:
    """The lines of its one resident."""
    (path,) = (kept.payloads._root / "batches" / batch).glob("answers-*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_kill_loses_no_answer_and_asks_none_twice_unrecorded(
    kept: Correspondence, database_url: str, tmp_path: Path
) -> None:
    """After kill -9 the next turn keeps every answer on disk, asks the rest, and the second asking is on record."""
    batch = make(kept, 12)
    process = start(tmp_path, database_url, 0.1)
    try:
        await asyncio.to_thread(wait_for, kept, batch, 3)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    before = {number: line["answers"] for number, line in kept.payloads.answers(batch).items()}
    assert await Turns(kept, 3).take("ibis", Anybody(Slow(0))) == 12 - len(before)
    view = state(kept, batch)
    assert (view.state, view.counts.answered) == ("completed", 12)
    after = kept.payloads.answers(batch)
    assert {number: after[number]["answers"] for number in before} == before
    lines = journal(kept, batch)
    asked = [line["number"] for line in lines if line["kind"] == "asked"]
    assert sorted(line["number"] for line in lines if line["kind"] == "answer") == list(range(12))
    assert set(asked) == set(range(12))
    assert len(asked) - 12 <= 1  # the one in whose middle it was killed


async def test_an_answer_on_disk_that_no_row_knows_is_taken_up(kept: Correspondence) -> None:
    """A process that died between the journal and the row has answered; a torn line after it was no answer."""
    batch = make(kept, 2)
    turns, means = Turns(kept, 1), Anybody(Slow(0))
    await turns.take("ibis", means)
    from sqlalchemy import update

    from emeritus.records.tables import Batch, BatchLine

    with kept.database.session() as session:
        session.execute(update(BatchLine).values(state="asked", prompt_tokens=0))
        session.execute(update(Batch).values(state="open", ended_at=None))
    (path,) = (kept.payloads._root / "batches" / batch).glob("answers-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    assert await turns.take("ibis", means) == 1
    view = state(kept, batch)
    assert (view.state, view.counts.answered, view.prompt_tokens) == ("completed", 2, 4)
    assert [line["kind"] for line in journal(kept, batch)] == ["asked", "answer", "asked", "asked", "answer"]


async def test_two_processes_never_answer_the_same_line(
    kept: Correspondence, database_url: str, tmp_path: Path
) -> None:
    """While one has the turn the other answers nothing; together they answer each line once."""
    batch = make(kept, 8)
    both = [start(tmp_path, database_url, 0.05) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert sum(map(int, said)) == 8
    lines = journal(kept, batch)
    assert sorted(line["number"] for line in lines if line["kind"] == "asked") == list(range(8))
    assert state(kept, batch).state == "completed"


async def test_an_engine_that_dies_ends_the_turn_and_after_three_the_line(kept: Correspondence) -> None:
    """A line whose answer breaks off waits for another turn, three times; a wake that fails costs it nothing."""
    batch = make(kept, 1)

    class Dying(Slow):
        async def stream(self, *_: object, **__: object):
            raise EngineDied("worker 4711 in /srv/secret")
            yield

    class Asleep(Anybody):
        def awake(self, resident: str):
            raise Busy("no room")

    turns = Turns(kept, 1)
    for _ in range(4):
        with pytest.raises(Busy):
            await turns.take("ibis", Asleep(None))
    for _ in range(2):
        with pytest.raises(EngineDied):
            await turns.take("ibis", Anybody(Dying(0)))
        assert state(kept, batch).counts.left == 1
    means = Anybody(Dying(0))
    assert await turns.take("ibis", means) == 1
    view = state(kept, batch)
    assert (view.state, view.counts.failed, means.metered) == ("completed", 1, [None])
    (result,) = kept.results(batch)
    assert "secret" not in json.dumps(result.error)
    assert result.error["status"] == 502


async def test_one_wake_answers_all_that_waits(kept: Correspondence) -> None:
    """Two batches are collated into one wake, and take turns line by line."""
    first, second = make(kept, 3), make(kept, 2)
    means = Anybody(Slow(0))
    assert await Turns(kept, 1).take("ibis", means) == 5
    assert (means.wakes, means.metered) == (1, [(2, 3)] * 5)
    assert {state(kept, each).state for each in (first, second)} == {"completed"}
