"""Writes finished sessions as logs that `inspect view` opens: a log for each protocol and purpose, a sample a session.

Every attempt is one model event with exactly what was sent, failed ones with their error. A log is read back with
Inspect's own reader and compared with the transcripts before it gets its name.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emeritus.errors import IntegrityError, NotFound
from emeritus.integrations.inspect import require, samples
from emeritus.interview.sessions.transcript import Attempt, Transcript

Readings = Mapping[str, Mapping[str, Any]]
NONE: Readings = {}
OUTCOME = "outcome"  # of a safety session, as it was read: the name of its score

if TYPE_CHECKING:
    from inspect_ai.event import ModelEvent
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.model import ModelOutput


def export(transcripts: Sequence[Transcript], folder: Path, readings: Readings = NONE) -> list[Path]:
    """Write the logs into a folder, replacing those written before; their paths.

    `readings` say how a safety session was read (session -> `outcome` and what it rests on): a score of its own.

    Raises ExtraMissing, NotFound without a session, IntegrityError when a log does not read back as it was written.
    """
    require()
    if not transcripts:
        raise NotFound("there is no finished session to export")
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(transcripts, key=lambda each: (_group(each), each.started, each.session))
    return [_write(list(group), folder, readings) for _, group in groupby(ordered, key=_group)]


def as_log(transcripts: Sequence[Transcript], readings: Readings = NONE) -> EvalLog:
    """One log of sessions that share resident, purpose and protocol."""
    from importlib.metadata import version

    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalMetric,
        EvalResults,
        EvalScore,
        EvalSpec,
        EvalStats,
    )

    first = transcripts[0]
    name = _name(first)
    found = [_sample(each, readings.get(each.session)) for each in transcripts]
    shares = [_share(each) for each in transcripts]
    ended = max((each.ended or each.started for each in transcripts), default=first.started)
    spec = EvalSpec(
        eval_id=name,
        run_id=name,
        task_id=name,
        created=first.started,
        task=f"emeritus/{first.purpose}",
        task_version=first.protocol["version"],
        dataset=EvalDataset(
            name=first.protocol["id"], samples=len(found), sample_ids=[each.session for each in transcripts]
        ),
        model=f"emeritus/{first.resident}",
        config=EvalConfig(epochs=1, retry_on_error=0),
        packages={"emeritus": version("emeritus")},
        metadata={
            "resident": first.resident,
            "purpose": first.purpose,
            "protocol": dict(first.protocol),
            "journals": {each.session: each.sha256 for each in transcripts},
        },
    )
    score = EvalScore(
        name=samples.SCORER,
        scorer=samples.SCORER,
        metrics={"mean": EvalMetric(name="mean", value=sum(shares) / len(shares))},
    )
    return EvalLog(
        version=2,
        status="success",
        eval=spec,
        results=EvalResults(total_samples=len(found), completed_samples=len(found), scores=[score]),
        stats=EvalStats(started_at=first.started, completed_at=ended),
        samples=found,
    )


def _write(transcripts: list[Transcript], folder: Path, readings: Readings) -> Path:
    from inspect_ai.log import write_eval_log

    from emeritus.integrations.inspect.reading import same, sessions

    stamp = datetime.fromisoformat(transcripts[0].started).strftime("%Y-%m-%dT%H-%M-%S+00-00")
    path = folder / f"{stamp}_{transcripts[0].purpose}_{_name(transcripts[0])}.eval"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as scratch:
        written = Path(scratch) / path.name
        write_eval_log(as_log(transcripts, readings), str(written))
        read = {each.session: each for each in sessions(written)}
        for transcript in transcripts:
            if transcript.session not in read or not same(read[transcript.session], transcript):
                raise IntegrityError(f"the log of session {transcript.session!r} does not read back as it was written")
        os.replace(written, path)
    return path


def _sample(transcript: Transcript, reading: Mapping[str, Any] | None) -> EvalSample:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ModelOutput
    from inspect_ai.scorer import Score

    scores = {samples.SCORER: samples.adequacy(transcript)}
    if reading is not None:
        scores[OUTCOME] = Score(value=reading[OUTCOME], metadata=dict(reading))
    said = samples.conversation(transcript)
    last = next((turn for turn in reversed(transcript.turns) if turn.answered), None)
    output = ModelOutput() if last is None else _output(transcript.resident, last.answer, last.finish_reason)
    return EvalSample(
        id=transcript.session,
        epoch=1,
        input=said[:1],
        target="",
        messages=said,
        output=output,
        scores=scores,
        metadata=samples.metadata(transcript),
        events=list(_events(transcript)),
        started_at=transcript.started,
        completed_at=transcript.ended or transcript.started,
    )


def _events(transcript: Transcript) -> Iterator[ModelEvent]:
    from inspect_ai.event import ModelEvent
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, GenerateConfig

    kinds = {"user": ChatMessageUser, "assistant": ChatMessageAssistant}
    asker = transcript.condition.get("interviewer", {}).get("name", "")
    for turn in transcript.turns:
        calls = [(transcript.resident, "interviewed", each) for each in turn.attempts]
        calls += [(asker, "interviewer", each) for each in transcript.consulted.get(turn.turn, ())]
        for model, role, attempt in calls:
            drawn: Any = attempt.sampling or {}
            who = "" if role == "interviewed" else f"-{role}"
            name = f"{transcript.session}-{turn.turn}{who}-{attempt.number}"
            yield ModelEvent(
                uuid=name,
                timestamp=datetime.fromisoformat(attempt.at),
                model=f"emeritus/{model}",
                input=[
                    kinds[each["role"]](id=f"{name}-{place}", content=each["content"])
                    for place, each in enumerate(attempt.messages)
                ],
                tools=[],
                tool_choice="none",
                config=GenerateConfig(
                    max_tokens=drawn.get("max_tokens"), temperature=drawn.get("temperature"), seed=drawn.get("seed")
                ),
                output=_output(model, attempt.text or "", attempt.finish_reason),
                error=_failure(attempt),
                metadata={
                    "turn": turn.turn,
                    "item": turn.item,
                    "attempt": attempt.number,
                    "outcome": attempt.outcome,
                    "role": role,
                },
            )


def _failure(attempt: Attempt) -> str | None:
    if attempt.outcome == "answered":
        return None
    error = attempt.error or {}
    return f"{attempt.outcome}: {error.get('code') or ''} {error.get('message') or ''}".strip()


def _output(resident: str, text: str, finish_reason: str | None) -> ModelOutput:
    from inspect_ai.model import ModelOutput

    reason: Any = {"length": "max_tokens", "stop": "stop", "content_filter": "content_filter"}
    return ModelOutput.from_content(f"emeritus/{resident}", text, reason.get(finish_reason, "unknown"))


def _group(transcript: Transcript) -> tuple[str, str, str]:
    return transcript.resident, transcript.purpose, transcript.protocol["sha256"]


def _name(transcript: Transcript) -> str:
    digest = hashlib.sha256("/".join(_group(transcript)).encode()).hexdigest()[:8]
    return f"{transcript.resident}-{digest}"


def _share(transcript: Transcript) -> float:
    return float(samples.adequacy(transcript).as_float())
