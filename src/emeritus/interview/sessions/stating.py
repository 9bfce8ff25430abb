"""A finished session as its act states it: what is held in the journal, summed up, with the journal's digest.

Knows acts and transcripts; no engine and no rule of coding.
"""

from __future__ import annotations

from typing import Any

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.interview.coding.spans import adequacies
from emeritus.interview.sessions.transcript import Transcript

Json = dict[str, Any]


def held(transcript: Transcript) -> Json:
    """The session's row, as acts state it."""
    return {
        "id": transcript.session,
        "purpose": transcript.purpose,
        "condition": dict(transcript.condition),
        "protocol_sha256": transcript.protocol["sha256"],
        "journal": f"{transcript.session}.jsonl",
        "turns": len(transcript.turns),
        "attempts": transcript.attempts,
        "status": transcript.status,
        "build": dict(transcript.build),
        "started_at": transcript.started,
        "ended_at": transcript.ended,
    }


def state_interview(acts: Acts, transcript: Transcript, actor: Actor) -> Act:
    """State a finished interview session; stating it again finds the same act."""
    public = {"session": held(transcript), "adequacy": adequacies(transcript)}
    draft = Draft("interview.session", transcript.resident, public, digests={"journal": transcript.sha256})
    return acts.perform(f"interview:{transcript.session}", actor, lambda _: draft)
