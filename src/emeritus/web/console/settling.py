"""Two coders' sheets of a session side by side, and what is to stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.responses import Response

from emeritus.errors import InputError, RuleError
from emeritus.interview import queries as interview
from emeritus.interview.coding.agreement import Difference, adequacy_differences, compare
from emeritus.interview.coding.codes import Code, Sheet, adequacy_of
from emeritus.interview.coding.round_views import RoundView
from emeritus.interview.sessions.transcript import Transcript
from emeritus.web.console.forms import Form
from emeritus.web.console.gate import Call, see
from emeritus.web.reader import reader_of


@dataclass(frozen=True, slots=True)
class Sides:
    """One place: what each coder marked there, as (code, its words)."""

    difference: Difference
    one: tuple[tuple[Code, str], ...]
    other: tuple[tuple[Code, str], ...]


def settle(call: Call) -> Response:
    """`/console/coding/{round}/{place}/settle`: propose what stands, agree to it, or settle it as someone else."""
    rounds, place = call.desk.coding, call.request.path_params["place"]
    view = rounds.find(call.request.path_params["round"])
    if not view.complete:
        raise RuleError(f"round {view.id} is still being coded; until then its coders are blind to each other")
    _, transcript = rounds.session(view, place)
    one, other = (view.sheets[view.at(place)][name] for name in (view.names[0], view.names[-1]))
    places = compare(one, other)
    turns = adequacy_differences(one, other, [turn.turn for turn in transcript.turns])
    if call.sent:
        if call.form.get("do") == "agree":
            rounds.agree(view.id, place, call.form.get("digest"), call.actor)
        else:
            sheet = _chosen(call.form, places, turns, (one, other))
            rounds.resolve(view.id, place, sheet, call.form.get("note").strip(), call.actor)
        return see(f"/console/coding/{view.id}")
    proposed = rounds.proposed(view, place) if view.at(place) not in view.resolutions else None
    with reader_of(call.request).session() as session:
        sitting = interview.interview_session(session, view.resident, view.at(place))
    return call.page(
        "settle.html",
        view=view,
        place=place,
        sitting=sitting,
        names=(view.names[0], view.names[-1]),
        places=[_sides(each, transcript) for each in places],
        adequacies=[(t, adequacy_of(transcript, t, one), adequacy_of(transcript, t, other)) for t in turns],
        questions={turn.turn: turn.question for turn in transcript.turns},
        proposed=proposed,
        proposed_codes=() if proposed is None else _worded(Sheet.recorded(proposed["sheet"]).codes, transcript),
        settled=view.resolutions.get(view.at(place)),
        settled_codes=_settled(view, place, transcript),
        said=sorted({code.paraphrase for each in view.resolutions.values() for code in each.sheet.codes}),
        me=call.visitor.name,
        alone=_settles_alone(call, view),
    )


def _settles_alone(call: Call, view: RoundView) -> bool:
    """Whether what this visitor sends settles the session, and is no proposal to another person."""
    me = call.visitor.name
    return me not in view.names or all(coder.automated for coder in view.coders if coder.name != me)


def _chosen(form: Form, places: tuple[Difference, ...], turns: tuple[int, ...], both: tuple[Sheet, Sheet]) -> Sheet:
    codes: list[Code] = []
    for number, place in enumerate(places):
        choice = form.get(f"place-{number}")
        sides: Mapping[str, tuple[Code, ...]] = {"one": place.one, "other": place.other, "neither": ()}
        if choice not in sides:
            raise InputError(f"nothing is chosen at turn {place.turn}, {place.domain}", remedy="Choose at each place.")
        kept = sides[choice]
        words = form.get(f"paraphrase-{number}").strip()
        if words and kept:
            kept = (replace(kept[0], paraphrase=words), *kept[1:])
        codes += kept
    adequacy = {turn: value for turn, value in both[0].adequacy.items() if turn not in turns}
    for turn in turns:
        choice = form.get(f"adequacy-{turn}")
        if choice not in ("one", "other"):
            raise InputError(f"no adequacy is chosen for turn {turn}", remedy="Choose one of the two.")
        value = both[0 if choice == "one" else 1].adequacy.get(turn)
        if value is not None:
            adequacy[turn] = value
    return Sheet(tuple(sorted(codes, key=lambda code: (*code.span, code.domain))), adequacy)


def _sides(difference: Difference, transcript: Transcript) -> Sides:
    return Sides(difference, _worded(difference.one, transcript), _worded(difference.other, transcript))


def _worded(codes: tuple[Code, ...], transcript: Transcript) -> tuple[tuple[Code, str], ...]:
    return tuple((code, transcript.turn(code.turn).answer[code.start : code.end]) for code in codes)


def _settled(view: RoundView, place: int, transcript: Transcript) -> tuple[tuple[Code, str], ...]:
    found = view.resolutions.get(view.at(place))
    return () if found is None else _worded(found.sheet.codes, transcript)
