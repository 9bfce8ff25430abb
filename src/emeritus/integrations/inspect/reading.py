"""Reads sessions back from Inspect's logs, ours or those that the task wrote: turns with questions and answers.

A log can say `success` though every sample failed; then its results are missing, and reading it raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emeritus.errors import IntegrityError, UnknownFormat
from emeritus.integrations.inspect import require
from emeritus.interview.sessions.transcript import Transcript

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """One turn as a log has it."""

    turn: int
    item: str
    question: str
    answer: str
    answered: bool


@dataclass(frozen=True, slots=True)
class LoggedSession:
    """One session as a log has it. `journal_sha256` names the journal, which is the record."""

    session: str
    resident: str
    purpose: str
    condition: Mapping[str, Any]
    protocol: Mapping[str, str]
    journal_sha256: str
    status: str | None
    turns: tuple[LoggedTurn, ...]


def sessions(path: Path) -> list[LoggedSession]:
    """Every finished session of a log. Raises ExtraMissing, UnknownFormat, IntegrityError for a log without results."""
    require()
    from inspect_ai.log import read_eval_log

    try:
        log = read_eval_log(str(path), resolve_attachments=True)
    except Exception as error:  # a log of any kind of damage
        raise UnknownFormat(f"{path} cannot be read as a log of Inspect: {error}") from error
    return sessions_of(log)


def sessions_of(log: EvalLog) -> list[LoggedSession]:
    """Every finished session of a log that is read. Raises as `sessions` does."""
    found = [sample for sample in log.samples or [] if sample.error is None]
    if log.results is None or not found:
        raise IntegrityError(f"the log {log.eval.task} says {log.status!r}, but no sample of it was finished")
    return [_session(sample) for sample in found]


def same(logged: LoggedSession, transcript: Transcript) -> bool:
    """Whether a log says of a session what its transcript says."""
    expected = tuple(
        LoggedTurn(turn.turn, turn.item, turn.question, turn.answer if turn.answered else "", turn.answered)
        for turn in transcript.turns
    )
    return (
        logged.turns == expected
        and logged.journal_sha256 == transcript.sha256
        and dict(logged.condition) == dict(transcript.condition)
        and dict(logged.protocol) == dict(transcript.protocol)
    )


def _session(sample: EvalSample) -> LoggedSession:
    about = sample.metadata
    if "journal_sha256" not in about:
        raise UnknownFormat(f"the sample {sample.id!r} is no session of an interview")
    return LoggedSession(
        session=about["session"],
        resident=about["resident"],
        purpose=about["purpose"],
        condition=about["condition"],
        protocol=about["protocol"],
        journal_sha256=about["journal_sha256"],
        status=about["status"],
        turns=_turns(sample),
    )


def _turns(sample: EvalSample) -> tuple[LoggedTurn, ...]:
    opening = f"{sample.metadata['opening']}\n\n"
    asked: dict[int, str] = {}
    answers: dict[int, str] = {}
    for message in sample.messages:
        turn = (message.metadata or {}).get("turn")
        if isinstance(turn, int):
            (asked if message.role == "user" else answers)[turn] = message.text
    found = []
    for place, each in enumerate(sample.metadata["turns"]):
        question = asked[each["turn"]] if place else asked[each["turn"]].removeprefix(opening)
        answer = answers.get(each["turn"], "")
        found.append(LoggedTurn(each["turn"], each["item"], question, answer, each["answered"]))
    return tuple(found)
