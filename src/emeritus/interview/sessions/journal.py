"""A session's journal: what was asked and what came back, one JSON object a line, each durable before anything follows.

Lines, in order: a `header`; for each attempt an `asked` (before the model sees it) and an `attempt` (what came of it);
where somebody adds questions as the session goes, a `turn` before its first `asked`, or a `passed` where there was
nothing to add (and where that is a model, a `consulted` before each call to it and a `consultation` after); at last an
`end`. Every line carries the sha256 of the line before it. ASCII, so that any reader can open it with the standard
library. Knows no protocol's rules, no engine and no database. docs/interviews.md gives every field.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
import threading
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emeritus.blobs.disk import Disk
from emeritus.errors import HomeBusy, IntegrityError, StoreFull, StoreUnavailable
from emeritus.interview.sessions.transcript import (
    FORMAT,
    Transcript,
    build_transcript,
    digest,
    read_journal,
    read_lines,
)

__all__ = ["Journal", "raw_field", "read_journal", "readable"]

Json = dict[str, Any]
DISK = Disk()
_RESULTS = {"asked": "attempt", "consulted": "consultation"}  # the line that follows, unless the process dies


class Journal:
    """A journal open for writing; one process at a time. Every method returns only when its line is on disk."""

    def __init__(self, path: Path, descriptor: int, lines: list[Json], last: str, disk: Disk) -> None:
        self.path = path
        self._disk = disk
        self._descriptor = descriptor
        self._lines = lines
        self._last = last  # sha256 of the last line
        self._writing = threading.Lock()  # a cancelled session closes the journal while its last write may be under way

    @classmethod
    def open(cls, path: Path, header: Mapping[str, Any], disk: Disk = DISK) -> Journal:
        """Open the journal at `path`, or make it with `header`; a torn last line is cut and the cut recorded.

        A header that is there already stays: it says what was planned. An attempt that was asked and never answered,
        because the process died, is recorded as interrupted. Raises IntegrityError for a damaged journal or one of
        another session, HomeBusy while another process writes it.
        """
        try:
            if not path.exists():
                _make(path, _line({"kind": "header", "format": FORMAT, **header}, None), disk)
            descriptor = _open_locked(path, disk)
            try:
                data = path.read_bytes()
                lines, good = read_lines(data, path.name)
                if lines[0].get("session") != header["session"]:
                    raise IntegrityError(f"{path.name} is the journal of session {lines[0].get('session')!r}")
                if good < len(data):
                    descriptor = _cut(path, descriptor, data, good, disk)
                    data = path.read_bytes()
                    lines, _ = read_lines(data, path.name)
            except BaseException:
                disk.close(descriptor)
                raise
        except OSError as error:
            raise _unwritten(path, error) from error
        journal = cls(path, descriptor, lines, digest(data.splitlines()[-1]), disk)
        journal._close_interrupted()
        return journal

    @property
    def transcript(self) -> Transcript:
        """What the journal says so far."""
        return build_transcript(self._lines, self.path.read_bytes())

    @property
    def header(self) -> Json:
        """The first line."""
        return self._lines[0]

    def asked(self, request: Mapping[str, Any]) -> None:
        """Record that a turn is about to be asked. `request` holds turn, attempt, at and what the model is given."""
        self._about_to("asked", "turn", request)

    def attempt(self, request: Mapping[str, Any], outcome: str, result: Mapping[str, Any]) -> None:
        """Record what came of an attempt: `answered` or `failed`, with the exact request beside it."""
        self._append({"kind": "attempt", **request, "outcome": outcome, **result})

    def consulted(self, request: Mapping[str, Any]) -> None:
        """Record that an interviewer model is about to be called. `request`: after, attempt, at and what it sees."""
        self._about_to("consulted", "after", request)

    def consultation(self, request: Mapping[str, Any], outcome: str, result: Mapping[str, Any]) -> None:
        """Record what came of a call to an interviewer model, as `attempt` does."""
        self._append({"kind": "consultation", **request, "outcome": outcome, **result})

    def turn(self, added: Mapping[str, Any]) -> None:
        """Record a turn that the header did not plan, before it is asked: turn, item, question, after, by, at, asks."""
        self._append({"kind": "turn", **added})

    def passed(self, after: int, at: str, by: Mapping[str, Any], reason: str) -> None:
        """Record that after a turn nothing was added, though it could have been."""
        self._append({"kind": "passed", "after": after, "at": at, "by": dict(by), "reason": reason})

    def end(self, status: str, at: str) -> None:
        """Close the session. Nothing is written after this line."""
        self._append({"kind": "end", "status": status, "at": at})

    def close(self) -> None:
        """Let go of the file. Safe to repeat."""
        with self._writing:
            if self._descriptor >= 0:
                self._disk.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, value: Json) -> None:
        with self._writing:
            line = _line(value, self._last)  # refuses what is not JSON before a byte is written
            try:
                self._disk.write(self._descriptor, memoryview(line))
                self._disk.fsync(self._descriptor)
            except OSError as error:
                raise _unwritten(self.path, error) from error
            self._lines.append({**value, "previous": self._last})
            self._last = digest(line.rstrip(b"\n"))

    def _about_to(self, kind: str, of: str, request: Mapping[str, Any]) -> None:
        body = json.dumps(request, sort_keys=True).encode()
        known = {name: request[name] for name in (of, "attempt", "at")}
        self._append({"kind": kind, **known, "request_sha256": hashlib.sha256(body).hexdigest()})

    def _close_interrupted(self) -> None:
        last = next(line for line in reversed(self._lines) if line["kind"] != "torn")
        if last["kind"] in _RESULTS:
            asked = {name: value for name, value in last.items() if name not in ("kind", "previous")}
            self._append({"kind": _RESULTS[last["kind"]], **asked, "outcome": "interrupted"})


def readable(text: str) -> str:
    """The answer as text every store can hold: lone surrogates and NUL become U+FFFD; the raw bytes stay beside it."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")


