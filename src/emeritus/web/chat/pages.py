"""Talking with a resident: who one may talk with, the page to do it on, and the answers, streamed or whole.

A browser that is signed in is known by its session; who is not may talk with residents that are open. Nothing said is
stored: the conversation lives in the page and comes along with every question. Decides nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from emeritus.engines.base import Message
from emeritus.errors import EmeritusError, RequestTooLarge
from emeritus.people.signins import Visitor
from emeritus.statuses import http_status
from emeritus.web.chat.asking import MOST_TOKENS, USUAL_TOKENS, from_form, from_json
from emeritus.web.chat.backend import Reachable, talks_of
from emeritus.web.chat.lines import AnswerLines
from emeritus.web.chat.wording import Told, plain, reason
from emeritus.web.console.forms import (
    FIELD,
    FORM_COOKIE,
    SESSION_COOKIE,
    Form,
    check_origin,
    check_token,
    fresh_cookie,
    read_form,
    set_cookie,
    token_for,
)
from emeritus.web.console.gate import visitor_of
from emeritus.web.rendering import page
from emeritus.web.security import CONTENT_SECURITY_POLICY

_WITH_SCRIPT = f"{CONTENT_SECURITY_POLICY}; script-src 'self'; connect-src 'self'"


@dataclass(frozen=True, slots=True)
class Seat:
    """Who looks at the page: `visitor` is None for a browser that is not signed in. `cookie` ties its forms to it."""

    visitor: Visitor | None
    cookie: str

    @property
    def account(self) -> str | None:
        """By what name plans know them."""
        return None if self.visitor is None else self.visitor.name


@dataclass(frozen=True, slots=True)
class Offered:
    """A resident in the list; `why` not, or None."""

    resident: Reachable
    why: Told | None


async def index(request: Request) -> Response:
    """`/chat`: every resident, those one may talk with first, the others with the reason and what helps."""
    seat = await _seat(request)
    return await run_in_threadpool(_index, request, seat)


async def room(request: Request) -> Response:
    """`/chat/{name}`: a conversation. Sent as a form, without a script, the whole answer comes with the next page."""
    seat = await _seat(request)
    if request.method != "POST":
        return await run_in_threadpool(_room, request, seat)
    form = await read_form(request)
    turns: tuple[Message, ...] = ()
    told, status = None, int(HTTPStatus.OK)
    talks, name = talks_of(request), request.path_params["name"]
    try:
        check_token(form, seat.cookie)
        asked = from_form(form)
        turns = asked.messages[:-1]
        admission = await talks.admit(seat.account, name)
        answered = await talks.answer(asked.messages, asked.sampling, admission, request.receive)
        if answered is None:
            return Response(status_code=499)  # nobody reads it
        turns, form = (*asked.messages, Message("assistant", answered.text)), Form({**form.values, "message": ()})
    except EmeritusError as error:
        told, status = plain(error, talks.told(error)), http_status(error)
    return await run_in_threadpool(_room, request, seat, form, turns, told, status)


async def answer(request: Request) -> ASGIApp:
    """`/chat/{name}/answer`: an answer as lines of JSON while it is produced, for the page's script."""
    talks, lines = talks_of(request), AnswerLines(talks_of(request))
    try:
        check_origin(request)
        seat = await _seat(request)
        asked = from_json(await _body(request, talks.max_body_bytes))
        check_token(Form({FIELD: (asked.csrf,)}), seat.cookie)
        admission = await talks.admit(seat.account, request.path_params["name"])
    except EmeritusError as error:
        return lines.refuse(error)
    return talks.stream(asked.messages, asked.sampling, admission, lines, lines)


async def _seat(request: Request) -> Seat:
    visitor = await run_in_threadpool(visitor_of, request)
    return Seat(visitor, request.cookies.get(FORM_COOKIE if visitor is None else SESSION_COOKIE, ""))


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise RequestTooLarge("the conversation is too long", remedy="Begin a new one.")
    return bytes(body)


def _index(request: Request, seat: Seat) -> Response:
    talks = talks_of(request)
    every = [Offered(each, _why_not(request, seat, each)) for each in talks.residents()]
    return _page(
        request,
        seat,
        "chat.html",
        may=[each for each in every if each.why is None],
        may_not=[each for each in every if each.why is not None],
    )


def _room(
    request: Request,
    seat: Seat,
    form: Form | None = None,
    turns: tuple[Message, ...] = (),
    told: Told | None = None,
    status: int = 200,
) -> Response:
    form = form or Form()
    resident = talks_of(request).resident(request.path_params["name"])
    return _page(
        request,
        seat,
        "chat_room.html",
        status=status,
        script=True,
        resident=resident,
        why=_why_not(request, seat, resident),
        told=told,
        turns=turns,
        before=json.dumps([{"role": turn.role, "content": turn.content} for turn in turns], ensure_ascii=False),
        message=form.get("message"),
        temperature=form.get("temperature") or "1",
        max_tokens=form.get("max_tokens") or str(USUAL_TOKENS),
        most_tokens=MOST_TOKENS,
    )


def _why_not(request: Request, seat: Seat, resident: Reachable) -> Told | None:
    decision = talks_of(request).decide(seat.account, resident.name)
    return None if decision.allowed else reason(decision.code, decision.reason)


def _page(
    request: Request, seat: Seat, template: str, *, status: int = 200, script: bool = False, **values: Any
) -> Response:
    cookie = seat.cookie or fresh_cookie()
    response = page(request, template, status=status, visitor=seat.visitor, csrf=token_for(cookie), **values)
    response.headers["Cache-Control"] = "no-store"
    if script:
        response.headers["Content-Security-Policy"] = _WITH_SCRIPT
    if seat.visitor is None:
        set_cookie(request, response, FORM_COOKIE, cookie, None)
    return response
