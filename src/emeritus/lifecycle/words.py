"""Words that callers leave for a model: held until a person has moderated them; the approved ones are public.

What is held is no act and is not public. A moderation is one: approved words are its payload, rejected ones stay
private (the ledger holds a commitment). Nothing about whoever left them is asked or kept. Knows no page.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, Projector, utc_now
from emeritus.errors import ActConflict, InputError, NotFound, TooManyTries
from emeritus.people.throttle import Throttle
from emeritus.records.database import Database
from emeritus.records.provenance import Provenance, provenance
from emeritus.records.residents import resident_row
from emeritus.records.tables import HeldWords, Words

MAX_WORDS = 1000  # characters
MOST_HELD = 500  # of one resident; more wait until some have been moderated
MOST_TOLD = 20  # in a facts pack: the newest approved ones
FROM_ONE, FROM_ALL = 5, 100  # words an hour: from one address, and in all
VERDICTS = ("approved", "rejected")
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class WordsView:
    """Moderated words. `text` is None where they were rejected or have been erased; `source` is their moderation."""

    id: str
    resident: str
    text: str | None
    verdict: str  # approved | rejected
    reason: str
    left_at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class Held:
    """Words that wait for a moderator."""

    id: str
    resident: str
    text: str
    left_at: str


class WordsForModels:
    """The words left in one home. How many were left lately is counted per process, and no address is stored."""

    def __init__(self, acts: Acts, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._acts = acts
        self._database = database
        self._lately = Throttle(timedelta(hours=1), clock)

    def leave(self, resident: str, text: str, address: str | None = None) -> str:
        """Hold words for moderation; their id. `address` counts against a limit and is forgotten within the hour.

        Raises NotFound, InputError, TooManyTries.
        """
        words = text.replace("\r\n", "\n").strip()
        if not 0 < len(words) <= MAX_WORDS:
            raise InputError(f"words for a model have 1 to {MAX_WORDS} characters", remedy="Write less, or something.")
        if any((ord(each) < 32 and each not in "\n\t") or 0xD800 <= ord(each) < 0xE000 for each in words):
            raise InputError("the words hold control characters", remedy="Send plain text.")
        if address is not None:
            self._lately.take({address: FROM_ONE, None: FROM_ALL})
        held_id = f"w-{secrets.token_hex(6)}"
        with self._database.session() as session:
            resident_row(session, resident)
            count = session.scalar(select(func.count()).where(HeldWords.resident == resident)) or 0
            if count >= MOST_HELD:
                raise TooManyTries("too many words wait to be read", remedy="Come back once some have been moderated.")
            session.add(HeldWords(id=held_id, resident=resident, text=words, left_at=self._acts.now))
        return held_id

    def held(self, resident: str | None = None) -> tuple[Held, ...]:
        """What waits for a moderator, oldest first."""
        query = select(HeldWords).where(HeldWords.id.not_in(select(Words.id)))
        with self._database.reading() as session:
            rows = session.scalars(query.order_by(HeldWords.left_at, HeldWords.id)).all()
        return tuple(
            Held(row.id, row.resident, row.text, row.left_at) for row in rows if resident in (None, row.resident)
        )

    def moderate(self, words_id: str, verdict: str, reason: str, actor: Actor) -> Act:
        """Approve words, or reject them with a reason. Done again alike it is the same act.

        Raises NotFound, InputError, ActConflict (moderated otherwise before).
        """
        reason = reason.strip()
        if verdict not in VERDICTS:
            raise InputError(f"{verdict!r} is no verdict; use one of: {', '.join(VERDICTS)}")
        if (verdict == "rejected" and not reason) or len(reason) > MAX_REASON:
            raise InputError(f"a rejection has a reason of 1 to {MAX_REASON} characters, which becomes public")

        def build(session: Session) -> Draft:
            row = session.get(HeldWords, words_id)
            if row is None:
                raise NotFound(f"no words {words_id[:80]!r} wait", remedy="`emeritus words list` shows those that do.")
            public = {"words": row.id, "verdict": verdict, "reason": reason, "left_at": row.left_at}
            if verdict == "approved":
                return Draft("words.moderated", row.resident, public, payloads={"text": row.text.encode()})
            return Draft("words.moderated", row.resident, public, private={"text": row.text})

        act = self._acts.perform(f"words:{words_id}"[:200], actor, build)
        if (act.public["verdict"], act.public["reason"]) != (verdict, reason):
            raise ActConflict(f"words {words_id} were {act.public['verdict']} before, otherwise")
        with self._database.session() as session:
            session.execute(delete(HeldWords).where(HeldWords.id == words_id))
        return act


def moderated(session: Session, resident: str | None = None, verdict: str | None = "approved") -> tuple[WordsView, ...]:
    """Moderated words, newest first; the approved ones unless another `verdict` or None for both is asked for."""
    query = select(Words).order_by(Words.left_at.desc(), Words.id)
    if resident is not None:
        query = query.where(Words.resident == resident)
    rows = session.scalars(query if verdict is None else query.where(Words.verdict == verdict)).all()
    sources = provenance(session, (row.act for row in rows))
    return tuple(
        WordsView(row.id, row.resident, row.text, row.verdict, row.reason, row.left_at, sources[row.act])
        for row in rows
    )


def told(session: Session, resident: str) -> list[tuple[str, str]]:
    """The newest approved words as facts: (text, source), oldest first."""
    found: list[tuple[str, str]] = []
    for each in moderated(session, resident)[:MOST_TOLD]:
        words = " ".join((each.text or "").split())
        source = (
            f"words {each.id}, left {each.left_at[:10]}, moderated by {each.source.actor}, entry {each.source.entry}"
        )
        found.append((f"Someone left these words for it: “{words}”", source))
    return found[::-1]


def _moderated(session: Session, act: Act) -> None:
    public: dict[str, Any] = act.public
    session.add(
        Words(
            id=public["words"],
            resident=act.resident,
            text=act.read("text").decode() if public["verdict"] == "approved" else None,
            verdict=public["verdict"],
            reason=public["reason"],
            left_at=public["left_at"],
            act=act.id,
        )
    )


MODERATION: dict[str, Projector] = {"words.moderated": _moderated}
