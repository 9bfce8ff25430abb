"""Transcripts that nobody chose: drawn by the ledger's tree head, with their questions beside their answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from emeritus.interview import queries as interview
from emeritus.interview.sessions.transcript import TranscriptTurn, read_journal
from emeritus.interview.views import SessionView
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page

SESSIONS = 4  # transcripts on the page
TURNS = 2  # turns of each


@dataclass(frozen=True, slots=True)
class Head:
    """The tree head that draws: the log's size and its root hash, base64 as in the checkpoint."""

    size: int
    root: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn session, and the drawn ones of its answered turns, in their order."""

    sitting: SessionView
    ticket: str  # the digest that drew it
    turns: tuple[TranscriptTurn, ...]


def head(checkpoint: bytes) -> Head:
    """Size and root of a signed checkpoint (C2SP tlog-checkpoint: its second and third lines)."""
    _, size, root = checkpoint.decode().split("\n")[:3]
    return Head(int(size), root)


def ticket(root: str, *about: object) -> str:
    """What is drawn with: sha256 (hex) of the root hash and what may be drawn, a space between each."""
    return hashlib.sha256(" ".join([root, *map(str, about)]).encode()).hexdigest()


def sample(request: Request) -> Response:
    """`/transcripts`: the interviews whose tickets are the lowest, and of each the turns whose tickets are."""
    reader = reader_of(request)
    drawing = head(reader.ledger.checkpoint())
    with reader.session() as session:
        ids = interview.interview_ids(session)
        lowest = sorted((ticket(drawing.root, each), each) for each in ids)[:SESSIONS]
        drawn = []
        for digest, session_id in lowest:
            sitting = interview.interview_session(session, ids[session_id], session_id)
            transcript = read_journal(reader.journal(sitting.journal), sitting.journal_sha256)
            answered = [turn for turn in transcript.turns if turn.answered]
            chosen = sorted(answered, key=lambda turn: ticket(drawing.root, session_id, turn.turn))[:TURNS]
            drawn.append(Drawn(sitting, digest, tuple(sorted(chosen, key=lambda turn: turn.turn))))
        return page(
            request,
            "sample.html",
            drawn=drawn,
            head=drawing,
            count=len(ids),
            titles={resident.name: resident.title for resident in lifecycle.residents(session)},
        )
