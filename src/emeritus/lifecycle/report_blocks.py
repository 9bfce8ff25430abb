"""What a report is made of: headings, paragraphs, lists, quotes and tables of linked words. Shapes only, no markup."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead to the turn, protocol or ledger entry behind them."""

    text: str
    href: str


Line = tuple[str | Link, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; the report's title is level 1."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph."""

    line: Line


@dataclass(frozen=True, slots=True)
class Items:
    """A list of lines."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """What the model produced, verbatim, and where it stands."""

    text: str
    source: Line


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]


Block = Heading | Paragraph | Items | Quote | Table
