"""Atom (RFC 4287) and JSON Feed 1.1 of the published essays, and the model-eol feed of the residents. Pure.

Knows no query and no page: values in, bytes out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

_ATOM = "http://www.w3.org/2005/Atom"
_NOT_XML = {code: "\ufffd" for code in (*range(0x20), 0xFFFE, 0xFFFF) if chr(code) not in "\t\n\r"}


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One essay in a feed. `html` is the derivative for reading, already safe."""

    slug: str
    title: str
    author: str
    published_at: str
    summary: str
    html: str


def atom(base: str, title: str, entries: Sequence[FeedEntry], updated: str) -> bytes:
    """An Atom 1.0 feed, newest entry first. `updated` stands when there are no entries yet."""
    ET.register_namespace("", _ATOM)
    feed = ET.Element(_tag("feed"))
    _add(feed, "id", f"{base}/essays/")
    _add(feed, "title", title)
    _add(feed, "updated", max((entry.published_at for entry in entries), default=updated))
    ET.SubElement(feed, _tag("link"), rel="self", type="application/atom+xml", href=f"{base}/essays/feed.atom")
    ET.SubElement(feed, _tag("link"), rel="alternate", type="text/html", href=f"{base}/essays/")
    _add(feed, "generator", "Emeritus")
    for entry in entries:
        address = f"{base}/essays/{entry.slug}"
        node = ET.SubElement(feed, _tag("entry"))
        _add(node, "id", address)
        _add(node, "title", entry.title)
        _add(node, "published", entry.published_at)
        _add(node, "updated", entry.published_at)  # a published essay never changes
        _add(ET.SubElement(node, _tag("author")), "name", entry.author)
        ET.SubElement(node, _tag("link"), rel="alternate", type="text/html", href=address)
        ET.SubElement(node, _tag("link"), rel="enclosure", type="text/plain", href=f"{address}.txt")
        _add(node, "summary", entry.summary)
        _add(node, "content", entry.html).set("type", "html")
    body: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return body


def json_feed(base: str, title: str, entries: Sequence[FeedEntry]) -> bytes:
    """A JSON Feed 1.1, newest entry first."""
    return _json(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": title,
            "home_page_url": f"{base}/essays/",
            "feed_url": f"{base}/essays/feed.json",
            "items": [
                {
                    "id": f"{base}/essays/{entry.slug}",
                    "url": f"{base}/essays/{entry.slug}",
                    "title": entry.title,
                    "summary": entry.summary,
                    "content_html": entry.html,
                    "date_published": entry.published_at,
                    "authors": [{"name": entry.author}],
                }
                for entry in entries
            ],
        }
    )


@dataclass(frozen=True, slots=True)
class EolModel:
    """A resident in the model-eol feed. Dates are ISO 8601 days; `axes` is axis -> dated states."""

    id: str
    announced: str | None
    shutdown: str | None  # only when calls stop altogether: retired here does not mean gone
    page: str
    axes: Mapping[str, Sequence[Mapping[str, str]]]
    current: Mapping[str, str | None]
    tier: str | None
    weights_held: bool
    weights_digest: str | None
    demonstration: bool


def model_eol(base: str, publisher: str, models: Sequence[EolModel], generated: str, notice_days: int) -> bytes:
    """The feed that tools read at /.well-known/model-eol.json (model-eol/0.1), with our three axes under `x-emeritus`.

    That format knows one end, the day calls stop. A resident that is retired and still answers has none, so its
    `shutdown` is absent, and the extension says what was retired.
    """
    entries: list[dict[str, Any]] = []
    for model in models:
        entry: dict[str, Any] = {"id": model.id}
        if model.announced is not None:
            entry["announced"] = model.announced
        if model.shutdown is not None:
            entry["shutdown"] = model.shutdown
        entry["x-emeritus"] = {
            "page": model.page,
            "axes": {axis: list(states) for axis, states in model.axes.items()},
            "current": dict(model.current),
            "tier": model.tier,
            "weights_held": model.weights_held,
            "weights_digest": model.weights_digest,
            "demonstration": model.demonstration,
        }
        entries.append(entry)
    return _json(
        {
            "spec": "model-eol/0.1",
            "publisher": publisher,
            "generated": generated,
            "source": f"{base}/",
            "policy": {"min_notice_days": notice_days, "source": f"{base}/about"},
            "models": entries,
        }
    )


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def _tag(name: str) -> str:
    return f"{{{_ATOM}}}{name}"


def _add(parent: ET.Element, name: str, text: str) -> ET.Element:
    """A child with text; characters XML cannot carry become U+FFFD (the exact bytes stay at the essay's .txt)."""
    node = ET.SubElement(parent, _tag(name))
    node.text = text.translate(_NOT_XML)
    return node
