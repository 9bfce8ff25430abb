"""Signing in, signing out, the one-time set-up link, and a new password."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from emeritus.errors import EmeritusError, InputError
from emeritus.people.accounts import MAX_PASSWORD, MIN_PASSWORD
from emeritus.people.signins import SESSION_HOURS
from emeritus.statuses import http_status
from emeritus.web.console.desk import desk_of
from emeritus.web.console.forms import (
    FORM_COOKIE,
    SESSION_COOKIE,
    Form,
    check_token,
    drop_cookie,
    fresh_cookie,
    read_form,
    set_cookie,
    token_for,
)
from emeritus.web.console.gate import Call, see
from emeritus.web.rendering import page


async def sign_in(request: Request) -> Response:
    """`/console/sign-in`: name and password. An unknown name and a wrong password get the same answer."""
    desk = desk_of(request)
    following = within(request.query_params.get("next", ""))
    if request.method != "POST":
        return form_page(request, "sign-in.html", following=following, name="", error=None)
    form = await read_form(request)
    following = within(form.get("next"))
    address = request.client.host if request.client else ""
    try:
        check_token(form, request.cookies.get(FORM_COOKIE))
        token = await run_in_threadpool(desk.sign_ins.sign_in, form.get("name").strip(), form.get("password"), address)
    except EmeritusError as error:
        return refused(request, "sign-in.html", error, following=following, name=form.get("name")[:64])
    response = see(following)
    set_cookie(request, response, SESSION_COOKIE, token, SESSION_HOURS * 3600)
    drop_cookie(request, response, FORM_COOKIE)
    return response


async def set_up(request: Request) -> Response:
    """`/console/set-up?name=…&token=…`: the one-time link; a password is chosen, and the link works no more."""
    desk = desk_of(request)
    if request.method != "POST":
        given = request.query_params
        return form_page(
            request, "set-up.html", name=given.get("name", ""), token=given.get("token", ""), bounds=_BOUNDS, error=None
        )
    form = await read_form(request)
    name, token = form.get("name"), form.get("token")
    try:
        check_token(form, request.cookies.get(FORM_COOKIE))
        await run_in_threadpool(desk.people.set_password, name, token, _chosen(form))
    except EmeritusError as error:
        return refused(request, "set-up.html", error, name=name[:64], token=token[:200], bounds=_BOUNDS)
    response = form_page(request, "sign-in.html", following="/console", name=name, error=None, told="Password set.")
    drop_cookie(request, response, SESSION_COOKIE)
    return response


def sign_out(call: Call) -> Response:
    """`/console/sign-out`: ends this session."""
    call.desk.sign_ins.sign_out(call.request.cookies[SESSION_COOKIE])
    response = see(within(call.form.get("next"), "/console/sign-in"))
    drop_cookie(call.request, response, SESSION_COOKIE)
    return response


def account(call: Call) -> Response:
    """`/console/account`: a new password, which ends every session, this one too."""
    if not call.sent:
        return call.page("account.html", bounds=_BOUNDS)
    call.desk.people.change_password(call.visitor.name, call.form.get("old"), _chosen(call.form))
    response = see("/console/sign-in")
    drop_cookie(call.request, response, SESSION_COOKIE)
    return response


_WITHIN = re.compile(r"/(console|chat|access|residents)([/?][^\\]*)?")
_BOUNDS = (MIN_PASSWORD, MAX_PASSWORD)


def _chosen(form: Form) -> str:
    if form.get("password") != form.get("again"):
        raise InputError("the two passwords differ", remedy="Type the same password twice.")
    return form.get("password")


def within(address: str, otherwise: str = "/console") -> str:
    """An address of this site that a sign-in changes; anything else leads to `otherwise`, never to another site."""
    return address if _WITHIN.fullmatch(address) and address.isprintable() else otherwise


def form_page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page with a form for a browser that is not signed in."""
    cookie = request.cookies.get(FORM_COOKIE) or fresh_cookie()
    response = page(
        request,
        f"console/{template}",
        status=status,
        csrf=token_for(cookie),
        provider=_provider(request),
        **{"told": "", **values},
    )
    response.headers["Cache-Control"] = "no-store"
    set_cookie(request, response, FORM_COOKIE, cookie, None)
    return response


def refused(request: Request, template: str, error: EmeritusError, **values: Any) -> Response:
    """The same page again, with what was wrong. Raises an error that is a fault of ours."""
    status = http_status(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    return form_page(request, template, status=status, error=error, **values)


def _provider(request: Request) -> str | None:
    provider = desk_of(request).provider
    return None if provider is None else provider.name
