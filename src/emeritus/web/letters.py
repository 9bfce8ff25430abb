"""Letters to a resident: the form, and a letter's own page behind a secret link. Works without a script.

Whoever is signed in writes by their plans; anybody else gives a key, which is used once and not kept. Decides nothing.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from emeritus.access import queries as access
from emeritus.answering import Answering
from emeritus.correspondence.letters import MOST_TEXT
from emeritus.errors import BadRequest
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.access import private
from emeritus.web.console.desk import desk_of
from emeritus.web.console.forms import SESSION_COOKIE, Form, check_origin, check_token, read_form, token_for
from emeritus.web.console.gate import visitor_of
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page


async def write(request: Request) -> Response:
    """`/residents/{name}/letter`: a form to write to a resident, and where it leads."""
    form = await read_form(request) if request.method == "POST" else None
    return private(await run_in_threadpool(_write, request, form))


async def letter(request: Request) -> Response:
    """`/letters/{secret}`: a letter, and its answer once there is one."""
    form = await read_form(request) if request.method == "POST" else None
    return private(await run_in_threadpool(_letter, request, form))


def _write(request: Request, form: Form | None) -> Response:
    answering, name, visitor = _answering(request), request.path_params["name"], visitor_of(request)
    reader = reader_of(request)
    with reader.session() as session:
        resident = lifecycle.resident(session, name)
        standing = access.access_state(session, name, reader.now()).tier
    if form is None:
        return page(
            request,
            "letter_write.html",
            resident=resident,
            access=standing,
            window=answering.standing(name).hours,
            visitor=visitor,
            csrf=token_for(request.cookies.get(SESSION_COOKIE, "")),
            most_text=MOST_TEXT,
        )
    check_origin(request)
    text, contact, key = form.get("text"), form.optional("contact"), form.optional("key")
    if visitor is not None and key is None:
        check_token(form, request.cookies.get(SESSION_COOKIE))
        secret = answering.write(name, text, visitor.name, contact)
    else:
        answering.may_send(key, [name])
        secret = answering.write(name, text, answering.holder(key), contact)
    return RedirectResponse(f"/letters/{secret}", status_code=303)


def _letter(request: Request, form: Form | None) -> Response:
    letters = _answering(request).letters
    found = letters.by_link(request.path_params["secret"])
    if form is not None:
        check_origin(request)
        if form.get("do") != "erase":
            raise BadRequest("the form says nothing this page knows", remedy="Send it from the page.")
        letters.erase(found)
        return RedirectResponse(f"/residents/{found.resident}", status_code=303)
    return page(request, "letter.html", letter=found)


def _answering(request: Request) -> Answering:
    return desk_of(request).answering
