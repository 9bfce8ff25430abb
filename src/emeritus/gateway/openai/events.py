"""Server-sent events (WHATWG HTML) as OpenAI's endpoints have them in common: errors, the end."""

from __future__ import annotations

from pydantic import BaseModel

from emeritus.errors import EmeritusError
from emeritus.gateway.openai.refusals import error_body
from emeritus.gateway.openai.wire import as_json

DONE = b"data: [DONE]\n\n"


def event(value: BaseModel) -> bytes:
    """One event."""
    return b"data: " + as_json(value) + b"\n\n"


def failure(error: EmeritusError) -> bytes:
    """The event that ends a stream which had begun."""
    return event(error_body(error))
