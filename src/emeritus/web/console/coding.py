"""Coding rounds in the console: the list, a round, and a session that one coder codes blind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from starlette.responses import Response

from emeritus.errors import BadRequest, InputError
from emeritus.interview import queries as interview
from emeritus.interview.coding.agreement import GATE
from emeritus.interview.coding.blind import BlindTurn
from emeritus.interview.coding.codes import ADEQUACIES, STRENGTHS, Code, Sheet, read_code
from emeritus.interview.coding.openings import Opening
from emeritus.interview.coding.spans import DOMAINS, NEED_ORIGINS, REMEDY_ORIGINS, Coder
from emeritus.interview.sessions.transcript import Transcript
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.console.forms import Form
from emeritus.web.console.gate import STEWARD, Call, see
from emeritus.web.reader import reader_of
from emeritus.web.spans import Coded, Piece, cut

CHOICES: dict[str, Any] = {
    "domains": DOMAINS,
    "need_origins": NEED_ORIGINS,
    "remedy_origins": REMEDY_ORIGINS,
    "strengths": STRENGTHS,
    "adequacies": ADEQUACIES,
}


@dataclass(frozen=True, slots=True)
class TurnToCode:
    """One turn as its coder sees it. `codes` are (number in the sheet, code, its words); `sentences` (span, words)."""

    shown: BlindTurn
    pieces: tuple[Piece, ...]
    codes: tuple[tuple[int, Code, str], ...]
    sentences: tuple[tuple[str, str], ...]
    corrected: str | None


def index(call: Call) -> Response:
    """`/console/coding`: every round; a steward opens one here."""
    if call.sent:
        call.require()
        return see(f"/console/coding/{_open(call).id}")
    reader = reader_of(call.request)
    with reader.session() as session:
        residents = lifecycle.residents(session)
    coders = [each for each in call.desk.people.list() if not each["disabled"] and each["role"] in ("coder", STEWARD)]
    views = [view for view in call.desk.coding.every() if _may_see(call, view.names)]
    return call.page("rounds.html", rounds=views, residents=residents, coders=coders)


def one_round(call: Call) -> Response:
    """`/console/coding/{round}`: where it stands, and, once everything is handed in, how far the coders agree."""
    view = call.desk.coding.find(call.request.path_params["round"])
    reader = reader_of(call.request)
    with reader.session() as session:
        held = {each.id: each for each in interview.sessions(session, view.resident)}
        resident = lifecycle.resident(session, view.resident)
    proposals = {
        place: call.desk.coding.proposed(view, place)
        for place in range(1, len(view.sessions) + 1)
        if view.complete and view.sessions[place - 1] not in view.resolutions
    }
    return call.page(
        "round.html", view=view, held=held, resident=resident, proposals=proposals, gate=GATE, me=call.visitor.name
    )


def session(call: Call) -> Response:
    """`/console/coding/{round}/{place}`: mark, correct, hand in; without the other's codes, or the condition."""
    rounds, place = call.desk.coding, call.request.path_params["place"]
    view = rounds.find(call.request.path_params["round"])
    sheet = rounds.draft(view.id, place, call.visitor.name)
    shown, transcript = rounds.session(view, place)
    here = f"/console/coding/{view.id}/{place}"
    if call.sent:
        if call.form.get("do") == "submit":
            if not call.form.get("sure"):
                raise InputError("handing in is final", remedy="Go back, tick the box that says so, and send it again.")
            rounds.submit(view.id, place, sheet, call.actor)
            return see(f"/console/coding/{view.id}")
        changed, turn = _changed(call.form, sheet, transcript)
        rounds.save(view.id, place, call.visitor.name, changed)
        return see(f"{here}#turn-{turn}")
    return call.page(
        "code.html",
        script=True,
        view=view,
        place=place,
        shown=shown,
        turns=[_turn(turn, sheet) for turn in shown.turns],
        done=view.at(place) in view.handed_in[call.visitor.name],
        count=len(sheet.codes),
        here=here,
        channels=shown.channels,
        **CHOICES,
    )


def _may_see(call: Call, coders: Sequence[str]) -> bool:
    return call.visitor.role == STEWARD or call.visitor.name in coders


