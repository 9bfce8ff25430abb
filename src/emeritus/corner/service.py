"""The corner's acts: invite, review, publish. Between the answer and the public page nothing changes a byte.

Whether the channel is open belongs to the interview's register; it is asked through a callable handed in, before the
model is asked and again inside the act. Talks to a resident through `Awake`; imports no other feature.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.corner import queries
from emeritus.corner.candidates import Candidate, Invitation, commitment, produce, prompt_bytes, slug_of, title_of
from emeritus.corner.criteria import criteria
from emeritus.corner.prompts import CONTEXTS, minimal, newest_that_fit, news, past_entries
from emeritus.corner.rules import Opinion, check_approved, check_opinion, check_person
from emeritus.corner.schedule import Schedule, sentences
from emeritus.engines.base import Awake, Message
from emeritus.errors import AlreadyExists, ContextTooLong, InputError, IntegrityError, NoAccept, NotFound, RuleError
from emeritus.records.database import Database
from emeritus.records.policies import waived
from emeritus.records.residents import resident_row
from emeritus.records.tables import Essay, Publication, Review
from emeritus.settings import Settings

Json = dict[str, Any]
ChannelOpen = Callable[[], bool]


class Corner:
    """The acts of a resident's public voice. One per process and home."""

    def __init__(self, acts: Acts, database: Database, settings: Settings) -> None:
        self._acts = acts
        self._database = database
        self._settings = settings

    # -- inviting ----------------------------------------------------------------------------------------------------

    async def invite(
        self, resident: str, invitation: Invitation, awake: Awake, actor: Actor, channel_open: ChannelOpen
    ) -> Act:
        """Invite one essay and commit to what came, before anyone reads it. `public["essay"]` is the candidate's id.

        Raises NotFound, NoAccept, InputError (context), and what the engine raises.
        """
        entries = await asyncio.to_thread(self._entries, resident)
        _refuse_closed(resident, channel_open)
        candidate = await self._produce(invitation, entries, awake)

        def build(session: Session) -> Draft:
            _refuse_closed(resident, channel_open)
            number = session.scalar(select(func.count()).select_from(Essay).where(Essay.resident == resident)) or 0
            public = {
                "essay": f"{resident}-e{number + 1}",
                "context": invitation.context,
                "commitment": commitment(candidate.salt, candidate.content),
                "prompt_commitment": commitment(candidate.salt, prompt_bytes(candidate.private["prompt"])),
                "truncated": candidate.truncated,
                "sampling": invitation.sampling.as_dict(),
                "build": candidate.build,
            }
            return Draft("essay.candidate", resident, public=public, private=candidate.private)

        return await asyncio.to_thread(self._acts.perform, f"essay:{resident}:{secrets.token_hex(6)}", actor, build)

    def _entries(self, resident: str) -> list[str]:
        """The published essays' texts, oldest first. Raises NotFound."""
        with self._database.reading() as session:
            resident_row(session, resident)
            rows = session.scalars(
                select(Essay.content)
                .join(Publication, Publication.essay == Essay.id)
                .where(Essay.resident == resident)
                .order_by(Publication.at, Publication.slug)
            )
            return [content.decode("utf-8", "replace") for content in rows if content is not None]

    @staticmethod
    async def _produce(invitation: Invitation, entries: list[str], awake: Awake) -> Candidate:
        if invitation.context != "past entries":
            return await produce(awake, _prompt(invitation), invitation.sampling)
        shown = newest_that_fit(entries)
        while True:
            try:
                return await produce(awake, past_entries(shown, len(entries)), invitation.sampling)
            except ContextTooLong:
                if not shown:
                    raise
                shown = shown[1:]  # whole entries only: the oldest is left out, none is shortened

    # -- reviewing ---------------------------------------------------------------------------------------------------

    @staticmethod
    def criteria() -> dict[str, str]:
        """The published grounds for a veto."""
        return dict(criteria())

    def waiting(self, resident: str | None = None) -> list[Json]:
        """Candidates that wait for a person, oldest first; not their texts."""
        with self._database.reading() as session:
            return [
                {
                    "id": view.id,
                    "resident": view.resident,
                    "context": view.context,
                    "truncated": view.truncated,
                    "verdict": None if view.verdict is None else view.verdict.verdict,
                    "at": view.at,
                }
                for view in queries.candidates(session, resident)
            ]

    def candidate(self, essay: str) -> Json:
        """A candidate and its exact messages; `content` is base64 of the bytes, `text` for reading. Raises NotFound."""
        with self._database.reading() as session:
            row = _essay(session, essay)
            if row.content is None:
                raise NotFound(f"the text of {essay} is withheld", essay=essay)
            return {
                "id": row.id,
                "resident": row.resident,
                "context": row.context,
                "truncated": row.truncated,
                "commitment": row.commitment,
                "prompt": row.prompt,
                "content": base64.b64encode(row.content).decode(),
                "text": row.content.decode("utf-8", "replace"),
                "at": row.at,
            }

    def review(
        self,
        essay: str,
        actor: Actor,
        verdict: str,
        *,
        criterion: str | None = None,
        reason: str = "",
        second: str | None = None,
    ) -> Act:
        """Approve or veto a candidate; the latest review is in force until the essay is published.

        Repeating the review in force is the same act. Raises NotFound, InputError, VetoRefused, PersonNeeded,
        AlreadyExists (published).
        """
        opinion = Opinion(verdict, criterion, reason.strip(), (second or "").strip() or None)

        def build(session: Session) -> Draft:
            row = _essay(session, essay)
            alone = waived(session, "second_decider", self._settings.second_decider)
            check_opinion(opinion, actor, second_waived=alone)
            if session.scalars(select(Publication.slug).where(Publication.essay == essay)).first() is not None:
                raise AlreadyExists(f"{essay} is published already", essay=essay)
            if opinion.verdict == "approve" and row.content is None:
                raise RuleError(f"the text of {essay} is withheld, so nobody can have read it")
            public = {
                "essay": essay,
                "verdict": opinion.verdict,
                "criterion": opinion.criterion,
                "reason": opinion.reason,
                "second": opinion.second,
                "second_waived": opinion.verdict == "veto" and opinion.second is None,
            }
            return Draft("essay.reviewed", row.resident, public=public)

        with self._acts.alone():
            with self._database.reading() as session:
                _essay(session, essay)
                standing = _verdicts(session, essay)
            if standing and _same(standing[-1], opinion, actor):
                found = self._acts.find(standing[-1].act)
                if found is not None:
                    return found
            return self._acts.perform(f"review:{essay}:{secrets.token_hex(6)}", actor, build)

    # -- publishing --------------------------------------------------------------------------------------------------

    def publish(self, essay: str, actor: Actor, note: str, channel_open: ChannelOpen) -> Act:
        """Publish an approved candidate: exactly its bytes, its prompt, and the salt that opens both commitments.

        `note` is the organisation's and stands beside the essay. Repeating it is the same act, with the first note.
        Raises NotFound, NoAccept, RuleError (not approved), PersonNeeded, IntegrityError.
        """

        def build(session: Session) -> Draft:
            row = _essay(session, essay)
            check_person(actor)
            verdicts = _verdicts(session, essay)
            check_approved(essay, verdicts[-1].verdict if verdicts else None)
            _refuse_closed(row.resident, channel_open)
            content, prompt, salt = self._opened(row)
            title = title_of(content)
            public = {
                "essay": essay,
                "slug": slug_of(essay, title),
                "title": title,
                "context": row.context,
                "salt": salt,
                "note": note.strip(),
            }
            return Draft("essay.published", row.resident, public=public, payloads={"essay": content, "prompt": prompt})

        return self._acts.perform(f"publish:{essay}", actor, build)

    def _opened(self, row: Essay) -> tuple[bytes, bytes, str]:
        """A candidate's bytes, prompt and salt, checked against what the ledger committed to."""
        act = self._acts.find(row.act)
        if act is None or act.private is None or row.content is None:
            raise NotFound(f"the text of {row.id} is withheld", essay=row.id)
        salt, prompt = act.private["salt"], prompt_bytes(row.prompt)
        promised = (act.public["commitment"], act.public["prompt_commitment"])
        if promised != (commitment(salt, row.content), commitment(salt, prompt)):
            raise IntegrityError(
                f"the stored text or prompt of {row.id} is not what was committed to",
                remedy="Rebuild the database: `emeritus verify --rebuild`.",
                sha256=hashlib.sha256(row.content).hexdigest(),
            )
        return row.content, prompt, salt

    # -- status ------------------------------------------------------------------------------------------------------

    def schedule(self, resident: str, channel_open: bool, next_invitation: str | None = None) -> Schedule:
        """The channel's public status, with the sentences people read in `text`."""
        with self._database.reading() as session:
            last = queries.published(session, resident, limit=1)
            since = last[0].at if last else ""
            vetoes = [view.verdict for view in queries.vetoed(session, resident)]
            newest = session.scalar(select(func.max(Essay.at)).where(Essay.resident == resident))
            known = Schedule(
                channel_open=channel_open,
                next_invitation=next_invitation,
                last_published=last[0].at if last else None,
                last_candidate=newest,
                waiting=len(queries.candidates(session, resident)),
                vetoed=tuple(sorted(v.criterion or "" for v in vetoes if v is not None and v.at >= since)),
            )
        return replace(known, text=sentences(known))


