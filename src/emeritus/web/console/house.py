"""How the house is: who is awake, who waits, what failed and why, and the last wakes. Looking wakes nobody."""

from __future__ import annotations

from datetime import datetime

from starlette.responses import Response

from emeritus.residency.board import Board
from emeritus.residency.queries import last_wakes
from emeritus.web.console.gate import Call
from emeritus.web.reader import reader_of


def index(call: Call) -> Response:
    """`/console/house`: what each serving process last said, seconds ago (`?watch=1` looks again by itself)."""
    reader = reader_of(call.request)
    with reader.session() as session:
        wakes = last_wakes(session, limit=20)
    notes = Board(reader.settings.home).read(datetime.fromisoformat(reader.now()))
    watching = "watch" in call.request.query_params
    response = call.page("house.html", notes=notes, wakes=wakes, watching=watching)
    if watching:
        response.headers["Refresh"] = "5"
    return response
