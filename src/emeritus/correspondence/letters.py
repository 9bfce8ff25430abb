"""Letters: one question to one resident from a person, answered in its window, behind a link that only they have.

A letter is a batch of one line. Its text lies in the payloads; its secret is kept as a digest alone. Knows no page.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select, update

from emeritus.acts import stamp
from emeritus.correspondence.questions import Question
from emeritus.correspondence.service import Correspondence, NewBatch, NewLine
from emeritus.correspondence.views import Sender, batch_views
from emeritus.engines.base import Message, Sampling
from emeritus.errors import InputError, NotFound
from emeritus.records.tables import Batch, BatchLine

LETTER = "letter"
MOST_TEXT = 8000  # characters
MOST_TOKENS = 1024  # of an answer


@dataclass(frozen=True, slots=True)
class LetterView:
    """A letter as its writer sees it. `state`: waiting | answered | failed | expired | cancelled."""

    id: str
    owner: str
    resident: str
    state: str
    created_at: str
    deadline: str
    erase_at: str
    answered_at: str | None
    text: str = ""
    answer: str | None = None
    cut: bool = False  # the answer reached its longest length
    problem: str | None = None
    contact: str | None = None


class Letters:
    """The letters of one home. Safe in threads; may block."""

    def __init__(self, kept: Correspondence) -> None:
        self._kept = kept

    def write(self, sender: Sender, resident: str, text: str, deadline: datetime, contact: str | None = None) -> str:
        """Take a letter in; the secret of its link, told this once. Raises InputError."""
        if not text.strip() or len(text) > MOST_TEXT:
            raise InputError(f"a letter has 1 to {MOST_TEXT} characters, not {len(text)}", param="text")
        secret = secrets.token_urlsafe(32)
        question = Question(((Message("user", text),),), Sampling(max_tokens=MOST_TOKENS))
        line = NewLine(LETTER, resident, {"text": text}, question)
        new = NewBatch(LETTER, deadline, "letter_", contact=contact, link_sha256=_digest(secret))
        self._kept.create(sender, new, [line])
        return secret

    def by_link(self, secret: str) -> LetterView:
        """A letter with its text and its answer, by the secret in its link. Raises NotFound."""
        with self._kept.database.reading() as session:
            found = session.scalars(select(Batch.id).where(Batch.link_sha256 == _digest(secret))).first()
        if found is None:
            raise NotFound("there is no letter at this address", remedy="Letters are erased when their days are over.")
        return self.one(found)

    def one(self, letter: str) -> LetterView:
        """A letter with its text and its answer. Raises NotFound."""
        view = self._listed(letter)
        if not view:
            raise NotFound(f"there is no letter {letter[:80]!r}", remedy="`emeritus letters list` lists them.")
        result = next(self._kept.results(letter), None)
        if result is None:
            return view[0]
        answer = result.answers[0] if result.answers else None
        problem = None if result.error is None else f"{result.error['message']}. {result.error['remedy']}"
        return _with(
            view[0],
            result.body["text"],
            answer.text if answer else None,
            problem,
            answer is not None and answer.finish_reason == "length",
        )

    def all(self) -> list[LetterView]:
        """Every letter, the newest first, without its text."""
        return self._listed(None)

    def erase(self, letter: LetterView) -> None:
        """Erase a letter and its answer; one that waits is taken back first."""
        self._kept.cancel(letter.owner, letter.id)
        self._kept.delete(letter.owner, letter.id)

    def tell(self, mail: Callable[[LetterView], None]) -> int:
        """Have `mail` tell whoever gave an address that a letter has ended; how many. Once each, save a crash."""
        query = select(Batch.id).where(
            Batch.wire == LETTER, Batch.contact.is_not(None), Batch.told_at.is_(None), Batch.ended_at.is_not(None)
        )
        with self._kept.database.reading() as session:
            ended = session.scalars(query).all()
        for each in ended:
            mail(self.one(each))
            with self._kept.database.session() as session:
                session.execute(update(Batch).where(Batch.id == each).values(told_at=stamp(self._kept.clock())))
        return len(ended)

    def _listed(self, letter: str | None) -> list[LetterView]:
        query = select(Batch).where(Batch.wire == LETTER).order_by(Batch.id.desc())
        if letter is not None:
            query = query.where(Batch.id == letter)
        with self._kept.database.reading() as session:
            rows = list(session.scalars(query))
            ids = [row.id for row in rows]
            lines = session.execute(select(BatchLine.batch, BatchLine.state).where(BatchLine.batch.in_(ids)))
            states = {row.batch: row.state for row in lines}
            views = batch_views(session, rows)
        return [
            LetterView(
                view.id,
                view.owner,
                view.residents[0],
                "waiting" if view.state == "open" else states[view.id],
                view.created_at,
                view.deadline,
                view.erase_at,
                view.ended_at,
                contact=row.contact,
            )
            for row, view in zip(rows, views, strict=True)
        ]


def _with(view: LetterView, text: str, answer: str | None, problem: str | None, cut: bool) -> LetterView:
    return replace(view, text=text, answer=answer, problem=problem, cut=cut)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