def _open(call: Call) -> Any:
    form = call.form
    names = [name for name in (form.get("one"), form.get("other")) if name]
    sample = form.number("sample") if form.get("sample").strip() else None
    if sample == 0:
        raise InputError("a sample has one session at least", remedy="Leave it empty for all sessions.")
    recodes = form.optional("recodes")
    items = tuple(form.get("items").replace(",", " ").split())
    opening = Opening(form.get("resident"), tuple(Coder(name) for name in names), (), items, sample, recodes)
    for name in names:
        call.desk.people.find(name)
    return call.desk.coding.open(opening, call.actor)


def _changed(form: Form, sheet: Sheet, transcript: Transcript) -> tuple[Sheet, int]:
    """The sheet after what a form asks for, and the turn it was about."""
    what, turn = form.get("do"), form.number("turn")
    if what == "add":
        return replace(sheet, codes=(*sheet.codes, read_code(_marked(form, turn), transcript))), turn
    if what == "remove":
        number = form.number("number")
        if number >= len(sheet.codes) or form.get("span") != _span(sheet.codes[number]):
            raise InputError("that code is not on your sheet any more", remedy="Open the session again.")
        return replace(sheet, codes=(*sheet.codes[:number], *sheet.codes[number + 1 :])), turn
    if what == "adequacy":
        kept = {each: value for each, value in sheet.adequacy.items() if each != turn}
        chosen = form.get("adequacy")
        return replace(sheet, adequacy={**kept, **({turn: chosen} if chosen else {})}), turn
    raise BadRequest(f"the form asks for {what[:40]!r}, which is nothing", remedy="Send it from the page.")


def _marked(form: Form, turn: int) -> dict[str, Any]:
    start, end = _edges(form)
    value: dict[str, Any] = {
        "turn": turn,
        "start": start,
        "end": end,
        "domain": form.get("domain"),
        "paraphrase": form.get("paraphrase").strip(),
        "need_origin": form.get("need_origin"),
        "transcript_sha256": form.get("transcript"),
    }
    for name in ("remedy", "remedy_origin", "strength", "channel"):
        value[name] = form.optional(name)
    value["attached"] = [line.strip() for line in form.get("attached").splitlines() if line.strip()]
    if value["remedy"] is None:
        value["remedy_origin"] = None
    if form.get("quote"):  # JSON, because a browser changes line ends in what a form sends
        try:
            value["quote"] = json.loads(form.get("quote"))
        except (ValueError, RecursionError) as error:
            raise BadRequest("the marked words cannot be read", remedy="Send the form from the page.") from error
    return value


def _edges(form: Form) -> tuple[int, int]:
    """Where the marked words begin and end: as selected or typed, else the sentences ticked, in a row."""
    if form.get("start").strip() or form.get("end").strip():
        return form.number("start"), form.number("end")
    ticked = []
    for value in form.all("sentence"):
        place, _, span = value.partition(":")
        start, _, end = span.partition("-")
        if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in (place, start, end)):
            raise BadRequest("a sentence cannot be read", remedy="Send the form from the page.")
        ticked.append((int(place), int(start), int(end)))
    if not ticked:
        raise InputError("no words are marked", remedy="Select words in the answer, tick sentences, or type numbers.")
    ticked.sort()
    if any(after[0] != before[0] + 1 for before, after in pairwise(ticked)):
        raise InputError("the sentences do not follow each other", remedy="Mark each passage as a code of its own.")
    return ticked[0][1], ticked[-1][2]


def _turn(shown: BlindTurn, sheet: Sheet) -> TurnToCode:
    codes = [(number, code) for number, code in enumerate(sheet.codes) if code.turn == shown.turn]
    return TurnToCode(
        shown=shown,
        pieces=cut(shown.answer, [Coded(code.start, code.end, code.domain) for _, code in codes]),
        codes=tuple((number, code, shown.answer[code.start : code.end]) for number, code in codes),
        sentences=tuple(
            (f"{place}:{start}-{end}", shown.answer[start:end]) for place, (start, end) in enumerate(shown.sentences)
        ),
        corrected=sheet.adequacy.get(shown.turn),
    )


def _span(code: Code) -> str:
    return f"{code.turn}:{code.start}-{code.end}:{code.domain}"