def raw_field(raw: bytes) -> str:
    """Response bytes as a journal's line holds them: base64."""
    return b64encode(raw).decode("ascii")


def _line(value: Mapping[str, Any], previous: str | None) -> bytes:
    return json.dumps({**value, "previous": previous}, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _make(path: Path, line: bytes, disk: Disk) -> None:
    """Make the journal whole or not at all. Another process that was faster wins."""
    _make_folders(path.parent, disk)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = disk.create(temporary)
    try:
        try:
            disk.write(descriptor, memoryview(line))
            disk.fsync(descriptor)
        finally:
            disk.close(descriptor)
        try:
            disk.link(temporary, path)
        except FileExistsError:
            return
    finally:
        disk.unlink(temporary)
    disk.fsync_folder(path.parent)


def _make_folders(folder: Path, disk: Disk) -> None:
    """Make every level that is missing, each name durable before the next is made in it."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        disk.mkdir(each)
        disk.fsync_folder(each.parent)


def _open_locked(path: Path, disk: Disk) -> int:
    """The journal for appending, locked. A cut replaces the file: a lock counts only while the path leads to it."""
    while True:
        descriptor = disk.append(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            disk.close(descriptor)
            raise HomeBusy(f"another process is holding the session of {path.name}") from error
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        disk.close(descriptor)


def _cut(path: Path, descriptor: int, data: bytes, good: int, disk: Disk) -> int:
    """Replace the journal by its whole lines and a record of the cut; returns the new file's descriptor, locked."""
    kept, torn = data[:good], data[good:]
    record = {"kind": "torn", "bytes": len(torn), "sha256": digest(torn), "raw": raw_field(torn)}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fresh = disk.create(temporary)
    try:
        fcntl.flock(fresh, fcntl.LOCK_EX)
        disk.write(fresh, memoryview(kept + _line(record, digest(kept.splitlines()[-1]))))
        disk.fsync(fresh)
        disk.replace(temporary, path)
        disk.fsync_folder(path.parent)
    except BaseException:
        disk.close(fresh)
        disk.unlink(temporary)
        raise
    disk.close(descriptor)
    return fresh


def _unwritten(path: Path, error: OSError) -> StoreFull | StoreUnavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFull(f"no room to write the journal {path}")
    return StoreUnavailable(f"the journal {path} cannot be written: {error.strerror}")
