"""Where in a TOML text a value stands, so that an error about it can name the line.

Understands tables, arrays of tables, keys at the start of a line, and arrays with one element a line, which is how
protocols are written; for anything else it names what encloses it. Knows nothing of protocols.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\[(\[?)\s*([A-Za-z0-9_.-]+)\s*\]?\]")
_KEY = re.compile(r"^([A-Za-z0-9_-]+)\s*=\s*(.*)$")
_ELEMENT = ('"', "'", "{")

Path = tuple[str | int, ...]


def line_of(text: str, location: Sequence[str | int]) -> int:
    """The line (from 1) of the value at `location`, e.g. ("items", 3, "text"); failing that, of what encloses it."""
    known = _positions(text)
    path: Path = tuple(location)
    while path and path not in known:
        path = path[:-1]
    return known.get(path, 1)


def _positions(text: str) -> dict[Path, int]:
    """Every table's and key's path with its line."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    array: Path = ()  # the array whose elements stand on lines of their own
    elements = 0
    inside = False  # a multi-line string
    for number, line in enumerate(text.splitlines(), start=1):
        quotes = line.count('"""') + line.count("'''")
        bare = line.strip()
        if not inside and array:
            if bare[:1] in _ELEMENT:
                found[(*array, elements)] = number
                elements += 1
            elif bare[:1] == "]":
                array = ()
        elif not inside:
            header, key = _HEADER.match(line), _KEY.match(bare)
            if header:
                table = _enter(header.group(2).split("."), header.group(1) == "[", counts)
                found.setdefault(table, number)
            elif key:
                found.setdefault((*table, key.group(1)), number)
                if key.group(2).partition("#")[0].strip() == "[":
                    array, elements = (*table, key.group(1)), 0
        if quotes % 2:
            inside = not inside
    return found


def _enter(names: Sequence[str], is_array: bool, counts: dict[Path, int]) -> Path:
    """The path of the table a header opens; an array's header opens its next element."""
    path: Path = ()
    for place, name in enumerate(names):
        path = (*path, name)
        if is_array and place == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
            path = (*path, counts[path])
        elif path in counts:
            path = (*path, counts[path])
    return path
