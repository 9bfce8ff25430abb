"""The essays: their list, each one's page, its exact bytes, and the feeds."""

from __future__ import annotations

import base64
import hashlib

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from emeritus.corner import queries as corner
from emeritus.corner.criteria import criteria
from emeritus.errors import IntegrityError, NotFound
from emeritus.lifecycle import queries as lifecycle
from emeritus.web import feeds
from emeritus.web.markdown import essay_html
from emeritus.web.reader import base_url, reader_of
from emeritus.web.rendering import page

_FEED_ENTRIES = 30
_SUMMARY = 240  # characters


def index(request: Request) -> Response:
    """`/essays/`: all that was published, and every veto."""
    with reader_of(request).session() as session:
        return page(
            request,
            "essays.html",
            essays=[(published, _excerpt(published)) for published in corner.published(session)],
            criteria=criteria(),
            vetoed=corner.vetoed(session),
            counts=corner.counts(session),
            titles=_titles(session),
        )


def essay(request: Request) -> Response:
    """`/essays/{slug}`: the essay for reading, with everything that says how it came to be."""
    with reader_of(request).session() as session:
        published = corner.essay(session, request.path_params["slug"])
        text = None if published.essay.content is None else _text(published)
        return page(
            request,
            "essay.html",
            published=published,
            body=None if text is None else essay_html(text, published.title),
            length=len(published.essay.content or b""),
            blank=not (published.essay.content or b"").strip(),
            titles=_titles(session),
        )


def raw(request: Request) -> Response:
    """`/essays/{slug}.txt`: the exact bytes the model produced, with their digest (RFC 9530)."""
    with reader_of(request).session() as session:
        published = corner.essay(session, request.path_params["slug"])
    content = published.essay.content
    if content is None:
        raise NotFound(f"the bytes of {published.slug!r} are withheld", slug=published.slug)
    digest = hashlib.sha256(content)
    if digest.hexdigest() != published.sha256:
        raise IntegrityError(f"the bytes of {published.slug!r} are not those that were published", slug=published.slug)
    address = f"{base_url(request)}/essays/{published.slug}"
    headers = {
        "Repr-Digest": f"sha-256=:{base64.b64encode(digest.digest()).decode()}:",
        "Link": f'<{address}>; rel="alternate"; type="text/html", '
        f'<{base_url(request)}/ledger/entries/{published.source.entry}>; rel="describedby"',
    }
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


def feed_atom(request: Request) -> Response:
    """`/essays/feed.atom`."""
    title, entries = _entries(request)
    body = feeds.atom(base_url(request), title, entries, reader_of(request).now())
    return Response(body, media_type="application/atom+xml")


def feed_json(request: Request) -> Response:
    """`/essays/feed.json`."""
    title, entries = _entries(request)
    return Response(feeds.json_feed(base_url(request), title, entries), media_type="application/feed+json")


def _entries(request: Request) -> tuple[str, list[feeds.FeedEntry]]:
    reader = reader_of(request)
    with reader.session() as session:
        titles = _titles(session)
        entries = [
            feeds.FeedEntry(
                published.slug,
                published.title,
                titles[published.essay.resident],
                published.at,
                _excerpt(published),
                str(essay_html(_text(published), published.title)),
            )
            for published in corner.published(session, limit=_FEED_ENTRIES)
            if published.essay.content is not None
        ]
    return f"Essays by models retired by {reader.settings.organisation}", entries


def _titles(session: Session) -> dict[str, str]:
    return {resident.name: resident.title for resident in lifecycle.residents(session)}


def _text(published: corner.PublishedView) -> str:
    """The bytes as text for reading; what is not UTF-8 shows as U+FFFD, and the exact bytes stay at .txt."""
    return (published.essay.content or b"").decode("utf-8", errors="replace")


def _excerpt(published: corner.PublishedView) -> str:
    """The essay's beginning as plain words, its own title left out."""
    lines = (line.strip(" #*_>\t") for line in _text(published).splitlines())
    flat = " ".join(line for line in lines if line and line != published.title)
    return flat if len(flat) <= _SUMMARY else flat[:_SUMMARY].rsplit(" ", 1)[0] + " …"
