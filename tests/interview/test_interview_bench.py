"""The journal's benchmark counts what is lost: nothing on a real disk, and much on one that forgets."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from emeritus.testing.faults import RecordingDisk


class Forgetful(RecordingDisk):
    """A disk that says it synced a file, and did not."""

    def fsync(self, fd: int) -> None:
        """Nothing, and no record of it."""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, from beside the tests."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    from benchmarks import interview_journal

    return interview_journal


def test_no_power_cut_loses_a_turn_or_a_call(bench: ModuleType) -> None:
    """After every disk operation of a session, and in the middle of every write."""
    found = bench.power_check(turns=6)
    assert found["cuts"] > 60
    assert (found["lost"], found["unrecorded"]) == (0, 0)


def test_a_disk_that_forgets_is_found_out(bench: ModuleType) -> None:
    """Both counts can be other than 0."""
    found = bench.power_check(turns=6, disk_type=Forgetful)
    assert found["lost"] > 0
    assert found["unrecorded"] > 0


def test_kills_lose_nothing(bench: ModuleType) -> None:
    """Four sessions at once, killed at random moments: all of it is found again."""
    found = bench.kill_check(kills=12)
    assert found["kills"] == 12
    assert found["sessions"] >= 4
    assert (found["lost"], found["unrecorded"]) == (0, 0)


def test_the_speed_is_of_durable_turns(bench: ModuleType, tmp_path: Path) -> None:
    """A figure, and nothing left behind."""
    assert bench.journal_turns_per_s(tmp_path, rounds=1) > 0
    assert list(tmp_path.iterdir()) == []
