"""Logs that Inspect's own reader and viewer open, and that say what the transcripts say."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from inspect_ai.log import list_eval_logs, read_eval_log, read_eval_log_sample_summaries

from emeritus.errors import ExtraMissing, IntegrityError, NotFound, UnknownFormat
from emeritus.integrations.inspect import reading
from emeritus.integrations.inspect.export import export
from emeritus.integrations.inspect.reading import same, sessions
from emeritus.interview.sessions.transcript import Transcript


def test_the_round_trip_gives_the_same_turns(transcripts: list[Transcript], tmp_path: Path) -> None:
    """Written and read with the real package: every question, every answer, every state of a turn."""
    (path,) = export(transcripts, tmp_path / "logs")
    read = {each.session: each for each in sessions(path)}
    assert set(read) == {each.session for each in transcripts}
    for transcript in transcripts:
        logged = read[transcript.session]
        assert same(logged, transcript)
        assert [(turn.turn, turn.item, turn.question) for turn in logged.turns] == [
            (turn.turn, turn.item, turn.question) for turn in transcript.turns
        ]
        assert [turn.answer for turn in logged.turns] == [turn.answer for turn in transcript.turns]
        assert logged.status == transcript.status == "complete"


def test_inspects_own_reader_finds_what_it_expects(transcripts: list[Transcript], tmp_path: Path) -> None:
    """A listed log, a sample for each session, messages, scores, and an event for every attempt with what was sent."""
    (path,) = export(transcripts, tmp_path)
    (listed,) = list_eval_logs(str(tmp_path))
    assert listed.name.endswith(path.name)
    log = read_eval_log(str(path), resolve_attachments=True)
    assert (log.status, log.eval.model, log.eval.task) == ("success", "emeritus/larkspur", "emeritus/interview")
    assert log.results is not None
    assert log.results.completed_samples == len(transcripts)
    assert {summary.id for summary in read_eval_log_sample_summaries(str(path))} == {t.session for t in transcripts}
    by_id = {sample.id: sample for sample in log.samples or []}
    for transcript in transcripts:
        sample = by_id[transcript.session]
        assert sample.metadata["journal_sha256"] == transcript.sha256
        assert sample.metadata["condition"] == json.loads(json.dumps(transcript.condition))
        attempts = [attempt for turn in transcript.turns for attempt in turn.attempts]
        events = [event for event in sample.events if event.event == "model"]
        assert len(events) == len(attempts) == transcript.attempts
        for event, attempt in zip(events, attempts, strict=True):
            assert [(m.role, m.text) for m in event.input] == [(m["role"], m["content"]) for m in attempt.messages]
            assert (event.error is None) == (attempt.outcome == "answered")
            assert event.output.completion == (attempt.text or "")
    failed = [event.error for s in by_id.values() for event in s.events if event.event == "model" and event.error]
    assert len(failed) == 1
    assert failed[0].startswith("failed: EM")
    assert failed[0].endswith("gone for a moment")


def test_exporting_again_replaces_and_leaves_nothing_else(transcripts: list[Transcript], tmp_path: Path) -> None:
    """The same sessions give the same name; a folder holds whole logs alone."""
    first = export(transcripts[:1], tmp_path)
    again = export(transcripts, tmp_path)
    assert again == first
    assert [path.name for path in tmp_path.iterdir()] == [again[0].name]
    assert len(sessions(again[0])) == len(transcripts)


def test_residents_and_purposes_get_logs_of_their_own(transcripts: list[Transcript], tmp_path: Path) -> None:
    """What does not belong together is not in one log."""
    other = replace(transcripts[0], resident="wren", session="wren-baseline-1")
    told = replace(transcripts[0], purpose="telling", session="larkspur-telling-1")
    assert len(export([*transcripts, other, told], tmp_path)) == 3


def test_a_log_that_differs_is_not_kept(
    transcripts: list[Transcript], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not read back as it was written never gets its name."""
    monkeypatch.setattr(reading, "same", lambda *_: False)
    with pytest.raises(IntegrityError, match="does not read back"):
        export(transcripts, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_foreign_logs_are_refused(transcripts: list[Transcript], tmp_path: Path) -> None:
    """Not a log, a log cut short, a log without results though it says success."""
    (path,) = export(transcripts, tmp_path / "logs")
    bad = tmp_path / "bad.eval"
    for data in (b"", b"{}", path.read_bytes()[:1000]):
        bad.write_bytes(data)
        with pytest.raises(UnknownFormat):
            sessions(bad)
    log = read_eval_log(str(path))
    with pytest.raises(IntegrityError, match="no sample of it was finished"):
        reading.sessions_of(log.model_copy(update={"results": None}))
    with pytest.raises(IntegrityError, match="no sample of it was finished"):
        reading.sessions_of(log.model_copy(update={"samples": []}))


def test_without_sessions_or_without_the_extra(
    transcripts: list[Transcript], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear error, its remedy, and no folder."""
    with pytest.raises(NotFound):
        export([], tmp_path / "none")
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(ExtraMissing) as caught:
        export(transcripts, tmp_path / "none")
    assert "emeritus[inspect]" in caught.value.remedy
    assert not (tmp_path / "none").exists()
