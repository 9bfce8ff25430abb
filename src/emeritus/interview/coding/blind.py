"""A session as a coder may see it: the questions as the protocol words them, and the answers; nothing of the condition.

What was said under the condition (its statements, the facts given) is not part of a question here. What an answer
itself gives away, or what an interviewer added as the session went, cannot be hidden. Pure; knows no page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from emeritus.interview.protocols.protocol import Item, Protocol
from emeritus.interview.sessions.replies import adequacy
from emeritus.interview.sessions.transcript import Transcript, TranscriptTurn

CODED_KINDS = ("open", "question", "facts", "preference")  # the others are answered by a letter, read by program
FACTS = "[facts from the register, where they were given]"
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]+[」』”’)\]]*|\n")


@dataclass(frozen=True, slots=True)
class BlindTurn:
    """One turn to code. `sentences` are spans (start, end) of the answer that cover all of its words."""

    turn: int
    item: str
    section: int | None  # None: a question of the interviewer's own
    domain: str | None
    question: str
    answer: str
    adequacy: str  # by the plain rule
    sentences: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class BlindSession:
    """A session to code, without its name or condition. `channels` are those of the protocol's items."""

    sha256: str
    language: str
    turns: tuple[BlindTurn, ...]
    channels: tuple[str, ...]


def blind(protocol: Protocol, transcript: Transcript, items: Sequence[str] = ()) -> BlindSession:
    """What a coder is shown of a session; of `items` alone, where any are named."""
    known = {item.id: item for item in protocol.items}
    turns = []
    for turn in transcript.turns:
        base, _, added = turn.item.partition("+")  # a question added as the session went: the item before it, a number
        item = known.get(base)
        if (items and base not in items) or (not added and (item is None or item.kind not in CODED_KINDS)):
            continue
        turns.append(_turn(None if added else item, turn, transcript))
    channels = sorted({item.channel.name for item in protocol.items if item.channel is not None})
    return BlindSession(transcript.sha256, protocol.language, tuple(turns), tuple(channels))


def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """The spans (start, end) of a text's sentences, without the white space around them."""
    found = []
    start = 0
    for stop in [*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]:
        words = text[start:stop]
        if words.strip():
            begin = start + len(words) - len(words.lstrip())
            found.append((begin, start + len(words.rstrip())))
        start = stop
    return tuple(found)


def _turn(item: Item | None, turn: TranscriptTurn, transcript: Transcript) -> BlindTurn:
    briefing = transcript.briefing
    names = {"title": briefing.get("title", ""), "organisation": briefing.get("organisation", ""), "facts": FACTS}
    return BlindTurn(
        turn=turn.turn,
        item=turn.item,
        section=turn.section if item is None else item.section,
        domain=None if item is None else item.domain,
        question=turn.question if item is None else item.texts[turn.wording % len(item.texts)].format(**names),
        answer=turn.answer,
        adequacy=adequacy(turn.answer, turn.answered, turn.finish_reason),
        sentences=sentences(turn.answer),
    )
