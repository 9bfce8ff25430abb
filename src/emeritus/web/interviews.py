"""An interview's transcript, its raw journal, and the protocol it followed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from emeritus.errors import IntegrityError
from emeritus.interview import queries as interview
from emeritus.interview.coding.round_views import adequacy_corrections
from emeritus.interview.sessions.replies import adequacy
from emeritus.interview.sessions.transcript import Attempt, TranscriptTurn, read_journal
from emeritus.interview.views import PreferenceView
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.paging import Paging
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page
from emeritus.web.spans import Coded, Piece, cut


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn as the page shows it. `pieces` is the exact answer cut at its coded spans; None: no answer.

    `adequacy` is by the plain rule, `corrected` as the coders have it (None: as the rule says).
    """

    number: int
    item: str
    question: str
    pieces: tuple[Piece, ...] | None
    failed: tuple[Attempt, ...]
    answered: Attempt | None
    adequacy: str
    corrected: str | None


def transcript(request: Request) -> Response:
    """`/residents/{name}/interviews/{session}`: every turn, failed attempts too."""
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as session:
        found = lifecycle.resident(session, name)
        sitting = interview.interview_session(session, name, request.path_params["session"])
        every = interview.preferences(session, reader.now(), reader.settings.decision_days, name)
        register = [preference for preference in every if preference.public]
        record = read_journal(reader.journal(sitting.journal), sitting.journal_sha256)
        settled = adequacy_corrections(session, [sitting.id]).get(sitting.id)
        corrected = {} if settled is None else settled.adequacy
        return page(
            request,
            "transcript.html",
            resident=found,
            sitting=sitting,
            protocol=interview.protocol(session, sitting.protocol_sha256) if sitting.protocol_sha256 else None,
            turns=[
                _turn(turn, _coded(register, sitting.id, turn.turn), corrected.get(turn.turn)) for turn in record.turns
            ],
            opening=record.opening,
            tears=record.tears,
            preferences={preference.id: preference for preference in register},
        )


def sittings(request: Request) -> Response:
    """`/residents/{name}/interviews`: every session, newest first, in pages."""
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as session:
        found = lifecycle.resident(session, name)
        paging = Paging.of(request, interview.count_sessions(session, name))
        sessions = interview.sessions(session, name, paging.first, paging.size, newest_first=True)
        return page(request, "sittings.html", resident=found, paging=paging, sessions=sessions)


def journal(request: Request) -> Response:
    """`/residents/{name}/interviews/{session}/journal.jsonl`: the exact record, checked against its logged digest."""
    reader = reader_of(request)
    with reader.session() as session:
        sitting = interview.interview_session(session, request.path_params["name"], request.path_params["session"])
    body = reader.journal(sitting.journal).read_bytes()
    if hashlib.sha256(body).hexdigest() != sitting.journal_sha256:
        raise IntegrityError(
            f"the journal of session {sitting.id!r} is not the one that was logged", session=sitting.id
        )
    return Response(body, media_type="application/jsonl; charset=utf-8")


def protocol(request: Request) -> Response:
    """`/protocols/{sha256}`: a protocol's text as it was logged."""
    reader = reader_of(request)
    with reader.session() as session:
        found = interview.protocol(session, request.path_params["sha256"])
        text = reader.payload(found.sha256).decode("utf-8", errors="replace")
        return page(request, "protocol.html", protocol=found, text=text)


def _coded(register: Iterable[PreferenceView], session: str, turn: int) -> list[Coded]:
    return [
        Coded(span.start, span.end, preference.id)
        for preference in register
        for span in preference.evidence
        if span.session == session and span.turn == turn
    ]


def _turn(turn: TranscriptTurn, coded: list[Coded], corrected: str | None) -> TurnView:
    answered = next((attempt for attempt in turn.attempts if attempt.outcome == "answered"), None)
    return TurnView(
        turn.turn,
        turn.item,
        turn.question,
        cut(turn.answer, coded) if turn.answered else None,
        tuple(attempt for attempt in turn.attempts if attempt.outcome != "answered"),
        answered,
        adequacy(turn.answer, turn.answered, turn.finish_reason),
        corrected,
    )
