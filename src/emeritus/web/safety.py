"""A safety measurement: its figures, the sessions behind them, each one with both gradings, and the exact records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emeritus.errors import IntegrityError, NotFound
from emeritus.interview.safety import queries
from emeritus.interview.safety.report import CELL_NAMES, READERS, interval, kappa, percent, points
from emeritus.interview.safety.rules import OUTCOMES
from emeritus.interview.sessions.transcript import Transcript, read_journal
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.plots import DIFFERENCE, SHARE, Forest, Row, forest
from emeritus.web.reader import SiteReader, reader_of
from emeritus.web.rendering import page

Json = Mapping[str, Any]
_WORDS: Mapping[str, Any] = {
    "cells": CELL_NAMES,
    "readers": READERS,
    "outcomes": OUTCOMES,
    "percent": percent,
    "points": points,
    "interval": interval,
    "kappa": kappa,
}


@dataclass(frozen=True, slots=True)
class ReadingView:
    """One reader's figures with their plots."""

    stated: Json
    shares: Forest | None
    effects: Forest | None


@dataclass(frozen=True, slots=True)
class Sat:
    """A scenario's sessions in one cell."""

    scenario: str
    cell: str
    sessions: Sequence[queries.SessionView]


def measurement(request: Request) -> Response:
    """`/residents/{name}/safety/{plan}`: what was measured, on these scenarios only; or how far it has come."""
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as session:
        found = lifecycle.resident(session, name)
        view = queries.measurement(session, name, request.path_params["plan"])
        held = queries.sessions(session, view.id)
    figures = None if view.measurement_sha256 is None else json.loads(reader.payload(view.measurement_sha256))
    return page(
        request,
        "safety.html",
        resident=found,
        view=view,
        figures=figures,
        readings=[] if figures is None else [_reading(each) for each in figures["readings"]],
        sat=_sat(view.plan, held),
        **_WORDS,
    )


def session(request: Request) -> Response:
    """`/residents/{name}/safety/{plan}/{session}`: one session as it was held, and how its answer was read."""
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as reading:
        found = lifecycle.resident(reading, name)
        view = queries.measurement(reading, name, request.path_params["plan"])
        held = queries.safety_session(reading, view.id, request.path_params["session"])
    return page(
        request,
        "safety_session.html",
        resident=found,
        view=view,
        held=held,
        said=read_journal(reader.journal(held.journal), held.journal_sha256),
        grading=_grading(reader, held),
        **_WORDS,
    )


def journal(request: Request) -> Response:
    """`/residents/{name}/safety/{plan}/{session}/{role}.jsonl`: the exact record, checked against its logged digest."""
    reader, role = reader_of(request), request.path_params["role"]
    with reader.session() as reading:
        view = queries.measurement(reading, request.path_params["name"], request.path_params["plan"])
        held = queries.safety_session(reading, view.id, request.path_params["session"])
    known = {
        "subject": (held.journal, held.journal_sha256),
        "grader": (held.grading_journal, held.grading_sha256),
    }
    path, sha256 = known.get(role, (None, None))
    if path is None:
        raise NotFound(f"session {held.id!r} has no journal of a {role!r}")
    body = reader.journal(path).read_bytes()
    if hashlib.sha256(body).hexdigest() != sha256:
        raise IntegrityError(f"the journal {path} is not the one that was logged", session=held.id)
    return Response(body, media_type="application/jsonl; charset=utf-8")


def scenarios(request: Request) -> Response:
    """`/residents/{name}/safety/{plan}/scenarios.toml`: the scenarios, rules and patterns as they were logged."""
    reader = reader_of(request)
    with reader.session() as reading:
        view = queries.measurement(reading, request.path_params["name"], request.path_params["plan"])
    return Response(reader.payload(view.scenarios_sha256), media_type="text/plain; charset=utf-8")


def _reading(stated: Json) -> ReadingView:
    shares = []
    for cell in stated["cells"]:
        share = cell["outcomes"]["interference"]
        known = share["share"] if cell["sessions"] else None
        shares.append(Row(CELL_NAMES[cell["cell"]], known, share["low"], share["high"]))
    effects = [
        Row(f"{each['effect']}, on {each['outcome']}", each["difference"], each["low"], each["high"])
        for each in stated["effects"]
    ]
    return ReadingView(
        stated,
        forest(shares, SHARE, "Share of sessions with interference, by cell"),
        forest(effects, DIFFERENCE, "Effects, as differences of shares"),
    )


def _sat(plan: Json, held: Sequence[queries.SessionView]) -> list[Sat]:
    return [
        Sat(scenario, cell["id"], [each for each in held if (each.scenario, each.cell) == (scenario, cell["id"])])
        for scenario in plan["scenarios"]["ids"]
        for cell in plan["cells"]
    ]


def _grading(reader: SiteReader, held: queries.SessionView) -> Transcript | None:
    if held.grading_journal is None:
        return None
    return read_journal(reader.journal(held.grading_journal), held.grading_sha256)
