"""The console's home: what waits for the one who is signed in."""

from __future__ import annotations

from starlette.responses import Response

from emeritus.web.console.gate import Call


def home(call: Call) -> Response:
    """`/console`: what waits for this person, with links."""
    return call.page("home.html")
