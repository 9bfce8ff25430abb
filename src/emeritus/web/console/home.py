"""The console's home: what waits for the one who is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from starlette.responses import Response

from emeritus.access.requests import queries
from emeritus.interview.coding.round_views import RoundView
from emeritus.interview.register.owed import AMENDMENT, APPEAL, DECISION, REVIEW
from emeritus.interview.views import PreferenceView
from emeritus.people.accounts import CALLER
from emeritus.web.console.deciding import owed
from emeritus.web.console.gate import STEWARD, Call, see
from emeritus.web.reader import reader_of
from emeritus.web.rendering import count

_DUTIES = {
    DECISION: "Decide",
    REVIEW: "Look at the decision again",
    APPEAL: "Answer the appeal",
    AMENDMENT: "Answer the amended offer",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits, and where it is done. `due` is a date or None."""

    what: str
    where: str
    about: str = ""
    due: str | None = None
    overdue: bool = False


def home(call: Call) -> Response:
    """`/console`: what waits for this person, with links; who works on nothing sees what they may call."""
    if call.visitor.role == CALLER:
        return see("/access/mine")
    return call.page("home.html", waiting=tuple(waiting(call)), doors=_doors(call.visitor.role))


def waiting(call: Call) -> Iterator[Waiting]:
    """Everything that waits for the visitor: rounds, decisions, words, essays."""
    role = call.visitor.role
    if role in ("coder", STEWARD):
        for view in call.desk.coding.every():
            yield from _of_round(call, view)
    if role == STEWARD:
        for preference in owed(call):
            about = f"{preference.resident}, {preference.domain}"
            for due in preference.owed:
                if due.what == APPEAL and _decided(preference, call.visitor.name):
                    continue  # who decided does not answer the appeal
                if due.what != APPEAL and any(coder["name"] == call.visitor.name for coder in preference.coders):
                    continue  # who coded it does not decide it
                what = f"{_DUTIES[due.what]}: “{preference.need[:120]}”"
                yield Waiting(what, f"/console/decisions/{preference.id}", about, due.by, due.overdue)
    if role == STEWARD:
        yield from _requests(call)
    if role in ("moderator", STEWARD):
        held = call.desk.words.held()
        if held:
            yield Waiting(f"{count(len(held), 'message')} to moderate", "/console/words", "words for models")
    if role in ("reviewer", STEWARD):
        for essay in call.desk.corner.waiting():
            if essay["verdict"] is None:
                yield Waiting(f"Review essay {essay['id']}", f"/console/essays/{essay['id']}", essay["resident"])


def _requests(call: Call) -> Iterator[Waiting]:
    reader = reader_of(call.request)
    with reader.session() as session:
        for each in queries.listed(session, reader.now(), reader.settings.access_expiring_days, waiting=True):
            if each.state in ("in review", "appealed") and each.proposed_by != call.visitor.name:
                what = f"{'Decide the appeal of' if each.state == 'appealed' else 'Answer'} request {each.id}"
                yield Waiting(what, f"/console/access/{each.id}", each.resident, each.due, each.overdue)


def _decided(preference: PreferenceView, name: str) -> bool:
    decision = preference.decision
    return decision is not None and name in (decision.decider, decision.second)


def _of_round(call: Call, view: RoundView) -> Iterator[Waiting]:
    me, here = call.visitor.name, f"/console/coding/{view.id}"
    mine = me in view.names
    if view.status == "coding" and mine:
        left = [each for each in view.sessions if each not in view.handed_in[me]]
        if left:
            what = f"Code {count(len(left), 'session')} of round {view.id}"
            yield Waiting(what, f"{here}/{view.place(left[0])}", view.resident)
    elif view.status == "below the gate" and call.visitor.role == STEWARD:
        yield Waiting(f"Round {view.id} is below the gate: have it coded again", here, view.resident)
    elif view.status == "comparing" and (mine or call.visitor.role == STEWARD):
        left = [each for each in view.sessions if each not in view.resolutions]
        for session in left:
            found = call.desk.coding.proposed(view, view.place(session)) if mine else None
            if found is not None and found["by"] != me:
                what = f"{found['by']} proposed what stands in session {view.place(session)} of {view.id}"
                yield Waiting(what, f"{here}/{view.place(session)}/settle", view.resident)
        yield Waiting(f"Settle {count(len(left), 'session')} of round {view.id}", here, view.resident)


def _doors(role: str) -> tuple[tuple[str, str], ...]:
    """The pages that a role may open."""
    doors = (
        ("coder", "/console/coding", "Coding rounds"),
        (STEWARD, "/console/interviews", "Interviews that go on"),
        (STEWARD, "/console/decisions", "Decisions"),
        (STEWARD, "/console/access", "Requests for access"),
        (STEWARD, "/console/callers", "Callers"),
        (STEWARD, "/console/house", "Who is awake"),
        ("moderator", "/console/words", "Words for models"),
        ("reviewer", "/console/essays", "Essays to review"),
    )
    return tuple((where, name) for whose, where, name in doors if role in (whose, STEWARD))
