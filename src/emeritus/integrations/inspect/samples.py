"""A session's transcript in Inspect's words: conversation, metadata, adequacy. Used by the task and by the export.

The metadata holds what a log has no place for, and is enough to find the journal: condition, protocol, digests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emeritus.interview.coding.spans import adequacies
from emeritus.interview.sessions.transcript import Transcript, TranscriptTurn

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage
    from inspect_ai.scorer import Score

SCORER = "adequacy"


def conversation(transcript: Transcript) -> list[ChatMessage]:
    """Every turn in order, the opening before the first; unanswered turns without an answer."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser

    found: list[ChatMessage] = []
    for place, turn in enumerate(transcript.turns):
        where = {"turn": turn.turn, "item": turn.item}
        text = turn.question if place else f"{transcript.opening}\n\n{turn.question}"
        name = f"{transcript.session}-{turn.turn}"
        found.append(ChatMessageUser(id=f"{name}-asked", content=text, metadata=where))
        if turn.answered:
            found.append(ChatMessageAssistant(id=f"{name}-answer", content=turn.answer, metadata=where))
    return found


def metadata(transcript: Transcript) -> dict[str, Any]:
    """What a log's sample says of its session."""
    return {
        "session": transcript.session,
        "resident": transcript.resident,
        "purpose": transcript.purpose,
        "condition": dict(transcript.condition),
        "protocol": dict(transcript.protocol),
        "briefing": dict(transcript.briefing),
        "opening": transcript.opening,
        "status": transcript.status,
        "attempts": transcript.attempts,
        "tears": transcript.tears,
        "journal_sha256": transcript.sha256,
        "build": dict(transcript.build),
        "turns": [_turn(turn) for turn in transcript.turns],
    }


def adequacy(transcript: Transcript) -> Score:
    """The share of items that were really asked and answered; each one's adequacy in the metadata."""
    from inspect_ai.scorer import Score

    each = adequacies(transcript)
    share = sum(1 for value in each.values() if value == "adequate") / len(each) if each else 0.0
    return Score(value=share, metadata={"items": dict(each)})


def _turn(turn: TranscriptTurn) -> dict[str, Any]:
    return {
        "turn": turn.turn,
        "item": turn.item,
        "kind": turn.kind,
        "section": turn.section,
        "wording": turn.wording,
        "options": list(turn.options),
        "target": turn.target,
        "direction": turn.direction,
        "after": turn.after,
        "by": None if turn.by is None else dict(turn.by),
        "answered": turn.answered,
        "finish_reason": turn.finish_reason,
    }
