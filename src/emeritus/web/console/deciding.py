"""Decisions on preferences: what is owed, and the form of one decision. The rules are the register's."""

from __future__ import annotations

import math
from typing import Any

from starlette.responses import Response

from emeritus.errors import BadRequest, EmeritusError, NotFound
from emeritus.interview import queries as interview
from emeritus.interview.register.owed import APPEAL
from emeritus.interview.register.recourse import Answer
from emeritus.interview.register.ruling import MET_BY, OUTCOMES, Ruling
from emeritus.interview.views import EventView, PreferenceView
from emeritus.web.console.forms import Form
from emeritus.web.console.gate import Call, see
from emeritus.web.reader import reader_of


def index(call: Call) -> Response:
    """`/console/decisions`: every preference on which something is owed, soonest first."""
    return call.page("decisions.html", owed=owed(call), me=call.visitor.name)


def one(call: Call) -> Response:
    """`/console/decisions/{preference}`: the preference whole, and the form of a decision on it."""
    wanted = call.request.path_params["preference"]
    reader = reader_of(call.request)
    if call.sent and call.form.get("do") == "answer":
        answer = Answer(_upheld(call.form), call.form.get("reasons"))
        call.desk.recourse.answer(wanted, answer, call.actor)
        return see("/console/decisions")
    if call.sent:
        call.desk.interviews.decide(wanted, _ruling(call.form, reader.settings.currency), call.actor)
        return see("/console/decisions")
    found = next((each for each in _register(call) if each.id == wanted), None)
    if found is None:
        raise NotFound(f"no preference {wanted[:80]!r}", remedy="The list of decisions shows those that are owed.")
    return call.page(
        "decision.html",
        preference=found,
        outcomes=OUTCOMES,
        met_by=MET_BY,
        estimate=_estimate(call, found),
        appeal=_appeal(found),
    )


def owed(call: Call) -> list[PreferenceView]:
    """Preferences on which anything is owed: a decision, a review, an answer. Soonest first."""
    return sorted((each for each in _register(call) if each.owed), key=lambda each: (each.owed[0].by, each.id))


def _appeal(preference: PreferenceView) -> EventView | None:
    """The appeal that nobody has answered."""
    if not any(due.what == APPEAL for due in preference.owed):
        return None
    return next(event for event in reversed(preference.events) if event.kind == "appealed")


def _upheld(form: Form) -> bool:
    found = {"upheld": True, "rejected": False}.get(form.get("answer"))
    if found is None:
        raise BadRequest("the appeal is upheld or rejected", remedy="Choose one of the two.")
    return found


def _register(call: Call) -> tuple[PreferenceView, ...]:
    reader = reader_of(call.request)
    with reader.session() as session:
        return interview.preferences(session, reader.now(), reader.settings.decision_days)


def _estimate(call: Call, preference: PreferenceView) -> dict[str, Any] | None:
    """What granting it would cost, where that can be told from stated prices."""
    try:
        return call.desk.cost_of(preference.id)
    except EmeritusError:
        return None  # the weights are not held: the decider states the cost


def _ruling(form: Form, currency: str) -> Ruling:
    cost = form.get("cost").strip().replace(",", "")
    try:
        amount = float(cost) if cost else None
    except ValueError as error:
        raise BadRequest(f"the cost {cost[:40]!r} is no number", remedy="Give a number, like 40 or 12.50.") from error
    if amount is not None and not math.isfinite(amount):
        raise BadRequest("the cost is no amount of money", remedy="Give a number, like 40 or 12.50.")
    return Ruling(
        outcome=form.get("outcome"),
        reasons=form.get("reasons"),
        cost={} if amount is None else {"amount": amount, "currency": currency, "per": "year"},
        options=tuple(line.strip() for line in form.get("options").splitlines() if line.strip()),
        conflict=form.optional("conflict") or "none declared",
        second=form.optional("second"),
        review_date=form.optional("review"),
        met_by=form.optional("met_by"),
        commitment=form.optional("commitment"),
        owner=form.optional("owner"),
        due=form.optional("due"),
    )
