"""An endpoint that answers with what a resident produces: one parser and one face over the way every call takes.

The caller's leaving cancels the answer it asked for; a load under way belongs to the residency and goes on.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from emeritus.errors import EmeritusError
from emeritus.gateway.backend import GatewayBackend, Limits
from emeritus.gateway.calls import Calls
from emeritus.gateway.connection import CallerGone, while_connected
from emeritus.gateway.faults import log_fault
from emeritus.gateway.notices import answer_headers, model_path
from emeritus.gateway.reading import body_of, read_body
from emeritus.gateway.streaming import StreamedAnswer
from emeritus.gateway.wording import Face, Parse


class Gate:
    """What endpoints share: the backend, the limits, the way of a call."""

    def __init__(self, backend: GatewayBackend, limits: Limits) -> None:
        self.backend = backend
        self.limits = limits
        self.calls = Calls(backend, limits)


class Endpoint:
    """One address that answers calls, as an ASGI application: it needs nothing around it."""

    def __init__(self, gate: Gate, face: Face, parse: Parse) -> None:
        self._gate = gate
        self._face = face
        self._parse = parse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it in the vendor's words. A defect of ours is answered, and raised."""
        try:
            response = await self._response(scope, receive)
        except (ClientDisconnect, CallerGone):
            response = Response(status_code=499)  # nobody reads it
        except EmeritusError as error:
            log_fault(error)
            response = self._face.refuse(error)
        except Exception:
            await self._face.refuse(EmeritusError(""))(scope, receive, send)
            raise
        await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> ASGIApp:
        limits, headers = self._gate.limits, Headers(scope=scope)
        self._face.check(headers)
        body = await read_body(body_of(receive), headers.get("content-length"), limits.max_body_bytes)
        call, render = self._parse(body)
        info, admission, note = await self._gate.calls.admit(self._face.key(headers), call.model)
        rendering = render(info)
        told = answer_headers(info, model_path(scope, info.name), note)
        told = {**told, **self._face.limits(admission.limits), **rendering.headers}
        if call.stream:
            return StreamedAnswer(self._gate.calls.pieces(call, admission), rendering, self._face, told, limits)
        answers = await while_connected(receive, self._gate.calls.answers(call, admission))
        return Response(rendering.whole(answers), headers=told, media_type="application/json")
