"""The report as Markdown (CommonMark with tables), rendered from its JSON bytes. Pure; knows no record."""

from __future__ import annotations

import json
import re

from emeritus.lifecycle.report_blocks import Block, Heading, Items, Line, Link, Paragraph, Quote, Table
from emeritus.lifecycle.report_layout import layout

_ANYWHERE = re.compile(r"([\\`*_\[\]<>|&~])")
_AT_THE_START = re.compile(r"([-+#=]|\d+(?=[.)]))")


def render_markdown(document: bytes) -> str:
    """The report's JSON as Markdown; it ends with a newline."""
    return "\n\n".join(_block(block) for block in layout(json.loads(document))) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_text(text)}"
        case Paragraph(line):
            return _line(line)
        case Items(lines):
            return "\n".join(f"- {_line(line)}" for line in lines)
        case Quote(text, source):
            quoted = [f"> {_text(part).lstrip()}" for part in text.splitlines() or [""]]
            return "\\\n".join(quoted) + f"\n>\n> — {_line(source)}"
        case Table(columns, rows):
            table = [columns, tuple("---" for _ in columns), *(tuple(_line(cell) for cell in row) for row in rows)]
            return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def _line(line: Line) -> str:
    parts = [f"[{_text(part.text)}]({part.href})" if isinstance(part, Link) else _text(part) for part in line]
    return "".join(parts).lstrip()  # four spaces at the start would make it code


def _text(text: str) -> str:
    """Text that means itself: what Markdown could act on, anywhere or at a line's start, is escaped; on one line."""
    line = _ANYWHERE.sub(r"\\\1", " ".join(text.splitlines()))
    start = _AT_THE_START.match(line.lstrip())
    if start is None:
        return line
    line = line.lstrip()
    return f"{line[: start.end()]}\\{line[start.end() :]}" if start[1].isdigit() else f"\\{line}"
