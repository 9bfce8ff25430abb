"""Errors as OpenAI's clients read them: status, headers and body of each, from the one table of statuses.

What a server fault says in detail stays in the log: messages of 5xx errors may name files of this machine.
"""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from emeritus.errors import BadRequest, Busy, EmeritusError, NotFound, OutsideHours
from emeritus.gateway.wire import ErrorBody, ErrorFact
from emeritus.statuses import http_status

MAX_RETRY_AFTER_S = 120  # the longest Retry-After that OpenAI's SDK honours
RETRY_AFTER_S = 15
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_EXPECTED = (Busy, OutsideHours)  # no fault of the server, and written for the caller
_log = logging.getLogger(__name__)


def error_body(error: EmeritusError) -> ErrorBody:
    """The error in OpenAI's shape."""
    status = http_status(error)
    if status < 500:
        kind, message = _TYPES.get(status, "invalid_request_error"), error.message
    else:
        kind, message = "server_error", error.message if isinstance(error, _EXPECTED) else error.title
    param = error.facts.get("param")
    fact = ErrorFact(
        message=f"{message}. {error.remedy}",
        type=kind,
        param=None if param is None else str(param),
        code=error.code,
        remedy=error.remedy,
    )
    return ErrorBody(error=fact)


def error_headers(error: EmeritusError) -> dict[str, str]:
    """What the status asks a client to know. A used-up day and closed hours are not worth a client's quick retries."""
    status = http_status(error)
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    wait = error.facts.get("retry_after_s")
    seconds = max(1, round(wait)) if isinstance(wait, int | float) else None
    if seconds is not None and (status == 429 or isinstance(error, OutsideHours)):
        return {"Retry-After": str(seconds), "x-should-retry": "false"}
    if status == 503:
        return {"Retry-After": str(min(seconds or RETRY_AFTER_S, MAX_RETRY_AFTER_S))}
    return {}


def refuse(error: EmeritusError) -> Response:
    """The response that answers an error; server faults are logged."""
    log_fault(error)
    return Response(
        error_body(error).as_json(), http_status(error), error_headers(error), media_type="application/json"
    )


def log_fault(error: EmeritusError) -> None:
    """Keep the detail of a server fault, which its caller is not shown."""
    if http_status(error) >= 500 and not isinstance(error, _EXPECTED):
        _log.error("%s %s", error.code, error.message, exc_info=error)


async def on_error(_request: Request, error: Exception) -> Response:
    """Handler for errors with a code."""
    if not isinstance(error, EmeritusError):
        return await on_fault(_request, error)
    return refuse(error)


async def on_http(request: Request, error: Exception) -> Response:
    """Handler for what the router refuses: unknown addresses and methods."""
    if not isinstance(error, HTTPException):
        return await on_fault(request, error)
    if error.status_code == 405:
        named: EmeritusError = BadRequest(f"{request.method} is not answered here", remedy="See docs/api.md.")
    elif error.status_code == 404:
        named = NotFound("there is nothing at this address", remedy="See docs/api.md for what the API answers.")
    else:
        named = BadRequest(str(error.detail))
    return Response(error_body(named).as_json(), error.status_code, error.headers, media_type="application/json")


async def on_fault(_request: Request, _error: Exception) -> Response:
    """Handler for a defect of ours; the server logs it with its trace."""
    return Response(error_body(EmeritusError("")).as_json(), 500, media_type="application/json")
