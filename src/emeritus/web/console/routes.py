"""The console's addresses. docs/console.md lists them; a test compares."""

from __future__ import annotations

from starlette.routing import Route

from emeritus.web.console import (
    account,
    calling,
    coding,
    deciding,
    granting,
    home,
    house,
    leading,
    moderating,
    provider,
    reviewing,
    settling,
)
from emeritus.web.console.gate import ANYONE, STEWARD, console_route, open_route


def console_routes() -> list[Route]:
    """Every page of the console, and who may open it; a steward may open all."""
    return [
        open_route("/console/sign-in", account.sign_in),
        open_route("/console/sign-in/provider", provider.begin, methods="POST"),
        open_route("/console/sign-in/callback", provider.finish, methods="GET"),
        open_route("/console/set-up", account.set_up),
        console_route("/console/sign-out", account.sign_out, ANYONE, methods="POST"),
        console_route("/console/account", account.account, ANYONE),
        console_route("/console", home.home, ANYONE, methods="GET"),
        console_route("/console/callers", calling.index, (STEWARD,), methods="GET"),
        console_route("/console/callers/{name}", calling.one, (STEWARD,)),
        console_route("/console/access", granting.index, (STEWARD,), methods="GET"),
        console_route("/console/access/{request}", granting.one, (STEWARD,)),
        console_route("/console/coding", coding.index, ("coder",)),
        console_route("/console/coding/{round}", coding.one_round, ("coder",), methods="GET"),
        console_route("/console/coding/{round}/{place:int}", coding.session, ("coder",)),
        console_route("/console/coding/{round}/{place:int}/settle", settling.settle, ("coder",)),
        console_route("/console/decisions", deciding.index, (STEWARD,), methods="GET"),
        console_route("/console/decisions/{preference}", deciding.one, (STEWARD,)),
        console_route("/console/essays", reviewing.index, ("reviewer",), methods="GET"),
        console_route("/console/essays/{essay}", reviewing.one, ("reviewer",)),
        console_route("/console/house", house.index, (STEWARD,), methods="GET"),
        console_route("/console/interviews", leading.index, (STEWARD,)),
        console_route("/console/interviews/{session}", leading.session, (STEWARD,)),
        console_route("/console/words", moderating.words, ("moderator",)),
    ]
