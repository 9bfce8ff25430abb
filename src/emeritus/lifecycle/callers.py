"""The list of a model's callers as a CSV file: its columns, and what makes a row unreadable. Pure.

Columns, in any order: `contact` (required: an e-mail address, may be empty), `label` (how people call this caller),
`requests` (a whole number) and `last_used` (a date, 2026-03-31). Every value is personal data. Knows no table.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from emeritus.errors import BadTable
from emeritus.mail.messages import is_address

COLUMNS = ("contact", "label", "requests", "last_used")
MOST_REQUESTS = 2**31 - 1  # what both databases hold in an integer column


@dataclass(frozen=True, slots=True)
class CallerLine:
    """One caller as a file names it. `contact` or `label` is always there."""

    contact: str | None
    label: str | None
    requests: int | None
    last_used: str | None
    grants: tuple[str, ...] = ()  # ids of the grants by whose keys it calls, where metering tells

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two lines, of one file or of two, the same caller."""
        return identity(self.contact, self.label)


def identity(contact: str | None, label: str | None) -> tuple[str, str]:
    """The contact, whatever its case; the label where there is none."""
    return ("contact", contact.casefold()) if contact is not None else ("label", label or "")


def read_callers(data: bytes) -> tuple[CallerLine, ...]:
    """Every caller of a CSV file in UTF-8, with or without a byte order mark. Raises BadTable naming the line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadTable(f"line {line}: the file is not UTF-8", line=line) from error
    rows = _rows(text)
    try:
        header = next(rows)[1]
    except StopIteration:
        raise BadTable("line 1: the file is empty; its first line must name the columns", line=1) from None
    names = [name.strip().lower() for name in header]
    _check_header(names)
    callers: list[CallerLine] = []
    first_seen: dict[tuple[str, str], int] = {}
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise BadTable(f"line {line}: {len(cells)} values for {len(names)} columns", line=line)
        caller = _caller(dict(zip(names, (cell.strip() for cell in cells), strict=True)), line)
        seen = first_seen.setdefault(caller.identity, line)
        if seen != line:
            raise BadTable(f"line {line}: the caller of line {seen} stands here again", line=line)
        callers.append(caller)
    return tuple(callers)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each begins on (a quoted value may span lines)."""
    reader, line = csv.reader(io.StringIO(text, newline=""), strict=True), 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadTable(f"line {line}: {error}", line=line) from error


def _check_header(names: list[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise BadTable(f"line 1: unknown column {unknown[0][:80]!r}; the columns are {', '.join(COLUMNS)}", line=1)
    if len(set(names)) != len(names):
        raise BadTable("line 1: a column is named twice", line=1)
    if "contact" not in names:
        raise BadTable("line 1: the column 'contact' is missing", line=1)


def _caller(cells: dict[str, str], line: int) -> CallerLine:
    contact, label = cells["contact"] or None, cells.get("label") or None
    if contact is None and label is None:
        raise BadTable(f"line {line}: neither contact nor label is given", line=line)
    if contact is not None and not is_address(contact):
        raise BadTable(f"line {line}: {contact[:80]!r} is not an e-mail address", line=line)
    return CallerLine(
        contact, label, _requests(cells.get("requests", ""), line), _day(cells.get("last_used", ""), line)
    )


def _requests(text: str, line: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text[:99]) > MOST_REQUESTS:
        raise BadTable(f"line {line}: requests is {text[:80]!r}, not a whole number up to {MOST_REQUESTS}", line=line)
    return int(text)


def _day(text: str, line: int) -> str | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10]).isoformat()  # an access log's time of day is more than anyone needs here
    except ValueError as error:
        raise BadTable(f"line {line}: last_used is {text[:80]!r}, not a date like 2026-03-31", line=line) from error
