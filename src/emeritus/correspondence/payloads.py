"""The files of correspondence: what callers sent, the questions of a batch, and its answers as they come.

`correspondence/` in the home is closed to other users. `files/<id>` is a file as sent or brought; a batch has a folder
`batches/<id>` with `questions.jsonl` (one JSON object a line: `custom_id`, `resident`, `body`, `question`) and, for
each resident, `answers-<resident>.jsonl`: an `asked` line before the resident sees a question, an `answer` line, on
disk, before that worker asks the next. Knows no database, no engine and no vendor.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emeritus.errors import NotFound, StoreFull, StoreUnavailable

Json = dict[str, Any]
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Payloads:
    """The folder of one home. Every writing method returns only when its bytes are on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._noting = threading.Lock()  # a line being written must not be taken for a torn one

    # -- files ---------------------------------------------------------------------------------------------------------

    def file(self, name: str) -> Path:
        """Where a file lies. Raises NotFound where it does not."""
        path = self._root / "files" / name
        if not path.is_file():
            raise NotFound(f"the bytes of file {name!r} are no longer kept")
        return path

    def put_file(self, name: str, chunks: Iterable[bytes]) -> int:
        """Keep a file, whole or not at all, in place of one of that name; how many bytes it has."""
        return _write(self._folder("files") / name, chunks)

    def drop_file(self, name: str) -> None:
        """Delete a file's bytes. Safe to repeat."""
        (self._root / "files" / name).unlink(missing_ok=True)

    # -- batches -------------------------------------------------------------------------------------------------------

    def put_questions(self, batch: str, questions: Iterable[Json]) -> list[int]:
        """Keep the questions of a batch; where each line begins."""
        offsets, at = [], 0

        def lines() -> Iterator[bytes]:
            nonlocal at
            for question in questions:
                line = _line(question)
                offsets.append(at)
                at += len(line)
                yield line

        _write(self._folder("batches", batch) / "questions.jsonl", lines())
        return offsets

    def question(self, batch: str, offset: int) -> Json:
        """One question. Raises NotFound."""
        try:
            with (self._root / "batches" / batch / "questions.jsonl").open("rb") as file:
                file.seek(offset)
                found: Json = json.loads(file.readline())
        except FileNotFoundError as error:
            raise NotFound(f"the questions of {batch!r} are no longer kept") from error
        return found

    def questions(self, batch: str) -> Iterator[Json]:
        """Every question, in order."""
        path = self._root / "batches" / batch / "questions.jsonl"
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    yield json.loads(line)

    def answers(self, batch: str) -> dict[int, Json]:
        """Every `answer` line of a batch, by the question's number. A torn last line was never an answer."""
        found: dict[int, Json] = {}
        for path in sorted((self._root / "batches" / batch).glob("answers-*.jsonl")):
            found.update({each["number"]: each for each in _read(path) if each["kind"] == "answer"})
        return found

    def note(self, batch: str, resident: str, line: Json) -> None:
        """Add one line to a resident's answers: by whoever holds its turn, and nobody else."""
        path = self._folder("batches", batch) / f"answers-{resident}.jsonl"
        with self._noting, _named(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                _cut_torn(descriptor)
                data = _line(line)
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def drop_batch(self, batch: str) -> None:
        """Delete a batch's questions and answers. Safe to repeat."""
        shutil.rmtree(self._root / "batches" / batch, ignore_errors=True)

    # -- turns ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def turn(self, resident: str) -> Iterator[bool]:
        """Whether nobody else, here or in another process, has this turn until the block ends: flock(2).

        A resident's name: to answer for it. A killed process has given up its turns.
        """
        path = self._folder("turns") / f"{resident}.lock"
        with _named(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)  # and with it the lock

    def _folder(self, *parts: str) -> Path:
        folder = self._root.joinpath(*parts)
        with _named(folder):
            self._root.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def _line(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"  # ASCII: a line is a line to every reader


def _read(path: Path) -> Iterator[Json]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def _cut_torn(descriptor: int) -> None:
    """Take away what a killed process had begun to write: it stops short of a line's end."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        data = os.pread(descriptor, size, 0)
        os.ftruncate(descriptor, data.rfind(b"\n") + 1)


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    beside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    size = 0
    try:
        with _named(path):
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    size += len(chunk)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    finally:
        beside.unlink(missing_ok=True)
    return size


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull(f"no room to write {path.name}") from error
        raise StoreUnavailable(f"{path.name} cannot be written: {error.strerror}") from error
