"""A plain folder: the files, and SHA256SUMS beside them, which `sha256sum -c SHA256SUMS` checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from emeritus.errors import IntegrityError
from emeritus.vault.exchange.content import Found, Item, Label, check_path, files_below, require_same

SUMS = "SHA256SUMS"
CONTENT = ""  # where the files lie below the folder
_LINE = re.compile(r"(\\?)([0-9a-f]{64}) [ *](.+)")


def finish(folder: Path, items: Sequence[Item], label: Label) -> None:
    """Write what makes the files this form."""
    (folder / SUMS).write_text("".join(_line(item) for item in items), encoding="utf-8")


def read(source: Path) -> list[Found]:
    """The files, complete, with the digests stated for them; none is read yet. Raises IntegrityError."""
    found = []
    for line in (source / SUMS).read_bytes().decode("utf-8", "surrogateescape").split("\n")[:-1]:
        match = _LINE.fullmatch(line)
        if match is None:
            raise IntegrityError(f"{SUMS} has a line that is no sum: {line[:80]!r}")
        path = _plain(match[3]) if match[1] else match[3]
        check_path(path, SUMS)
        found.append(Found(path, source / path, (("sha256", match[2]),)))
    require_same({each.path for each in found}, set(files_below(source)) - {SUMS}, SUMS)
    return found


def _line(item: Item) -> str:
    path = item.path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if path == item.path else chr(92)}{item.sha256}  {path}\n"


def _plain(path: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "r": "\r"}.get(match[1], match[1]), path)
