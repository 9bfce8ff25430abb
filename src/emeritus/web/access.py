"""Asking for access: the form on a resident's page, a request's own page, what somebody signed in has, figures for all.

Nobody has to sign in: a request then has a page behind a secret link, and no cookie is set. Who is signed in finds
theirs under their account. A key stands on the page that answers its button, once. Decides nothing.
"""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from emeritus.access import queries as access
from emeritus.access.members import identity
from emeritus.access.requests import queries
from emeritus.access.requests.service import MAX_NAME, MAX_TEXT, Application
from emeritus.access.requests.states import AUTO_CODES, DECLINE_CODES
from emeritus.access.service import MAX_LABEL
from emeritus.errors import BadRequest, NotFound
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.console.desk import desk_of
from emeritus.web.console.forms import SESSION_COOKIE, Form, check_token, read_form, token_for
from emeritus.web.console.gate import Call, see, to_sign_in, visitor_of
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page

CODES = {**DECLINE_CODES, **AUTO_CODES}
_REQUEST = re.compile(r"r-[0-9a-f]{12}")  # no secret is as short


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
    form = await read_form(request) if request.method == "POST" else None
    return private(await run_in_threadpool(_ask, request, form))


async def status(request: Request) -> Response:
    """`/access/requests/{secret}`: one request: where it stands, what was said, and what its applicant may do.

    By its secret link, or by its id for whoever asked while signed in.
    """
    form = await read_form(request) if request.method == "POST" else None
    return private(await run_in_threadpool(_status, request, form))


def mine(call: Call) -> Response:
    """`/access/mine`: what somebody signed in has asked for, may call, and their keys."""
    reader, form, key = reader_of(call.request), call.form, None
    with reader.session() as session:
        belongs = access.memberships(session, identity(call.visitor.name), reader.now())
        asked = queries.of_account(session, call.visitor.name, reader.now(), reader.settings.access_expiring_days)
    if call.sent:
        member = next((each.id for each in belongs if each.id == form.get("member")), None)
        if member is None:
            raise NotFound("this account has no such membership", remedy="The page as it stands lists those it has.")
        match form.get("do"):
            case "key":
                key = call.desk.access.issue_to_holder(member, form.get("label"))
            case "revoke":
                call.desk.access.revoke_key(form.get("key"), member)
                return see(call.request.url.path)
            case _:
                raise BadRequest("the form says nothing this page knows", remedy="Send it from the page.")
    return call.page("access_mine.html", asked=asked, belongs=belongs, key=key, codes=CODES, most_label=MAX_LABEL)


def _ask(request: Request, form: Form | None) -> Response:
    reader, name = reader_of(request), request.path_params["name"]
    served = request.app.state.desk is not None
    visitor, cookie = visitor_of(request) if served else None, request.cookies.get(SESSION_COOKIE, "")
    if form is not None:
        who, account = form.get("who"), None
        if visitor is not None:
            check_token(form, cookie)
            who, account = visitor.display, visitor.name
        application = Application(who, form.get("purpose"), form.get("contact"), form.number("per_day"), account)
        made = desk_of(request).requests.submit(name, application, request.client.host if request.client else "")
        return see(f"/access/requests/{made.secret if account is None else made.id}")
    with reader.session() as session:
        now, days = reader.now(), reader.settings.access_expiring_days
        return page(
            request,
            "access_ask.html",
            resident=lifecycle.resident(session, name),
            access=access.access_state(session, name, now),
            figures=queries.figures(session),
            open=served,
            visitor=visitor,
            csrf=token_for(cookie),
            asked=() if visitor is None else queries.of_account(session, visitor.name, now, days, name),
            most_text=MAX_TEXT,
            most_name=MAX_NAME,
        )


def _status(request: Request, form: Form | None) -> Response:
    requests, reader, which = desk_of(request).requests, reader_of(request), request.path_params["secret"]
    visitor, cookie = visitor_of(request), request.cookies.get(SESSION_COOKIE, "")
    if not _REQUEST.fullmatch(which):
        found, visitor = requests.by_link(which), None
    elif visitor is None:
        return to_sign_in(request)
    else:
        if form is not None:
            check_token(form, cookie)
        found = requests.of_account(which, visitor.name)
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
            case "revoke":
                requests.revoke_key(found, form.get("key"))
            case _:
                raise BadRequest("the form says nothing this page knows", remedy="Send it from the page.")
        if key is None:
            return RedirectResponse(request.url.path, status_code=303)
    with reader.session() as session:
        view = queries.one(session, found, reader.now(), reader.settings.access_expiring_days)
        return page(
            request,
            "access_status.html",
            view=view,
            access=access.access_state(session, view.resident, reader.now()).tier,
            keys=() if view.grant is None else access.keys_of(session, view.grant.id),
            key=key,
            codes=CODES,
            visitor=visitor,
            csrf=token_for(cookie),
            most_text=MAX_TEXT,
            most_label=MAX_LABEL,
        )


def private(response: Response) -> Response:
    """For one reader alone: no cache and no crawler; the site's own policy passes its address on to no other site.

    A stricter one (no-referrer) would have browsers send forms with the origin `null`, as forged ones come.
    """
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
