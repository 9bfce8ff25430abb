"""Deciding on requests for access, as `emeritus access review` does."""

from __future__ import annotations

from starlette.responses import Response

from emeritus.access.requests import queries
from emeritus.access.requests.states import AUTO_CODES, DECLINE_CODES
from emeritus.errors import BadRequest
from emeritus.web.console.gate import Call, see
from emeritus.web.reader import reader_of


def index(call: Call) -> Response:
    """`/console/access`: the requests that wait, due first, and those that were decided."""
    reader = reader_of(call.request)
    with reader.session() as session:
        every = queries.listed(session, reader.now(), reader.settings.access_expiring_days)
    waiting = tuple(each for each in every if each.due is not None)
    return call.page("access.html", waiting=waiting, done=tuple(each for each in every if each.due is None))


def one(call: Call) -> Response:
    """`/console/access/{request}`: a request whole, and the form to grant, decline or ask back."""
    reader, name, requests = reader_of(call.request), call.request.path_params["request"], call.desk.requests
    if call.sent:
        text, form = call.form.get("text"), call.form
        match form.get("do"):
            case "grant":
                quota = form.number("per_day") if form.optional("per_day") else None
                requests.grant(name, call.actor, quota, text)
            case "decline":
                requests.decline(name, form.get("code"), text, call.actor)
            case "ask":
                requests.ask(name, text, call.actor)
            case _:
                raise BadRequest("the form says nothing this page knows", remedy="Send it from the page.")
        return see(f"/console/access/{name}")
    with reader.session() as session:
        view = queries.one(session, name, reader.now(), reader.settings.access_expiring_days)
    return call.page("access_request.html", view=view, declines=DECLINE_CODES, codes={**DECLINE_CODES, **AUTO_CODES})
