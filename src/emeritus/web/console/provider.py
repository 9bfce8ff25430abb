"""Signing in at an OpenID Connect provider: the button that leads there, and where the browser comes back to."""

from __future__ import annotations

import logging
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from emeritus.errors import EmeritusError, NotFound, SignInUnavailable
from emeritus.people.oidc import Pending, Provider
from emeritus.people.signins import SESSION_HOURS
from emeritus.statuses import http_status
from emeritus.web.console.account import form_page, within
from emeritus.web.console.desk import Desk, desk_of
from emeritus.web.console.forms import (
    FORM_COOKIE,
    SESSION_COOKIE,
    check_token,
    drop_cookie,
    read_form,
    set_cookie,
)
from emeritus.web.console.gate import see
from emeritus.web.reader import base_url
from emeritus.web.rendering import page

PENDING_COOKIE = "emeritus_oidc"
PENDING_S = 600
SOURCE = "oidc"
_log = logging.getLogger(__name__)


async def begin(request: Request) -> Response:
    """`/console/sign-in/provider`: to the provider, with what the browser is to bring back in a cookie."""
    _, provider = _provider(request)
    form = await read_form(request)
    following = within(form.get("next"))
    try:
        check_token(form, request.cookies.get(FORM_COOKIE))
        address, pending = await provider.begin(_callback(request), following)
    except EmeritusError as error:
        return _refused(request, error, following)
    # a page that leads on rather than a redirect: what a form leads to must be of this site, by its policy
    response = page(request, "console/leave.html", address=address, provider=provider.name)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Refresh"] = f"0; url={address}"
    set_cookie(request, response, PENDING_COOKIE, pending.dump(), PENDING_S)
    return response


async def finish(request: Request) -> Response:
    """`/console/sign-in/callback`: what the provider answered; it counts once, and only in the browser that asked."""
    desk, provider = _provider(request)
    following = within("")
    try:
        pending = Pending.load(request.cookies.get(PENDING_COOKIE, ""))
        following = within(pending.following)
        identity = await provider.finish(pending, dict(request.query_params), _callback(request))
        token, name = await run_in_threadpool(desk.sign_ins.sign_in_from, identity)
        await run_in_threadpool(desk.access.members.told, name, identity.plans, provider.plans, SOURCE)
    except EmeritusError as error:
        response = _refused(request, error, following)
    else:
        response = see(following)
        set_cookie(request, response, SESSION_COOKIE, token, SESSION_HOURS * 3600)
        drop_cookie(request, response, FORM_COOKIE)
    response.headers["Cache-Control"] = "no-store"
    drop_cookie(request, response, PENDING_COOKIE)
    return response


def _provider(request: Request) -> tuple[Desk, Provider]:
    desk = desk_of(request)
    if desk.provider is None:
        raise NotFound("people sign in here with local accounts alone", remedy="Use the sign-in page.")
    return desk, desk.provider


def _callback(request: Request) -> str:
    return f"{base_url(request)}/console/sign-in/callback"


def _refused(request: Request, error: EmeritusError, following: str) -> Response:
    status = http_status(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s", error.code, error, exc_info=error)
        if not isinstance(error, SignInUnavailable):
            raise error
    return form_page(request, "sign-in.html", status=status, following=following, name="", error=error)
