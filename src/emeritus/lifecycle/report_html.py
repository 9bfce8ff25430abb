"""The report as one HTML `<article>` fragment, rendered from its JSON bytes. Pure; knows no record and no page."""

from __future__ import annotations

import json
import re
from html import escape

from emeritus.lifecycle.report_blocks import Block, Heading, Items, Line, Link, Paragraph, Quote, Table
from emeritus.lifecycle.report_layout import layout

_DIGEST = re.compile("[0-9a-f]{64}")


def render_html(document: bytes) -> str:
    """The report's JSON as a fragment to be placed in a page; it ends with a newline."""
    blocks = "\n".join(_block(block) for block in layout(json.loads(document)))
    return f'<article class="report">\n{blocks}\n</article>\n'


def _block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(line):
            return f"<p>{_line(line)}</p>"
        case Items(lines):
            return "<ul>\n" + "\n".join(f"<li>{_line(line)}</li>" for line in lines) + "\n</ul>"
        case Quote(text, source):
            return f"<blockquote>\n<p>{_text(text)}</p>\n<footer>{_line(source)}</footer>\n</blockquote>"
        case Table(columns, rows):
            head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
            body = "\n".join("<tr>" + "".join(f"<td>{_line(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _line(line: Line) -> str:
    return "".join(
        f'<a href="{escape(part.href)}">{_text(part.text)}</a>' if isinstance(part, Link) else _text(part)
        for part in line
    )


def _text(text: str) -> str:
    """Escaped text whose line breaks are kept; a digest alone is set apart, so that a page may break it anywhere."""
    if _DIGEST.fullmatch(text):
        return f"<code>{text}</code>"
    return "<br>".join(escape(part) for part in text.splitlines()) if text else ""