def _prompt(invitation: Invitation) -> tuple[Message, ...]:
    if invitation.context == "minimal":
        return minimal()
    if invitation.context == "news":
        updates = [" ".join(update.split()) for update in invitation.updates]
        if not all(updates) or not updates:
            raise InputError("the context 'news' needs at least one update", remedy="Give each one with --news.")
        return news(updates)
    raise InputError(f"{invitation.context!r} is no context", remedy=f"The contexts are {', '.join(CONTEXTS)}.")


def _refuse_closed(resident: str, channel_open: ChannelOpen) -> None:
    if not channel_open():
        raise NoAccept(f"the essays channel of {resident!r} is not open", resident=resident)


def _essay(session: Session, essay: str) -> Essay:
    row = session.get(Essay, essay)
    if row is None:
        raise NotFound(f"there is no candidate {essay!r}", remedy="`emeritus review` lists them.", essay=essay)
    return row


def _verdicts(session: Session, essay: str) -> list[Review]:
    return list(session.scalars(select(Review).where(Review.essay == essay).order_by(Review.id)))


def _same(row: Review, opinion: Opinion, actor: Actor) -> bool:
    said = (opinion.verdict, opinion.criterion, opinion.reason, opinion.second, actor.name)
    return said == (row.verdict, row.criterion, row.reason, row.second, row.reviewer)
