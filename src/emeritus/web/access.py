"""Asking for access: the form on a resident's page, a request's own page behind a secret link, and figures for all.

Nobody signs in for it, and no cookie is set. A key stands on the page that answers its button, once. Decides nothing.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from emeritus.access import queries as access
from emeritus.access.requests import queries
from emeritus.access.requests.service import MAX_NAME, MAX_TEXT, Application
from emeritus.access.requests.states import AUTO_CODES, DECLINE_CODES
from emeritus.errors import BadRequest
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.console.desk import desk_of
from emeritus.web.console.forms import Form, read_form
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page

CODES = {**DECLINE_CODES, **AUTO_CODES}


def figures(request: Request) -> Response:
    """`/access`: how requests are treated: medians, shares, reasons; and what plans there are."""
    reader = reader_of(request)
    with reader.session() as session:
        residents = queries.residents_asked_for(session)
        return page(
            request,
            "access.html",
            every=queries.figures(session),
            each=tuple(queries.figures(session, name) for name in residents),
            plans=access.plans(session, reader.now()),
            codes=CODES,
        )


async def ask(request: Request) -> Response:
    """`/residents/{name}/access`: a form to ask, and where it leads."""
    if request.method != "POST":
        return await run_in_threadpool(_form, request)
    requests, name = desk_of(request).requests, request.path_params["name"]
    form = await read_form(request)
    application = Application(form.get("who"), form.get("purpose"), form.get("contact"), form.number("per_day"))
    address = request.client.host if request.client else ""
    made = await run_in_threadpool(requests.submit, name, application, address)
    return _private(RedirectResponse(f"/access/requests/{made.secret}", status_code=303))


async def status(request: Request) -> Response:
    """`/access/requests/{secret}`: one request: where it stands, what was said, and what its applicant may do."""
    form = await read_form(request) if request.method == "POST" else None
    return _private(await run_in_threadpool(_status, request, form))


def _form(request: Request) -> Response:
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as session:
        return page(
            request,
            "access_ask.html",
            resident=lifecycle.resident(session, name),
            access=access.access_state(session, name, reader.now()),
            figures=queries.figures(session),
            open=request.app.state.desk is not None,
            most_text=MAX_TEXT,
            most_name=MAX_NAME,
        )


def _status(request: Request, form: Form | None) -> Response:
    requests, reader = desk_of(request).requests, reader_of(request)
    found = requests.by_link(request.path_params["secret"])
    key = None
    if form is not None:
        match form.get("do"):
            case "answer":
                requests.answer(found, form.get("text"))
            case "appeal":
                requests.appeal(found, form.get("text"))
            case "renew":
                requests.renew(found)
            case "key":
                key = requests.new_key(found, form.get("label"))
            case _:
                raise BadRequest("the form says nothing this page knows", remedy="Send it from the page.")
        if key is None:
            return RedirectResponse(request.url.path, status_code=303)
    with reader.session() as session:
        view = queries.one(session, found, reader.now(), reader.settings.access_expiring_days)
    return page(request, "access_status.html", view=view, key=key, codes=CODES, most_text=MAX_TEXT)


def _private(response: Response) -> Response:
    """For the applicant alone: no cache, no crawler, and no address passed on."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
