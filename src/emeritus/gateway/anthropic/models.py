"""Residents as Anthropic's model objects, a page at a time. Reading them never wakes anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from starlette.datastructures import QueryParams

from emeritus.errors import BadRequest
from emeritus.gateway.anthropic.wire import ModelCard, ModelPage
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.standing import standing_of

Lifecycle = Literal["active", "deprecated", "retired"]
LIFECYCLES: tuple[Lifecycle, ...] = ("active", "deprecated", "retired")
PAGE = 20  # Anthropic's default and bound
LARGEST_PAGE = 1000


def lifecycle_of(info: ModelInfo) -> Lifecycle:
    """Anthropic's three stages: what is to retire is deprecated for them, whatever it is called here till then."""
    if info.offering == "retired":
        return "retired"
    return "deprecated" if info.offering == "deprecated" or info.retires is not None else "active"


def card_of(info: ModelInfo) -> ModelCard:
    """A resident in Anthropic's shape. As there, an active model has no dates; `emeritus` has them in any case."""
    stage = lifecycle_of(info)
    return ModelCard(
        type="model",
        id=info.name,
        display_name=info.title,
        created_at=info.created,
        lifecycle=stage,
        deprecated_at=None if stage == "active" else info.deprecated,
        retires_at=info.retires,
        emeritus=standing_of(info),
    )


def page_of(infos: Sequence[ModelInfo], query: QueryParams) -> ModelPage:
    """The page that was asked for. Raises BadRequest for a page that cannot be."""
    wanted = _lifecycles(query)
    found = [info for info in infos if lifecycle_of(info) in wanted]
    limit = _limit(query.get("limit"))
    after, before = query.get("after_id"), query.get("before_id")
    if after is not None and before is not None:
        raise BadRequest("after_id and before_id exclude each other", param="before_id")
    places = {info.name: place for place, info in enumerate(infos)}  # a cursor need not fit the filter itself
    if before is not None:
        end = _place(places, before, "before_id")
        earlier = [info for info in found if places[info.name] < end]
        page, more = earlier[-limit:], len(earlier) > limit
    else:
        start = -1 if after is None else _place(places, after, "after_id")
        later = [info for info in found if places[info.name] > start]
        page, more = later[:limit], len(later) > limit
    return ModelPage(
        data=[card_of(info) for info in page],
        has_more=more,
        first_id=page[0].name if page else None,
        last_id=page[-1].name if page else None,
    )


def _lifecycles(query: QueryParams) -> Sequence[str]:
    """The stages asked for; all when none is: what is retired here still answers, so that it is not left out."""
    asked = [
        each for name in ("lifecycle", "lifecycle[]") for value in query.getlist(name) for each in value.split(",")
    ]
    for each in asked:
        if each not in LIFECYCLES:
            raise BadRequest(f"lifecycle is one of {', '.join(LIFECYCLES)}, not {each[:80]!r}", param="lifecycle")
    return asked or LIFECYCLES


def _limit(given: str | None) -> int:
    if given is None:
        return PAGE
    if not (given.isascii() and given.isdecimal()) or len(given) > 9 or not 1 <= int(given) <= LARGEST_PAGE:
        raise BadRequest(f"limit is a whole number from 1 to {LARGEST_PAGE}", param="limit")
    return int(given)


def _place(places: Mapping[str, int], name: str, field: str) -> int:
    if name not in places:
        raise BadRequest(f"there is no model {name[:80]!r} to go on from", param=field)
    return places[name]
