"""What every wire format says alike of an error: the headers of its status; and what is kept to the log.

What a server fault says in detail stays in the log: messages of 5xx errors may name files of this machine.
"""

from __future__ import annotations

import logging

from emeritus.errors import BrownedOut, Busy, EmeritusError, OutsideHours
from emeritus.statuses import http_status

MAX_RETRY_AFTER_S = 120  # the longest Retry-After that the SDKs honour
RETRY_AFTER_S = 15
EXPECTED = (Busy, OutsideHours, BrownedOut)  # no fault of the server, and written for the caller
BROWN_OUT = "model_brown_out"  # an error's type, in every vendor's shape
_log = logging.getLogger(__name__)


def told(error: EmeritusError) -> str:
    """What a caller is told of an error, without its remedy."""
    return error.message if http_status(error) < 500 or isinstance(error, EXPECTED) else error.title


def error_headers(error: EmeritusError) -> dict[str, str]:
    """What the status asks a client to know. What is hours away is not worth a client's quick retries."""
    status = http_status(error)
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    wait = error.facts.get("retry_after_s")
    seconds = max(1, round(wait)) if isinstance(wait, int | float) else None
    if seconds is not None and (status == 429 or isinstance(error, OutsideHours | BrownedOut)):
        link = {"Link": str(error.facts["link"])} if error.facts.get("link") else {}
        soon = status == 429 and seconds <= MAX_RETRY_AFTER_S  # a minute's limit: the SDK's own retry will be let in
        return {"Retry-After": str(seconds), **({} if soon else {"x-should-retry": "false"}), **link}
    if status in (503, 507):  # a full disk is somebody's to clear: the resident wakes once it is
        return {"Retry-After": str(min(seconds or RETRY_AFTER_S, MAX_RETRY_AFTER_S))}
    return {}


def log_fault(error: EmeritusError) -> None:
    """Keep the detail of a server fault, which its caller is not shown."""
    if http_status(error) >= 500 and not isinstance(error, EXPECTED):
        _log.error("%s %s", error.code, error.message, exc_info=error)
