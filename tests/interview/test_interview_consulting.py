"""Calls to an interviewer model: on disk before and after, so that a kill leaves none unrecorded and none is wasted."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from interview_house import Odd, clock, small_plan

from emeritus.engines.base import Message, Sampling
from emeritus.errors import ContextTooLong, UpstreamRefused
from emeritus.interview.sessions.asking import Patience
from emeritus.interview.sessions.interviewer import Interviewer
from emeritus.interview.sessions.journal import Journal, read_journal
from emeritus.interview.sessions.session import Plan, Ways, hold
from emeritus.interview.sessions.transcript import Transcript
from emeritus.testing.faults import RecordingDisk

KILLER = """
import asyncio, os, random, signal, sys, time
from pathlib import Path
from interview_house import Odd, clock
from emeritus.interview.sessions.session import Ways, hold
from test_interview_consulting import consulted_plan, echo

def ask(messages, sampling):
    calls = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(calls, (messages[-1].content.split()[-1] + "\\n").encode())
    os.close(calls)
    time.sleep(0.002)
    return "And " + messages[-1].content.split()[-1] + " again?"

moments = random.Random(20260112)
for _ in range(40):
    child = os.fork()
    if child == 0:
        asyncio.run(hold(Odd(echo), consulted_plan(60), Path(sys.argv[1]), clock, None, Ways(interviewer=Odd(ask))))
        os._exit(0)
    time.sleep(moments.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def consulted_plan(turns: int = 2) -> Plan:
    """Numbered questions, after each of which an interviewer model may add one."""
    asker = Interviewer("model", "asker", 1, tuple(f"item-{number}" for number in range(1, turns + 1)))
    return replace(small_plan(turns), condition={"id": "baseline", "interviewer": asker.as_dict()})


def echo(messages: Sequence[Message], sampling: Sampling) -> str:
    """An answer whose last word is its question's number, or "more" to an added question."""
    question = messages[-1].content.split()[-1]
    return f"Answer to {question.rstrip('?')}" if question[0].isdigit() else "more"


def held(path: Path, asker: Odd, patience: Patience | None = None) -> Transcript:
    """A session of two questions with this interviewer."""
    ways = Ways(patience or Patience(), asker)
    return asyncio.run(hold(Odd(echo), consulted_plan(), path, clock, None, ways))


def test_kill_9_leaves_no_call_to_an_interviewer_unrecorded(tmp_path: Path) -> None:
    """However often the process is killed: as many calls as lines about them, and one added question a turn."""
    journal, calls = tmp_path / "s.jsonl", tmp_path / "calls"
    killer = subprocess.run(
        [sys.executable, "-c", KILLER, journal, calls], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert killer.stdout.split().count(str(-signal.SIGKILL)) >= 20, killer.stderr
    before = read_journal(journal)
    asker = Odd(lambda messages, _: f"And {messages[-1].content.split()[-1]} again?")
    transcript = asyncio.run(hold(Odd(echo), consulted_plan(60), journal, clock, None, Ways(interviewer=asker)))
    made = Counter(calls.read_text().split())
    made.update(messages[-1].content.split()[-1] for messages, _ in asker.calls)
    recorded = {str(after): len(found) for after, found in transcript.consulted.items()}
    interrupted = [each for found in transcript.consulted.values() for each in found if each.outcome == "interrupted"]
    assert before.consulted
    assert interrupted
    assert set(made) == set(recorded) == {str(number) for number in range(1, 61)}
    # a kill may fall between the line and the call, never between the call and the line
    assert all(made[after] <= recorded[after] for after in recorded)
    assert sum(made.values()) >= sum(recorded.values()) - len(interrupted)
    assert all(sum(each.outcome == "answered" for each in found) == 1 for found in transcript.consulted.values())
    added = [turn for turn in transcript.turns if turn.by is not None]
    assert [turn.after for turn in added] == list(range(1, 61))
    assert transcript.status == "complete"


def test_what_a_call_produced_is_used_when_the_session_is_taken_up(tmp_path: Path) -> None:
    """The process dies between the call's line and the question's: it is asked, and no call made again."""
    path = tmp_path / "s.jsonl"
    held(path, Odd(lambda *_: "Why so?"))
    lines = path.read_bytes().splitlines(keepends=True)
    kinds = [json.loads(line)["kind"] for line in lines]
    path.write_bytes(b"".join(lines[: kinds.index("consultation") + 1]))
    asker = Odd(lambda *_: "Something else?")
    transcript = held(path, asker)
    assert [turn.question for turn in transcript.turns][:2] == ["Question 1?", "Why so?"]
    assert len(asker.calls) == 1  # about the second question alone
    assert kinds[kinds.index("consulted") + 1] == "consultation"


def test_a_call_is_on_disk_before_it_is_made(tmp_path: Path) -> None:
    """When the model is called, the last durable line says so."""
    (tmp_path / "live").mkdir()
    path, disk = tmp_path / "live" / "s.jsonl", RecordingDisk(tmp_path / "live")

    def ask(messages: Sequence[Message], sampling: Sampling) -> str:
        last = json.loads(path.read_text().splitlines()[-1])
        assert (last["kind"], last["attempt"], len(last["request_sha256"])) == ("consulted", 1, 64)
        assert disk.operations[-1].what == "fsync"
        return "NONE"

    ways = Ways(interviewer=Odd(ask), disk=disk)
    transcript = asyncio.run(hold(Odd(echo), consulted_plan(), path, clock, None, ways))
    assert transcript.passed == {1, 2}


def test_an_overrun_interviewer_is_asked_again_and_one_that_cannot_is_passed_over(tmp_path: Path) -> None:
    """429 within patience; a prompt that does not fit with fewer exchanges, then not at all; a filter once."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    said: list[str | Exception] = [UpstreamRefused("busy", status=429), UpstreamRefused("busy", status=429), "Why?"]

    def ask(messages: Sequence[Message], sampling: Sampling) -> str:
        found = said.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    said += [ContextTooLong("too long"), ContextTooLong("too long")]
    transcript = held(tmp_path / "a.jsonl", Odd(ask), Patience(sleep=sleep))
    assert waits == [1.0, 2.0]
    outcomes = [[each.outcome for each in transcript.consulted[turn]] for turn in (1, 2)]
    assert outcomes == [["failed", "failed", "answered"], ["failed", "failed"]]
    shown = [len(each.messages[0]["content"]) for each in transcript.consulted[2]]
    assert shown[1] < shown[0]
    reasons = [json.loads(line).get("reason") for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [each for each in reasons if each] == ["does not fit"]
    said += [UpstreamRefused("filtered", finish_reason="content_filter"), "NONE"]
    transcript = held(tmp_path / "b.jsonl", Odd(ask))
    assert transcript.passed == {1, 2}
    assert '"broken off: content_filter"' in (tmp_path / "b.jsonl").read_text()
    said += [UpstreamRefused("gone", status=403), UpstreamRefused("gone", status=403)]
    with pytest.raises(UpstreamRefused, match="gone"):
        held(tmp_path / "c.jsonl", Odd(ask))
    assert [each.outcome for each in read_journal(tmp_path / "c.jsonl").consulted[1]] == ["failed", "failed"]


def test_a_journal_in_folders_that_are_not_there_makes_each_name_durable(tmp_path: Path) -> None:
    """Each missing level is made and its name synced before the next one is, and before the journal in it."""
    root = tmp_path / "root"
    root.mkdir()
    disk = RecordingDisk(root)
    with Journal.open(root / "a" / "b" / "s.jsonl", {"session": "s"}, disk):
        pass
    made = [(each.what, each.path) for each in disk.operations if each.what in ("mkdir", "fsync_folder", "link")]
    assert [what for what, _ in made] == ["mkdir", "fsync_folder", "mkdir", "fsync_folder", "link", "fsync_folder"]
    assert [name for what, name in made if what == "mkdir"] == ["a", "a/b"]
    assert made[1][1] != made[3][1] != made[5][1]
