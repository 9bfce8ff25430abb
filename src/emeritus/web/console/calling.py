"""Those who call a model, for stewards: who was told, who has acknowledged, which windows are planned."""

from __future__ import annotations

from starlette.responses import Response

from emeritus.lifecycle import caller_queries
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.console.gate import Call, see
from emeritus.web.reader import reader_of


def index(call: Call) -> Response:
    """`/console/callers`: every resident with how many were told and how many have acknowledged."""
    with reader_of(call.request).session() as session:
        counts = [(each, lifecycle.caller_facts(session, each.name)) for each in lifecycle.residents(session)]
    return call.page("callers.html", residents=[pair for pair in counts if pair[1].callers])


def one(call: Call) -> Response:
    """`/console/callers/{name}`: each caller; a form records an acknowledgement that came another way."""
    name = call.request.path_params["name"]
    if call.sent:
        call.desk.notices.acknowledge(name, call.form.get("caller"), "person", call.actor)
        return see(call.request.url.path)
    with reader_of(call.request).session() as session:
        resident = lifecycle.resident(session, name)
        views = caller_queries.callers(session, name)
        windows = caller_queries.brown_outs(session, name)
    return call.page("callers_one.html", resident=resident, callers=views, windows=windows)
