"""Interviews that go on now, and one that a person leads turn by turn: the same journal as any session."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from emeritus.errors import BadRequest, NotFound
from emeritus.interview import queries as interview
from emeritus.interview.protocols.protocol import SHIPPED, Protocol, load
from emeritus.interview.sessions.interviewer import MAX_QUESTION
from emeritus.interview.sessions.led import Question
from emeritus.interview.sessions.replies import is_stop
from emeritus.interview.views import ProtocolView
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.console.gate import Call, see
from emeritus.web.reader import reader_of


def index(call: Call) -> Response:
    """`/console/interviews`: what goes on, turn by turn (`?watch=1` asks again by itself); a steward opens one."""
    if call.sent:
        session = call.desk.studying.open_led(
            call.form.get("resident"),
            _protocol(call, call.form.get("protocol")),
            call.actor,
            call.form.get("cell").strip() or "baseline",
        )
        return see(f"/console/interviews/{session}")
    with reader_of(call.request).session() as session_:
        residents = lifecycle.residents(session_)
        logged = interview.protocols(session_)
    going = call.desk.interviews.running()
    watching = "watch" in call.request.query_params
    response = call.page("live.html", going=going, residents=residents, protocols=_choices(logged), watching=watching)
    if watching:  # not where a form is being filled in
        response.headers["Refresh"] = "5"
    return response


def _choices(logged: Iterable[ProtocolView]) -> list[tuple[str, str]]:
    """(value, label) of every protocol that may be led: those that ship, and others that this home has logged."""
    shipped = {load(each).sha256: each for each in SHIPPED}
    own = [(each.sha256, f"{each.name} {each.version} ({each.sha256[:8]})") for each in logged]
    return [*((each, each) for each in SHIPPED), *(each for each in own if each[0] not in shipped)]


def _protocol(call: Call, which: str) -> Protocol:
    """A protocol that ships, by its name, or one that was logged, by its sha256. Raises BadRequest."""
    if which in SHIPPED:
        return load(which)
    reader = reader_of(call.request)
    try:
        with reader.session() as session:
            found = interview.protocol(session, which)
    except NotFound as error:
        raise BadRequest(
            "no protocol of that name ships or was logged here",
            remedy="`emeritus interview ask NAME --protocol FILE` logs one of your own.",
        ) from error
    return Protocol.parse(reader.payload(found.sha256), "the logged protocol")


async def session(call: Call) -> Response:
    """`/console/interviews/{session}`: what was asked and produced so far; the next question, or the end."""
    name = call.request.path_params["session"]
    led = call.desk.interviews.led
    here = f"/console/interviews/{name}"
    if not call.sent:
        return await run_in_threadpool(_shown, call, name)
    what = call.form.get("do")
    if what == "end":
        await run_in_threadpool(led.end, name, call.actor)
        return see(here)
    if what not in ("item", "own", "again"):
        raise BadRequest("the form asks for nothing", remedy="Send it from the page.")
    question = None if what == "again" else Question(*_asked(call, what))
    turn = await call.desk.studying.ask(name, question, call.actor)
    if is_stop(turn.answer):
        await run_in_threadpool(led.end, name, call.actor)
    return see(f"{here}#last")


def _asked(call: Call, what: str) -> tuple[str | None, str | None]:
    return (call.form.get("item"), None) if what == "item" else (None, call.form.get("words"))


def _shown(call: Call, name: str) -> Response:
    led = call.desk.interviews.led
    transcript = led.transcript(name)
    mine = transcript.status is None and transcript.condition.get("interviewer", {}).get("kind") == "person"
    return call.page(
        "lead.html",
        transcript=transcript,
        items=led.items(name) if mine else (),
        mine=mine,
        open=bool(transcript.turns) and not transcript.turns[-1].answered,
        most=MAX_QUESTION,
    )
