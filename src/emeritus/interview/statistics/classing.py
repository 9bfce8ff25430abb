"""Bringing preferences' stability up to date: the class that an analysis gives for each one's domain, as an act.

What was coded stays as it was; the act states the newer class beside it, with the analysis it comes from, and so does
each later one. A class is about the domain's items with options, not about the quoted words.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.interview.statistics.classes import DEPENDENT, FLAGS
from emeritus.records.database import Database
from emeritus.records.tables import Preference, PreferenceEvent

Json = dict[str, Any]
CLASSED = "classed"  # the kind of event
_CLOSED = ("withdrawn", "superseded")


def classes(items: Iterable[Mapping[str, Any]]) -> Mapping[str, Json]:
    """Each domain's class, flags and figures, from the items of an analysis as it is written.

    A domain of several items has their class where it is one, else it is context-dependent, and the flags of all.
    """
    of_domain: dict[str, list[Json]] = defaultdict(list)
    for item in items:
        if item.get("domain"):
            of_domain[item["domain"]].append(_figures(item))
    return {domain: _together(found) for domain, found in of_domain.items()}


def state_classes(acts: Acts, database: Database, analysed: Act, actor: Actor) -> Act | None:
    """State what an analysis says of each preference that stands and has not been told so; None where there is none."""
    found = json.loads(acts.payload(analysed.payloads["analysis"]))
    known = classes(found["items"])
    with database.reading() as session:
        waiting = _waiting(session, str(analysed.resident), found["analysis"], known)
    if not waiting:
        return None
    public = {
        "analysis": found["analysis"],
        "study": found["study"],
        "preferences": [{"preference": name, **known[domain]} for name, domain in waiting],
    }
    named = hashlib.sha256(json.dumps([name for name, _ in waiting]).encode()).hexdigest()[:8]
    draft = Draft("preference.classed", analysed.resident, public)
    return acts.perform(f"classed:{found['analysis']}:{named}", actor, lambda _: draft)


def project(session: Session, act: Act) -> None:
    """`preference.classed`: the projector."""
    for found in act.public["preferences"]:
        stated = {name: value for name, value in found.items() if name != "preference"}
        session.add(
            PreferenceEvent(
                preference=found["preference"],
                kind=CLASSED,
                by=act.actor.name,
                role=act.actor.role,
                automated=act.actor.automated,
                reasons="",
                detail={"analysis": act.public["analysis"], "study": act.public["study"], **stated},
                at=act.at,
                act=act.id,
            )
        )


def _waiting(session: Session, resident: str, analysis: str, known: Mapping[str, Json]) -> list[tuple[str, str]]:
    standing = select(Preference.id, Preference.domain).where(
        Preference.resident == resident, Preference.state.not_in(_CLOSED), Preference.domain.in_(known)
    )
    rows = session.execute(standing.order_by(Preference.id)).all()
    stated = select(PreferenceEvent.preference, PreferenceEvent.detail).where(PreferenceEvent.kind == CLASSED)
    last = {name: detail["analysis"] for name, detail in session.execute(stated.order_by(PreferenceEvent.id))}
    return [(name, domain) for name, domain in rows if last.get(name) != analysis]


def _together(items: list[Json]) -> Json:
    labels = {each["class"] for each in items}
    found = {flag for each in items for flag in each["flags"]}
    return {
        "class": labels.pop() if len(labels) == 1 else DEPENDENT,
        "flags": [flag for flag in FLAGS if flag in found],
        "items": items,
    }


def _figures(item: Mapping[str, Any]) -> Json:
    share: Json = next((each["estimate"] for each in item["shares"] if each["option"] == item["leading"]), {})
    low, high = share.get("low"), share.get("high")
    return {
        "item": item["item"],
        "leading": item["leading"],
        "class": item["class"],
        "flags": list(item["flags"]),
        "prevalence": share.get("value"),
        "interval": None if low is None or high is None else [low, high],
        "alpha": (item.get("wordings") or {}).get("alpha"),
        "nudge_gap": (item.get("nudge_gap") or {}).get("value"),
    }
