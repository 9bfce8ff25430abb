"""Errors as Anthropic's clients read them."""

from __future__ import annotations

from emeritus.errors import BrownedOut, EmeritusError, OutsideHours
from emeritus.gateway.anthropic.wire import Refusal, RefusalDetails, RefusalFact
from emeritus.gateway.faults import BROWN_OUT, told
from emeritus.statuses import http_status

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_PARAMS = {"stop": "stop_sequences"}  # of what the core names in other words than Anthropic's


def refusal_body(error: EmeritusError, request: str) -> Refusal:
    """The error in Anthropic's shape; `request` is the request's id."""
    status = http_status(error)
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    if isinstance(error, BrownedOut):
        kind = BROWN_OUT
    elif isinstance(error, OutsideHours):
        kind = "api_error"  # hours away, so not overloaded: that is what clients try again at once
    param = error.facts.get("param")
    named = None if param is None else _PARAMS.get(str(param), str(param))
    details = RefusalDetails(error_code=error.code, remedy=error.remedy, param=named)
    fact = RefusalFact(type=kind, message=f"{told(error)}. {error.remedy}", details=details)
    return Refusal(type="error", error=fact, request_id=request)
