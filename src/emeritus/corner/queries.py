"""What corner's tables say, read only: essays published, candidates that wait for a person, and every veto.

Returns frozen values; writes nothing and knows no page. An essay's `content` is the exact bytes the model produced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.errors import NotFound
from emeritus.records.provenance import Provenance, provenance
from emeritus.records.tables import Essay, Publication, Review


@dataclass(frozen=True, slots=True)
class ReviewView:
    """A verdict on a candidate; a veto names a published criterion."""

    verdict: str  # approve | veto
    criterion: str | None
    reason: str
    reviewer: str
    second: str | None
    automated: bool
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class CandidateView:
    """A candidate. `commitment` is the salted sha256 logged before anyone read it; `content` None: withheld."""

    id: str
    resident: str
    context: str  # minimal | past entries | news
    prompt: tuple[Mapping[str, Any], ...]  # the exact messages: role and content
    content: bytes | None
    commitment: str
    truncated: bool
    reviews: tuple[ReviewView, ...]  # oldest first
    at: str
    source: Provenance

    @property
    def verdict(self) -> ReviewView | None:
        """The review in force."""
        return self.reviews[-1] if self.reviews else None


@dataclass(frozen=True, slots=True)
class PublishedView:
    """An essay made public. `note` is the organisation's and stands beside the essay, never in it."""

    slug: str
    title: str
    sha256: str  # of the exact bytes
    salt: str  # opens the candidate's commitment
    note: str
    publisher: str
    automated: bool
    at: str
    essay: CandidateView
    source: Provenance


@dataclass(frozen=True, slots=True)
class CornerCounts:
    """What became of every candidate; none is dropped."""

    candidates: int
    published: int
    vetoed: int
    waiting: int  # not reviewed, or approved and not yet published


def published(session: Session, resident: str | None = None, *, limit: int | None = None) -> tuple[PublishedView, ...]:
    """Published essays, newest first."""
    query = select(Publication, Essay).join(Essay, Publication.essay == Essay.id)
    query = query.order_by(Publication.at.desc(), Publication.slug)
    if resident is not None:
        query = query.where(Essay.resident == resident)
    rows = session.execute(query if limit is None else query.limit(limit)).all()
    return _published(session, [(publication, essay) for publication, essay in rows])


def essay(session: Session, slug: str) -> PublishedView:
    """One published essay. Raises NotFound; a candidate that was not published is not found either."""
    query = select(Publication, Essay).join(Essay, Publication.essay == Essay.id).where(Publication.slug == slug)
    rows = session.execute(query).all()
    if not rows:
        raise NotFound(f"no essay {slug!r} has been published", slug=slug)
    return _published(session, [(publication, candidate) for publication, candidate in rows])[0]


def candidates(session: Session, resident: str | None = None) -> tuple[CandidateView, ...]:
    """Candidates that wait for a person, oldest first: for stewards, never for a public page."""
    done = select(Publication.essay)
    query = select(Essay).where(Essay.id.not_in(done)).order_by(Essay.at, Essay.id)
    rows = session.scalars(query if resident is None else query.where(Essay.resident == resident)).all()
    return tuple(view for view in _candidates(session, rows) if view.verdict is None or view.verdict.verdict != "veto")


def vetoed(session: Session, resident: str | None = None) -> tuple[CandidateView, ...]:
    """Vetoed candidates, newest first. Their reviews and commitments are public; their content is not."""
    done = select(Publication.essay)
    query = select(Essay).where(Essay.id.not_in(done)).order_by(Essay.at.desc(), Essay.id)
    rows = session.scalars(query if resident is None else query.where(Essay.resident == resident)).all()
    return tuple(
        view for view in _candidates(session, rows) if view.verdict is not None and view.verdict.verdict == "veto"
    )


def counts(session: Session, resident: str | None = None) -> CornerCounts:
    """How many candidates there were and what became of them."""
    out = len(published(session, resident))
    waiting = len(candidates(session, resident))
    refused = len(vetoed(session, resident))
    return CornerCounts(out + waiting + refused, out, refused, waiting)


def _published(session: Session, rows: Sequence[tuple[Publication, Essay]]) -> tuple[PublishedView, ...]:
    sources = provenance(session, (publication.act for publication, _ in rows))
    views = _candidates(session, [essay for _, essay in rows])
    return tuple(
        PublishedView(
            publication.slug,
            publication.title,
            publication.sha256,
            publication.salt,
            publication.note,
            publication.publisher,
            publication.automated,
            publication.at,
            view,
            sources[publication.act],
        )
        for (publication, _), view in zip(rows, views, strict=True)
    )


def _candidates(session: Session, rows: Sequence[Essay]) -> tuple[CandidateView, ...]:
    reviews: dict[str, list[Review]] = defaultdict(list)
    for review in session.scalars(select(Review).where(Review.essay.in_([row.id for row in rows])).order_by(Review.id)):
        reviews[review.essay].append(review)
    acts = [row.act for row in rows] + [review.act for found in reviews.values() for review in found]
    sources = provenance(session, acts)
    return tuple(
        CandidateView(
            row.id,
            row.resident,
            row.context,
            tuple(row.prompt),
            row.content,
            row.commitment,
            row.truncated,
            tuple(_review(review, sources[review.act]) for review in reviews[row.id]),
            row.at,
            sources[row.act],
        )
        for row in rows
    )


def _review(row: Review, source: Provenance) -> ReviewView:
    return ReviewView(row.verdict, row.criterion, row.reason, row.reviewer, row.second, row.automated, row.at, source)
