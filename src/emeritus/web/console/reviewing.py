"""Reviewing essay candidates: read one exactly as it was produced, and say yes or no. Nothing here can edit it."""

from __future__ import annotations

from starlette.responses import Response

from emeritus.web.console.gate import Call, see


def index(call: Call) -> Response:
    """`/console/essays`: the candidates that wait."""
    return call.page("reviews.html", waiting=call.desk.corner.waiting())


def one(call: Call) -> Response:
    """`/console/essays/{essay}`: the candidate's exact text and prompt, and the form of a review."""
    essay = call.request.path_params["essay"]
    corner, form = call.desk.corner, call.form
    if call.sent:
        corner.review(
            essay,
            call.actor,
            form.get("do"),
            criterion=form.optional("criterion"),
            reason=form.get("reason"),
            second=form.optional("second"),
        )
        return see("/console/essays")
    return call.page("review.html", candidate=corner.candidate(essay), criteria=corner.criteria())
