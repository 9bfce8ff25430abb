"""Who may see a console page and send its forms. Wraps each page: session, role, form, and an error that says who.

Knows no page's content.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from inspect import iscoroutinefunction
from typing import Any, cast
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from emeritus.acts import Actor
from emeritus.errors import EmeritusError, NotYourRole
from emeritus.people.accounts import CALLER, ROLES
from emeritus.people.signins import Visitor
from emeritus.statuses import http_status
from emeritus.web.console.desk import Desk, desk_of
from emeritus.web.console.forms import SESSION_COOKIE, Form, check_token, drop_cookie, read_form, token_for
from emeritus.web.rendering import page
from emeritus.web.security import CONTENT_SECURITY_POLICY

EVERYONE = ROLES
ANYONE = (*ROLES, CALLER)
STEWARD = "steward"
_WITH_SCRIPT = f"{CONTENT_SECURITY_POLICY}; script-src 'self'"


@dataclass(frozen=True, slots=True)
class Call:
    """One request of someone signed in. `form` is empty unless it was sent; `csrf` goes into every form."""

    request: Request
    desk: Desk
    visitor: Visitor
    csrf: str
    form: Form

    @property
    def sent(self) -> bool:
        """Whether this is a form that was sent."""
        return self.request.method == "POST"

    @property
    def actor(self) -> Actor:
        """Who acts, as the ledger records it."""
        return Actor(self.visitor.name, self.visitor.role)

    def require(self, *roles: str) -> None:
        """Raises NotYourRole, unless the visitor has one of these roles or is a steward."""
        if self.visitor.role not in (*roles, STEWARD):
            raise NotYourRole(f"a {self.visitor.role} cannot do this; it is for a {' or a '.join(roles or (STEWARD,))}")

    def page(self, template: str, *, status: int = 200, script: bool = False, **values: Any) -> Response:
        """A console page: it says who is signed in, and no cache keeps it."""
        response = page(
            self.request, f"console/{template}", status=status, visitor=self.visitor, csrf=self.csrf, **values
        )
        response.headers["Cache-Control"] = "no-store"
        if script:
            response.headers["Content-Security-Policy"] = _WITH_SCRIPT
        return response


Page = Callable[[Call], Response] | Callable[[Call], Awaitable[Response]]


def visitor_of(request: Request) -> Visitor | None:
    """Who looks at a page, if they are signed in. May block."""
    token = request.cookies.get(SESSION_COOKIE, "")
    return desk_of(request).sign_ins.who(token) if token else None


def console_route(path: str, handler: Page, roles: Collection[str] = EVERYONE, methods: str = "GET POST") -> Route:
    """A page of the console. `roles` may open it; a steward always may."""

    async def endpoint(request: Request) -> Response:
        visitor = await run_in_threadpool(visitor_of, request)
        if visitor is None:
            return to_sign_in(request)
        token = request.cookies[SESSION_COOKIE]
        call = Call(request, desk_of(request), visitor, token_for(token), Form())
        return await _answer(call, token, handler, roles)

    return Route(path, endpoint, methods=methods.split())


async def _answer(call: Call, token: str, handler: Page, roles: Collection[str]) -> Response:
    try:
        if call.sent:
            form = await read_form(call.request)
            check_token(form, token)
            call = Call(call.request, call.desk, call.visitor, call.csrf, form)
        call.require(*roles)
        if iscoroutinefunction(handler):
            found: Response = await handler(call)
            return found
        return await run_in_threadpool(cast("Callable[[Call], Response]", handler), call)
    except EmeritusError as error:
        status = http_status(error)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise  # the site's own page says no more than the code
        return call.page("refused.html", status=status, error=error, back=back(call.request))


def back(request: Request) -> str:
    """Where a refused form leads back to: the page it was sent from."""
    return request.url.path


def to_sign_in(request: Request) -> Response:
    """To the sign-in page, which leads back."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = urlencode({"next": wanted}) if request.method != "POST" else ""
    response = RedirectResponse(f"/console/sign-in{'?' + query if query else ''}", status_code=303)
    response.headers["Cache-Control"] = "no-store"
    if SESSION_COOKIE in request.cookies:
        drop_cookie(request, response, SESSION_COOKIE)
    return response


def open_route(path: str, handler: Callable[[Request], Awaitable[Response]], methods: str = "GET POST") -> Route:
    """A page that needs no sign-in."""
    return Route(path, handler, methods=methods.split())


def see(address: str) -> Response:
    """After a form: look at this page."""
    return RedirectResponse(address, status_code=303)
