"""Interviews that go on now, and one that a person leads turn by turn: the same journal as any session."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from emeritus.errors import BadRequest
from emeritus.interview.protocols.protocol import SHIPPED, load
from emeritus.interview.sessions.interviewer import MAX_QUESTION
from emeritus.interview.sessions.led import Question
from emeritus.interview.sessions.replies import is_stop
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.console.gate import Call, see
from emeritus.web.reader import reader_of


def index(call: Call) -> Response:
    """`/console/interviews`: what goes on, turn by turn (`?watch=1` asks again by itself); a steward opens one."""
    if call.sent:
        which = call.form.get("protocol")
        if which not in SHIPPED:
            raise BadRequest(
                "no protocol of that name ships", remedy="Your own are asked with `emeritus interview ask`."
            )
        session = call.desk.studying.open_led(
            call.form.get("resident"), load(which), call.actor, call.form.get("cell").strip() or "baseline"
        )
        return see(f"/console/interviews/{session}")
    with reader_of(call.request).session() as session_:
        residents = lifecycle.residents(session_)
    going = call.desk.interviews.running()
    watching = "watch" in call.request.query_params
    response = call.page("live.html", going=going, residents=residents, protocols=SHIPPED, watching=watching)
    if watching:  # not where a form is being filled in
        response.headers["Refresh"] = "5"
    return response


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
