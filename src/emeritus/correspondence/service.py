"""Files and batches: taken in, listed, cancelled, ended at their deadline, erased when their days are over.

Rows say who sent what and how far it is; texts lie in `payloads`. Asks nobody: `turns` does. Knows no vendor, and
leaves to others who may send what.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, insert, select, update
from sqlalchemy.orm import Session

from emeritus.acts import stamp, utc_now
from emeritus.correspondence.payloads import Payloads
from emeritus.correspondence.questions import Question, answer_of
from emeritus.correspondence.views import LEFT, BatchView, FileView, Sender, batch_views, file_view
from emeritus.engines.base import Answer
from emeritus.errors import InputError, NotFound, RuleError
from emeritus.records.database import Database
from emeritus.records.tables import Batch, BatchLine, KeptFile
from emeritus.settings import Settings

Json = dict[str, Any]
MOST_FILENAME = 255
AT_ONCE = 1000  # rows of one INSERT


@dataclass(frozen=True, slots=True)
class NewLine:
    """One question as it is taken in: `body` is kept as the caller wrote it, to word the answer by."""

    custom_id: str
    resident: str
    body: Json
    question: Question


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What a batch is beside its questions. `prefix` begins its id."""

    wire: str
    deadline: datetime
    prefix: str = "batch_"
    input_file: str | None = None
    metadata: Json | None = None
    contact: str | None = None
    link_sha256: str | None = None
    problems: Sequence[Json] = field(default_factory=tuple)  # any: it is refused, and kept to say why


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one line. `state`: answered | failed | expired | cancelled."""

    number: int
    custom_id: str
    resident: str
    body: Json
    state: str
    answers: tuple[Answer, ...] = ()
    weights_digest: str | None = None
    at: str | None = None
    error: Json | None = None


class Correspondence:
    """The files and batches of one home. Safe in threads; may block."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self.payloads = Payloads(settings.home / "correspondence")
        self.database = database
        self.clock = clock
        self._days = timedelta(days=settings.correspondence_days)

    # -- files ---------------------------------------------------------------------------------------------------------

    def add_file(self, owner: str, filename: str, chunks: Iterable[bytes], purpose: str = "batch") -> FileView:
        """Keep a file. Raises InputError for its name, StoreFull."""
        if not 0 < len(filename) <= MOST_FILENAME or not filename.isprintable():
            raise InputError(f"a file's name has 1 to {MOST_FILENAME} printable characters", param="file")
        return self._keep_file(f"file-{secrets.token_hex(16)}", owner, filename, purpose, chunks)

    def files(self, owner: str, purpose: str | None, after: str | None, limit: int) -> tuple[list[FileView], bool]:
        """Files, the newest first, and whether there are more."""
        where: list[ColumnElement[bool]] = [KeptFile.owner == owner]
        if purpose is not None:
            where.append(KeptFile.purpose == purpose)
        with self.database.reading() as session:
            if after is not None:
                last = _file_row(session, owner, after)
                before = (KeptFile.created_at < last.created_at) | (
                    (KeptFile.created_at == last.created_at) & (KeptFile.id < last.id)
                )
                where.append(before)
            order = (KeptFile.created_at.desc(), KeptFile.id.desc())
            rows = session.scalars(select(KeptFile).where(*where).order_by(*order).limit(limit + 1)).all()
        return [file_view(row) for row in rows[:limit]], len(rows) > limit

    def file(self, owner: str, name: str) -> FileView:
        """One file. Raises NotFound."""
        with self.database.reading() as session:
            return file_view(_file_row(session, owner, name))

    def delete_file(self, owner: str, name: str) -> None:
        """Erase a file. Batches made of it go on. Raises NotFound."""
        with self.database.session() as session:
            session.delete(_file_row(session, owner, name))
        self.payloads.drop_file(name)

    # -- batches -------------------------------------------------------------------------------------------------------

    def create(self, sender: Sender, new: NewBatch, lines: Sequence[NewLine]) -> str:
        """Take a batch in, or keep why it was refused; its id."""
        now = self.clock()
        batch = f"{new.prefix}{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"
        refused = bool(new.problems)
        offsets: list[int] = []
        if not refused:
            offsets = self.payloads.put_questions(
                batch,
                (
                    {
                        "custom_id": line.custom_id,
                        "resident": line.resident,
                        "body": line.body,
                        "question": line.question.as_dict(),
                    }
                    for line in lines
                ),
            )
        row = Batch(
            id=batch,
            owner=sender.owner,
            caller=sender.name,
            person=sender.person,
            wire=new.wire,
            state="failed" if refused else "open",
            created_at=stamp(now),
            deadline=stamp(new.deadline),
            erase_at=stamp(max(now, new.deadline) + self._days),
            started_at=None,
            cancelled_at=None,
            ended_at=stamp(now) if refused else None,
            input_file=new.input_file,
            metadata_=new.metadata,
            problems=list(new.problems),
            results=None,
            link_sha256=new.link_sha256,
            contact=new.contact,
            told_at=None,
        )
        try:
            with self.database.session() as session:
                session.add(row)
                session.flush()
                made = (
                    [_line_row(batch, number, line, offsets[number]) for number, line in enumerate(lines)]
                    if not refused
                    else []
                )
                for start in range(0, len(made), AT_ONCE):
                    session.execute(insert(BatchLine), made[start : start + AT_ONCE])
        except BaseException:
            self.payloads.drop_batch(batch)
            raise
        return batch

    def batch(self, owner: str, batch: str) -> BatchView:
        """One batch. Raises NotFound."""
        with self.database.reading() as session:
            return batch_views(session, [_batch_row(session, owner, batch)])[0]

    def batches(
        self, owner: str, wires: Sequence[str], *, after: str | None = None, before: str | None = None, limit: int = 20
    ) -> tuple[list[BatchView], bool]:
        """Batches of some wires, the newest first, older than `after` or newer than `before`; are there more?"""
        where = [Batch.owner == owner, Batch.wire.in_(wires)]
        with self.database.reading() as session:
            if after is not None:
                where.append(Batch.id < _batch_row(session, owner, after).id)
            if before is not None:
                where.append(Batch.id > _batch_row(session, owner, before).id)
            order = Batch.id.desc() if before is None else Batch.id.asc()
            rows = list(session.scalars(select(Batch).where(*where).order_by(order).limit(limit + 1)))
            more, rows = len(rows) > limit, rows[:limit]
            return batch_views(session, rows if before is None else rows[::-1]), more

    def cancel(self, owner: str, batch: str) -> BatchView:
        """Ask nothing more of a batch; what is being answered just now still ends. Safe to repeat. Raises NotFound."""
        now = stamp(self.clock())
        with self.database.session() as session:
            row = _batch_row(session, owner, batch)
            if row.state == "open":
                row.cancelled_at = row.cancelled_at or now
                _end_waiting(session, BatchLine.batch == batch, "cancelled", now)
                settle(session, batch, now)
        return self.batch(owner, batch)

    def delete(self, owner: str, batch: str) -> None:
        """Erase a batch that has ended, and all it brought. Raises NotFound, RuleError while it has not ended."""
        with self.database.session() as session:
            row = _batch_row(session, owner, batch)
            if row.state == "open":
                raise RuleError(f"{batch!r} has not ended", remedy="Cancel it first.")
            _erase(session, batch)
        self._drop(batch)

    def results(self, batch: str) -> Iterator[Result]:
        """What became of every line, in order, of a batch that has ended."""
        with self.database.reading() as session:
            rows = session.scalars(select(BatchLine).where(BatchLine.batch == batch).order_by(BatchLine.number)).all()
        answers = self.payloads.answers(batch)
        for row, kept in zip(rows, self.payloads.questions(batch), strict=False):
            found = answers.get(row.number) if row.state == "answered" else None
            yield Result(
                row.number,
                row.custom_id,
                row.resident,
                kept["body"],
                row.state,
                () if found is None else tuple(map(answer_of, found["answers"])),
                None if found is None else found["weights_digest"],
                row.at,
                row.error,
            )

    def bring(
        self, batch: BatchView, write: Callable[[Iterator[Result]], tuple[Iterable[bytes], Iterable[bytes]]]
    ) -> BatchView:
        """Have what an ended batch brought written as files of its owner, once; the batch as it then is.

        `write` gives the bytes of the file of answers and of the file of errors. While another does it, nothing is
        done. The questions and answers are then in those files alone.
        """
        with self.payloads.turn(f"~{batch.id}") as mine:
            now = self.batch(batch.owner, batch.id)
            if not mine or now.state == "open" or now.results is not None:
                return now
            answered, others = write(self.results(batch.id))
            if now.counts.answered:
                self._keep_file(output_of(batch.id), batch.owner, f"{batch.id}_output.jsonl", "batch_output", answered)
            if now.counts.total > now.counts.answered:
                self._keep_file(errors_of(batch.id), batch.owner, f"{batch.id}_error.jsonl", "batch_output", others)
            with self.database.session() as session:
                session.execute(update(Batch).where(Batch.id == batch.id).values(results="written"))
            self.payloads.drop_batch(batch.id)
        return self.batch(batch.owner, batch.id)

    # -- time ----------------------------------------------------------------------------------------------------------

    def due(self) -> list[str]:
        """The residents for whom something waits."""
        query = (
            select(BatchLine.resident)
            .join(Batch, Batch.id == BatchLine.batch)
            .where(BatchLine.state.in_(LEFT), Batch.state == "open")
            .distinct()
        )
        with self.database.reading() as session:
            return sorted(session.scalars(query))

    def end_overdue(self) -> int:
        """End what waits although its deadline has passed, and batches that are over; how many lines ended."""
        now = stamp(self.clock())
        with self.database.session() as session:
            overdue = select(Batch.id).where(Batch.state == "open", Batch.deadline <= now)
            ended = _end_waiting(session, BatchLine.batch.in_(overdue), "expired", now)
            for batch in session.scalars(overdue).all():
                settle(session, batch, now)
        return ended

    def erase_past(self) -> int:
        """Erase files and batches whose days are over; how many."""
        now = stamp(self.clock())
        with self.database.session() as session:
            files = session.scalars(select(KeptFile.id).where(KeptFile.expires_at <= now)).all()
            batches = session.scalars(select(Batch.id).where(Batch.erase_at <= now)).all()
            session.execute(delete(KeptFile).where(KeptFile.id.in_(files)))
            for batch in batches:
                _erase(session, batch)
        for name in files:
            self.payloads.drop_file(name)
        for batch in batches:
            self._drop(batch)
        return len(files) + len(batches)

    def _drop(self, batch: str) -> None:
        for name in (output_of(batch), errors_of(batch)):
            self.payloads.drop_file(name)
        self.payloads.drop_batch(batch)

    def _keep_file(self, name: str, owner: str, filename: str, purpose: str, chunks: Iterable[bytes]) -> FileView:
        now = self.clock()
        size = self.payloads.put_file(name, chunks)
        row = KeptFile(
            id=name,
            owner=owner,
            filename=filename,
            purpose=purpose,
            bytes=size,
            created_at=stamp(now),
            expires_at=stamp(now + self._days),
        )
        with self.database.session() as session:
            return file_view(session.merge(row))


