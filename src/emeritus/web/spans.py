"""Cuts an answer at the edges of its coded spans, so that a page can mark and link them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Coded:
    """Characters `start` to `end` of an answer, coded as a preference."""

    start: int
    end: int
    preference: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of the answer, and the preferences it is evidence for (most pieces: none)."""

    text: str
    preferences: tuple[str, ...]


def cut(answer: str, coded: Iterable[Coded]) -> tuple[Piece, ...]:
    """The answer in pieces that join to it exactly. Spans may overlap; one that reaches outside is ignored."""
    spans = [span for span in coded if 0 <= span.start < span.end <= len(answer)]
    edges = sorted({0, len(answer), *(span.start for span in spans), *(span.end for span in spans)})
    return tuple(
        Piece(
            answer[start:end],
            tuple(sorted({span.preference for span in spans if span.start <= start and end <= span.end})),
        )
        for start, end in pairwise(edges)
    )
