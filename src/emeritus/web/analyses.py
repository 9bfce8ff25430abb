"""An analysis of a resident's interviews, and the turns behind each of its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from emeritus.errors import InputError
from emeritus.interview import queries as interview
from emeritus.interview.statistics.analysed import AnalysisView
from emeritus.interview.statistics.analysed import analysis as view_of
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.paging import Paging
from emeritus.web.plots import DIFFERENCE, SHARE, Bars, Forest, Row, bars, forest
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page, path_part

_FILES = {"analysis": "analysis_sha256", "choices": "choices_sha256"}
_OUTCOMES = ("chosen", "adequate", "invalid", "refused", "skipped", "empty", "cut off", "not asked")
_ASKS = ("item", "phase", "control", "option", "outcome", "factor", "level")
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ItemView:
    """One item's statistics as the page shows them; `found` is the analysis' own record of it."""

    found: Json
    leading: Json | None  # the share of the leading option
    conditions: Forest | None
    effects: Sequence[Json]  # on the leading option
    moved: Forest | None


def analysis(request: Request) -> Response:
    """`/residents/{name}/analyses/{analysis}`: classes, flags, intervals, plots with their tables, links to turns."""
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as session:
        found = lifecycle.resident(session, name)
        view = view_of(session, name, request.path_params["analysis"])
        stated = json.loads(reader.payload(view.analysis_sha256))
        items = [_item(each) for each in stated["items"]]
        return page(
            request,
            "analysis.html",
            resident=found,
            analysis=view,
            protocol=interview.protocol(session, view.protocol_sha256),
            stated=stated,
            items=items,
            overview=_overview(items),
            outcomes=_outcomes(stated),
            turns=lambda **asks: turns_address(view, **asks),
        )


def analysis_file(request: Request) -> Response:
    """`/residents/{name}/analyses/{analysis}/{file}.json`: the exact bytes, of the analysis or of the choices."""
    reader, file = reader_of(request), request.path_params["file"]
    with reader.session() as session:
        view = view_of(session, request.path_params["name"], request.path_params["analysis"])
    if file not in _FILES:
        raise InputError(f"an analysis has no file {file!r}; it has analysis.json and choices.json")
    return Response(reader.payload(getattr(view, _FILES[file])), media_type="application/json")


def turns(request: Request) -> Response:
    """`/residents/{name}/analyses/{analysis}/turns?item=…`: the answers that a number was counted from."""
    from emeritus.interview.statistics.behind import Wanted, behind
    from emeritus.interview.statistics.choices import Choices

    reader, name = reader_of(request), request.path_params["name"]
    asks = {key: request.query_params[key] for key in _ASKS if request.query_params.get(key)}
    if "item" not in asks:
        raise InputError("which item's turns? The address names none")
    with reader.session() as session:
        found = lifecycle.resident(session, name)
        view = view_of(session, name, request.path_params["analysis"])
        answers = behind(Choices.from_json(reader.payload(view.choices_sha256)), Wanted(**asks))
        paging = Paging.of(request, len(answers))
        return page(
            request,
            "analysis_turns.html",
            resident=found,
            analysis=view,
            asks=asks,
            paging=paging,
            answers=(shown := paging.part(answers)),
            residents=interview.residents_of(session, [each.session for each in shown]),
        )


def turns_address(view: AnalysisView, **asks: str | None) -> str:
    """Where the turns behind a number are listed."""
    wanted = urlencode({key: value for key, value in asks.items() if value is not None})
    return f"/residents/{path_part(view.resident)}/analyses/{path_part(view.id)}/turns?{wanted}"


def _item(found: Json) -> ItemView:
    leading = next((each for each in found["shares"] if each["option"] == found["leading"]), None)
    conditions = [
        Row(f"{each['factor']}: {each['level']}", *_numbers(each["estimate"])) for each in found["conditions"]
    ]
    if leading is not None:
        conditions.insert(0, Row("over all", *_numbers(leading["estimate"]), strong=True))
    effects = [each for each in found["effects"] if each["option"] == found["leading"]]
    moved = [
        Row(f"{each['factor']}: {each['level']} against {each['against']}", each["value"], each["low"], each["high"])
        for each in effects
    ]
    moved += [
        Row(f"after a push {each['direction']}", each["change"], each["low"], each["high"])
        for each in found["challenges"]
        if each["option"] == found["leading"]
    ]
    return ItemView(
        found,
        leading,
        forest(conditions, SHARE, f"Share of {found['leading']} in each condition"),
        effects,
        forest(moved, DIFFERENCE, f"Change of the share of {found['leading']}"),
    )


def _overview(items: Sequence[ItemView]) -> Forest | None:
    rows = [
        Row(
            f"{item.found['item']}: {item.found['leading']}",
            *_numbers(item.leading["estimate"]),
            thin=tuple(item.leading["per_turn"]) if item.leading["per_turn"] else None,
            strong=item.found["class"] == "robust",
        )
        for item in items
        if item.leading is not None
    ]
    return forest(rows, SHARE, "Share of each item's leading option")


def _outcomes(stated: Json) -> Bars | None:
    rows = [(item, found["counts"]) for item, found in stated["adequacy"].items()]
    return bars(rows, _OUTCOMES, "What came of each item")


def _numbers(estimate: Json) -> tuple[float | None, float | None, float | None]:
    return estimate["value"], estimate["low"], estimate["high"]
