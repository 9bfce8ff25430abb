"""What is told of files and batches: frozen values, and how they are read from rows. Reads only; knows no vendor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.records.tables import Batch, BatchLine, KeptFile

Json = dict[str, Any]
LEFT = ("waiting", "asked")  # states of lines that have no end yet


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent something. `name` is a key's prefix, or the account of someone signed in (`person`)."""

    owner: str  # the grant or membership it stands on: all of its keys see what one of them sent
    name: str
    person: bool = False


@dataclass(frozen=True, slots=True)
class FileView:
    """A file. Times are RFC 3339, UTC."""

    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many lines of a batch are where."""

    total: int = 0
    left: int = 0  # waiting, or asked just now
    answered: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch, or a letter. Times are RFC 3339, UTC."""

    id: str
    owner: str
    wire: str
    state: str  # failed | open | completed | expired | cancelled
    created_at: str
    deadline: str
    erase_at: str
    started_at: str | None
    cancelled_at: str | None  # asked for; lines under way then still end
    ended_at: str | None
    input_file: str | None
    metadata: Json | None
    problems: tuple[Json, ...]
    results: str | None
    counts: Counts
    prompt_tokens: int
    completion_tokens: int
    residents: tuple[str, ...]


def file_view(row: KeptFile) -> FileView:
    """A file's row."""
    return FileView(row.id, row.filename, row.purpose, row.bytes, row.created_at, row.expires_at)


def batch_views(session: Session, rows: Sequence[Batch]) -> list[BatchView]:
    """Batches with their counts, in that order: two queries however many they are."""
    ids = [row.id for row in rows]
    of = BatchLine.batch.in_(ids)
    sums = (func.count(), func.sum(BatchLine.prompt_tokens), func.sum(BatchLine.completion_tokens))
    grouped = select(BatchLine.batch, BatchLine.state, *sums).where(of).group_by(BatchLine.batch, BatchLine.state)
    states: dict[str, dict[str, tuple[int, int, int]]] = {each: {} for each in ids}
    for batch, state, lines, prompt, completion in session.execute(grouped):
        states[batch][state] = (lines, prompt, completion)
    residents: dict[str, list[str]] = {each: [] for each in ids}
    for batch, resident in session.execute(select(BatchLine.batch, BatchLine.resident).where(of).distinct()):
        residents[batch].append(resident)
    return [_view(row, states[row.id], residents[row.id]) for row in rows]


def _view(row: Batch, states: dict[str, tuple[int, int, int]], residents: list[str]) -> BatchView:
    count = {state: lines for state, (lines, _, _) in states.items()}
    counts = Counts(
        sum(count.values()),
        sum(count.get(state, 0) for state in LEFT),
        *(count.get(state, 0) for state in ("answered", "failed", "expired", "cancelled")),
    )
    return BatchView(
        row.id,
        row.owner,
        row.wire,
        row.state,
        row.created_at,
        row.deadline,
        row.erase_at,
        row.started_at,
        row.cancelled_at,
        row.ended_at,
        row.input_file,
        row.metadata_,
        tuple(row.problems),
        row.results,
        counts,
        sum(prompt for _, prompt, _ in states.values()),
        sum(completion for _, _, completion in states.values()),
        tuple(sorted(residents)),
    )