def output_of(batch: str) -> str:
    """The id of the file with a batch's answers."""
    return f"file-{batch}-output"


def errors_of(batch: str) -> str:
    """The id of the file with a batch's errors."""
    return f"file-{batch}-error"


def settle(session: Session, batch: str, now: str) -> None:
    """Say that a batch has ended where all its lines have. In the transaction that ended the last one, or later."""
    row = session.scalars(select(Batch).where(Batch.id == batch).with_for_update()).first()
    if row is None or row.state != "open":
        return
    counted = select(BatchLine.state, func.count()).where(BatchLine.batch == batch).group_by(BatchLine.state)
    states = {state for state, _ in session.execute(counted)}
    if states & set(LEFT):
        return
    row.state = "cancelled" if row.cancelled_at else "expired" if "expired" in states else "completed"
    row.ended_at = now


def _end_waiting(session: Session, where: ColumnElement[bool], state: str, now: str) -> int:
    ended = update(BatchLine).where(where, BatchLine.state == "waiting").values(state=state, at=now)
    done = cast(CursorResult[Any], session.execute(ended.execution_options(synchronize_session=False)))
    return done.rowcount


def _erase(session: Session, batch: str) -> None:
    session.execute(delete(BatchLine).where(BatchLine.batch == batch))
    session.execute(delete(KeptFile).where(KeptFile.id.in_((output_of(batch), errors_of(batch)))))
    session.execute(delete(Batch).where(Batch.id == batch))


def _line_row(batch: str, number: int, line: NewLine, offset: int) -> Json:
    return {
        "batch": batch,
        "number": number,
        "custom_id": line.custom_id,
        "resident": line.resident,
        "offset": offset,
        "state": "waiting",
        "asked": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "error": None,
        "at": None,
    }


def _file_row(session: Session, owner: str, name: str) -> KeptFile:
    row = session.get(KeptFile, name) if _may_be_id(name) else None
    if row is None or row.owner != owner:
        raise NotFound(f"there is no file {name[:80]!r}", remedy="`GET /v1/files` lists yours.")
    return row


def _batch_row(session: Session, owner: str, batch: str) -> Batch:
    row = session.get(Batch, batch) if _may_be_id(batch) else None
    if row is None or row.owner != owner:
        raise NotFound(f"there is no batch {batch[:80]!r}", remedy="`GET /v1/batches` lists yours.")
    return row


def _may_be_id(text: str) -> bool:
    """Whether it is worth asking for: PostgreSQL takes no NUL."""
    return len(text) <= 64 and text.isprintable()
