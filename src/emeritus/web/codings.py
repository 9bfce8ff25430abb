"""How the interviews of a resident were coded: rounds, agreement, and each settled session side by side."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from emeritus.errors import NotFound
from emeritus.interview import queries as interview
from emeritus.interview.coding.agreement import GATE
from emeritus.interview.coding.codes import Code
from emeritus.interview.coding.round_views import PublicRound, public_rounds
from emeritus.interview.sessions.transcript import Transcript, read_journal
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page


def index(request: Request) -> Response:
    """`/residents/{name}/coding`: every round with its coders, its agreement and what is settled."""
    name = request.path_params["name"]
    with reader_of(request).session() as session:
        resident = lifecycle.resident(session, name)
        return page(request, "codings.html", resident=resident, rounds=public_rounds(session, name), gate=GATE)


def settled(request: Request) -> Response:
    """`/residents/{name}/coding/{round}/{place}`: what each coder handed in for a session, and what stands."""
    reader, given = reader_of(request), request.path_params
    with reader.session() as session:
        resident = lifecycle.resident(session, given["name"])
        found = _round(public_rounds(session, resident.name), given["round"])
        one = next((each for each in found.settled if each.place == given["place"]), None)
        if one is None:
            raise NotFound(f"session {given['place']} of round {found.id} is not settled")
        sitting = interview.interview_session(session, resident.name, one.session)
        transcript = read_journal(reader.journal(sitting.journal), sitting.journal_sha256)
        return page(
            request,
            "coding.html",
            resident=resident,
            round=found,
            one=one,
            sides=[(coder, None if sheet is None else _worded(sheet.codes, transcript)) for coder, sheet in one.sheets],
            stands=_worded(one.resolution.sheet.codes, transcript),
            gate=GATE,
        )


def _round(rounds: tuple[PublicRound, ...], round_id: str) -> PublicRound:
    for each in rounds:
        if each.id == round_id:
            return each
    raise NotFound(f"there is no coding round {round_id[:80]!r}")


def _worded(codes: tuple[Code, ...], transcript: Transcript) -> list[tuple[Code, str]]:
    """Codes in the order of the text, each with its words."""
    placed = sorted(codes, key=lambda code: (*code.span, code.domain))
    return [(code, transcript.turn(code.turn).answer[code.start : code.end]) for code in placed]
