"""The report as HTML, rendered from its JSON bytes: a page that stands alone, whose `<article>` a site may show.

It fetches nothing and prints well on A4 and Letter. Pure; knows no record and no site.
"""

from __future__ import annotations

import json
import re
from html import escape

from emeritus.lifecycle.report_blocks import Block, Heading, Items, Line, Link, Paragraph, Quote, Table
from emeritus.lifecycle.report_layout import layout

VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.55 Georgia, "Liberation Serif", serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
body { overflow-wrap: break-word; }
h1, h2, h3, h4 { line-height: 1.2; margin: 1.6em 0 0.5em; }
h2 { border-top: 1px solid #999; padding-top: 0.6em; }
table { border-collapse: collapse; width: 100%; font-size: 0.85rem; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.6rem 0.25rem 0; border-bottom: 1px solid #bbb; }
blockquote { margin: 0.8rem 0; padding-left: 1rem; border-left: 3px solid #666; }
blockquote footer { font-size: 0.85rem; }
code { font-size: 0.8em; overflow-wrap: anywhere; }
@page { margin: 18mm 16mm; }
@media print {
  :root { color-scheme: light; }
  body { font-size: 10pt; max-width: none; margin: 0; padding: 0; }
  a { color: inherit; text-decoration: underline; text-decoration-color: #999; }
  table { display: table; font-size: 8pt; }
  thead { display: table-header-group; }
  tr, blockquote, li { break-inside: avoid; }
  h1, h2, h3, h4 { break-after: avoid; }
}
"""
_DIGEST = re.compile("[0-9a-f]{64}")


def render_html(document: bytes) -> str:
    """The report's JSON as a page that stands alone; it ends with a newline."""
    value = json.loads(document)
    blocks = "\n".join(_block(block) for block in layout(value))
    title = escape(f"Post-deployment report: {value['resident']['title']}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"{VIEWPORT}\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<article class="report">\n{blocks}\n</article>\n</body>\n</html>\n'
    )


def article(page: str) -> str:
    """The `<article>` of a report's page, to be placed in another; the whole text where it has none."""
    start, end = page.find('<article class="report">'), page.rfind("</article>")
    return page[start : end + len("</article>")] if 0 <= start < end else page


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
