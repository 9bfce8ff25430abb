"""A log file of any known format, read line by line: its callers, and its sha256. The table of formats stands here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

from emeritus.errors import BadTable, InputError
from emeritus.lifecycle.callers import CallerLine, read_callers
from emeritus.lifecycle.imports import litellm, nginx, vllm
from emeritus.lifecycle.imports.tally import Tally

FORMATS = ("csv", "nginx", "litellm", "vllm")
LONGEST_LINE = 64 << 20  # bytes
MOST_CSV = 256 << 20  # bytes of our own CSV, which is a list of people and no log


@dataclass(frozen=True, slots=True)
class LogFile:
    """What is to be read. `names`: what the model is called in it. Fields are nginx's extra ones (`nginx.read`)."""

    path: Path
    format: str
    names: tuple[str, ...]
    model_field: str | None = None
    caller_field: str | None = None
    bad_lines: int = 0  # how many unreadable lines are left out instead of refusing the file


@dataclass(frozen=True, slots=True)
class Found:
    """A file's callers, how many lines it has, how many of them were left out as unreadable (with the first ones)."""

    callers: tuple[CallerLine, ...]
    sha256: str
    lines: int
    bad: int
    shown: tuple[tuple[int, str], ...]


def read_log(file: LogFile, today: date) -> Found:
    """The callers of one model in a file. Raises BadTable naming every line that is wrong, InputError."""
    if file.format not in FORMATS:
        raise InputError(f"{file.format!r} is no format", remedy=f"Use one of: {', '.join(FORMATS)}.")
    if file.bad_lines and file.format == "csv":
        raise InputError("a list of people is read whole or not at all", remedy="Leave --bad-lines out.")
    try:
        with file.path.open("rb") as opened:
            return _csv(opened) if file.format == "csv" else _log(file, opened, today)
    except OSError as error:
        raise BadTable(f"{file.path} cannot be read: {error.strerror}", remedy="Give the path of a file.") from error


def _csv(opened: BinaryIO) -> Found:
    data = opened.read(MOST_CSV + 1)
    if len(data) > MOST_CSV:
        raise BadTable(f"the file is larger than {MOST_CSV} bytes", remedy="Import it in parts.")
    callers = read_callers(data)
    return Found(callers, hashlib.sha256(data).hexdigest(), data.count(b"\n"), 0, ())


def _log(file: LogFile, opened: BinaryIO, today: date) -> Found:
    digest, tally = hashlib.sha256(), Tally()
    lines = _lines(opened, digest)
    match file.format:
        case "nginx":
            nginx.read(lines, file.names, (file.model_field, file.caller_field), tally)
        case "vllm":
            vllm.read(lines, today, tally)
        case _:
            first = next(lines, "")
            begin = litellm.read_json if first.lstrip("\ufeff \t").startswith("{") else litellm.read_csv
            begin(_chain(first.removeprefix("\ufeff"), lines), file.names, tally)
    return Found(tally.callers(file.bad_lines), digest.hexdigest(), tally.lines, tally.bad, tuple(tally.shown))


def _lines(opened: BinaryIO, digest: hashlib._Hash) -> Iterator[str]:
    """Lines without their ends. Bytes that are no UTF-8 become U+FFFD, which no name that matters has."""
    number = 0
    while raw := opened.readline(LONGEST_LINE + 1):
        number += 1
        if len(raw) > LONGEST_LINE:
            raise BadTable(f"line {number}: longer than {LONGEST_LINE} bytes", line=number)
        digest.update(raw)
        yield raw.decode("utf-8", "replace").rstrip("\r\n")


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
