"""Errors as OpenAI's clients read them."""

from __future__ import annotations

from emeritus.errors import BrownedOut, EmeritusError
from emeritus.gateway.faults import BROWN_OUT, told
from emeritus.gateway.openai.wire import ErrorBody, ErrorFact
from emeritus.statuses import http_status

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_body(error: EmeritusError) -> ErrorBody:
    """The error in OpenAI's shape."""
    status = http_status(error)
    kind = _TYPES.get(status, "invalid_request_error") if status < 500 else "server_error"
    if isinstance(error, BrownedOut):
        kind = BROWN_OUT
    param = error.facts.get("param")
    fact = ErrorFact(
        message=f"{told(error)}. {error.remedy}",
        type=kind,
        param=None if param is None else str(param),
        code=error.code,
        remedy=error.remedy,
    )
    return ErrorBody(error=fact)
