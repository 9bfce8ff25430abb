"""The journal: every attempt on disk before and after it is made, whatever happens in between."""

import asyncio
import base64
import hashlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from interview_house import Odd, clock, small_plan

from emeritus.errors import HomeBusy, IntegrityError, NotFound, StoreUnavailable, UnknownFormat
from emeritus.interview.sessions.journal import Journal, read_journal, readable
from emeritus.interview.sessions.session import hold

KILLER = """
import asyncio, os, random, signal, sys, time
from pathlib import Path
from interview_house import Odd, clock, small_plan
from emeritus.interview.sessions.session import hold

def say(messages, sampling):
    asked = messages[-1].content.split()[-1]
    calls = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(calls, (asked + "\\n").encode())
    os.close(calls)
    time.sleep(0.002)
    return "Answer to " + asked

moments = random.Random(20260110)
for _ in range(40):
    child = os.fork()
    if child == 0:
        asyncio.run(hold(Odd(say), small_plan(200), Path(sys.argv[1]), clock))
        os._exit(0)
    time.sleep(moments.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def echo(messages: object, sampling: object) -> str:
    """An answer that names its question."""
    return f"Answer to {messages[-1].content.split()[-1]}"


def test_kill_9_loses_no_turn_and_repeats_none_unrecorded(tmp_path: Path) -> None:
    """However often the process is killed, every turn is answered once and every call to the model is an attempt."""
    journal, calls = tmp_path / "s.jsonl", tmp_path / "calls"
    killer = subprocess.run(
        [sys.executable, "-c", KILLER, journal, calls], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert killer.stdout.split().count(str(-signal.SIGKILL)) >= 20, killer.stderr
    before = read_journal(journal)
    assert sum(turn.answered for turn in before.turns) > 0
    transcript = asyncio.run(hold(Odd(echo), small_plan(200), journal, clock))
    made = calls.read_text().split()
    assert transcript.status == "complete"
    for turn, earlier in zip(transcript.turns, before.turns, strict=True):
        asked = turn.question.split()[-1]
        assert turn.answer == f"Answer to {asked}"
        assert [each.outcome for each in turn.attempts].count("answered") == 1
        assert turn.attempts[: len(earlier.attempts)] == earlier.attempts
        killed = len(turn.attempts) - (not earlier.answered)  # the last attempt was made here, not by the killed
        assert made.count(asked) <= killed  # fewer where a kill fell between the record and the call
    assert any(each.outcome == "interrupted" for turn in transcript.turns for each in turn.attempts)


async def test_every_write_prefix_resumes(tmp_path: Path) -> None:
    """Cut at any byte, or with zeros where a write was lost, the session completes and keeps what was whole."""
    whole = tmp_path / "whole.jsonl"
    await hold(Odd(echo), small_plan(3), whole, clock)
    data = whole.read_bytes()
    header = data.index(b"\n") + 1
    ends = {place + 1 for place, byte in enumerate(data) if byte == 10}
    for cut in [*sorted(ends), *range(header + 1, len(data), 53)]:
        for lost in (b"", b"\0" * 17):
            path = tmp_path / f"{cut}-{len(lost)}.jsonl"
            path.write_bytes(data[:cut] + lost)
            before = read_journal(path)
            model = Odd(echo)
            after = await hold(model, small_plan(3), path, clock)
            assert after.status == "complete"
            assert [turn.answer for turn in after.turns] == [f"Answer to {n}?" for n in (1, 2, 3)]
            assert len(model.calls) == 3 - sum(turn.answered for turn in before.turns)
            assert after.tears == (cut not in ends or lost != b"")
            assert path.read_bytes().startswith(data[: max(end for end in ends if end <= cut)])


async def test_a_torn_line_is_kept_as_evidence(tmp_path: Path) -> None:
    """What was cut stands in the record of the cut, byte for byte."""
    path = tmp_path / "s.jsonl"
    await hold(Odd(echo), small_plan(1), path, clock)
    path.write_bytes(path.read_bytes()[:-5])
    torn = path.read_bytes().split(b"\n")[-1]
    await hold(Odd(echo), small_plan(1), path, clock)
    (record,) = [line for line in map(json.loads, path.read_text().splitlines()) if line["kind"] == "torn"]
    assert base64.b64decode(record["raw"]) == torn
    assert record["sha256"] == hashlib.sha256(torn).hexdigest()


async def test_an_interrupted_attempt_is_recorded(tmp_path: Path) -> None:
    """A session cancelled while the model answers records that it had asked, and asks again."""
    path = tmp_path / "s.jsonl"
    started = threading.Event()

    class Slow(Odd):
        async def answer(self, messages: object, sampling: object) -> object:
            started.set()
            await asyncio.sleep(60)
            return None

    task = asyncio.create_task(hold(Slow(echo), small_plan(1), path, clock))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    transcript = await hold(Odd(echo), small_plan(1), path, clock)
    assert [(each.number, each.outcome) for each in transcript.turns[0].attempts] == [
        (1, "interrupted"),
        (2, "answered"),
    ]


async def test_a_transcript_reads_with_the_standard_library(tmp_path: Path) -> None:
    """Every attempt is a line of JSON with the exact request, and each line names the one before it."""
    path = tmp_path / "s.jsonl"
    await hold(Odd(lambda *_: "Grüße \ud800\0"), small_plan(1), path, clock)
    lines = path.read_bytes().splitlines()
    header, asked, attempt, end = map(json.loads, lines)
    assert [each["kind"] for each in (header, asked, attempt, end)] == ["header", "asked", "attempt", "end"]
    assert attempt["messages"] == [{"role": "user", "content": "Opening.\n\nQuestion 1?"}]
    assert attempt["sampling"]["max_tokens"] == 40
    assert attempt["sampling"]["seed"] is None  # the engine takes none, so none was sent
    assert attempt["build"]["engine"] == "odd"
    assert attempt["text"] == "Grüße \ufffd\ufffd"
    assert base64.b64decode(attempt["raw"]).startswith("Grüße".encode())
    assert [each["previous"] for each in (header, asked, attempt, end)] == [
        None,
        *[hashlib.sha256(line).hexdigest() for line in lines[:-1]],
    ]


async def test_a_damaged_line_is_refused(tmp_path: Path) -> None:
    """A changed or missing line inside the journal is no tear."""
    path = tmp_path / "s.jsonl"
    await hold(Odd(echo), small_plan(2), path, clock)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    for damaged in (
        data.replace(b"Answer to 1?", b"Answer to 9?"),
        b"".join(lines[:2] + lines[3:]),
        b"".join([*lines[:2], b"garbage\n", *lines[2:]]),
        lines[0][:-20],
        b"",
        b'{"kind":"end","previous":null}\n',
    ):
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError):
            read_journal(path)
        with pytest.raises(IntegrityError):
            Journal.open(path, small_plan(2).header(clock()))
        assert path.read_bytes() == damaged


async def test_a_journal_is_compared_with_its_logged_digest(tmp_path: Path) -> None:
    """Another journal in its place, however well-formed, is refused."""
    path = tmp_path / "s.jsonl"
    transcript = await hold(Odd(echo), small_plan(1), path, clock)
    assert read_journal(path, transcript.sha256) == transcript
    with pytest.raises(IntegrityError, match="not the one that was logged"):
        read_journal(path, "0" * 64)
    with pytest.raises(NotFound):
        read_journal(tmp_path / "none.jsonl")


async def test_another_sessions_journal_is_refused(tmp_path: Path) -> None:
    """A journal is written by its own session alone, in its own format."""
    path = tmp_path / "s.jsonl"
    Journal.open(path, small_plan().header(clock())).close()
    with pytest.raises(IntegrityError, match="is the journal of session"):
        Journal.open(path, {**small_plan().header(clock()), "session": "other"})
    path.write_bytes(path.read_bytes().replace(b'"format":0', b'"format":9'))
    with pytest.raises(UnknownFormat):
        read_journal(path)


def test_two_writers_do_not_share_a_journal(tmp_path: Path) -> None:
    """The second is told that the first is at it."""
    path = tmp_path / "s.jsonl"
    with Journal.open(path, small_plan().header(clock())), pytest.raises(HomeBusy):
        Journal.open(path, small_plan().header(clock()))
    Journal.open(path, small_plan().header(clock())).close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """What keeps the journal from disk is said, and nothing is left behind."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        Journal.open(tmp_path / "file" / "s.jsonl", small_plan().header(clock()))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("text", "kept"), [("plain", "plain"), ("\ud83d\ude00", "\U0001f600"), ("\udc80", "\ufffd"), ("a\0b", "a\ufffdb")]
)
def test_text_is_made_storable_and_nothing_else(text: str, kept: str) -> None:
    """Only what no store can hold is replaced."""
    assert readable(text) == kept
