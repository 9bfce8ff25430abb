"""An endpoint that answers with what a resident produces: one parser and one face over the way every call takes.

The caller's leaving cancels the answer it asked for; a load under way belongs to the residency and goes on.
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from emeritus.errors import EmeritusError
from emeritus.gateway.backend import GatewayBackend, Limits
from emeritus.gateway.calls import Calls
from emeritus.gateway.connection import CallerGone, while_connected
from emeritus.gateway.faults import log_fault
from emeritus.gateway.notices import answer_headers, model_path
from emeritus.gateway.reading import read_body
from emeritus.gateway.streaming import StreamedAnswer
from emeritus.gateway.wording import Face, Parse


class Gate:
    """What endpoints share: the backend, the limits, the way of a call."""

    def __init__(self, backend: GatewayBackend, limits: Limits) -> None:
        self.backend = backend
        self.limits = limits
        self.calls = Calls(backend, limits)


class Endpoint:
    """One address that answers calls."""

    def __init__(self, gate: Gate, face: Face, parse: Parse) -> None:
        self._gate = gate
        self._face = face
        self._parse = parse

    async def answer(self, request: Request) -> ASGIApp:
        """Answer one request, or refuse it in the vendor's words."""
        try:
            return await self._answer(request)
        except (ClientDisconnect, CallerGone):
            return Response(status_code=499)  # nobody reads it
        except EmeritusError as error:
            log_fault(error)
            return self._face.refuse(error)

    async def _answer(self, request: Request) -> ASGIApp:
        limits = self._gate.limits
        self._face.check(request.headers)
        body = await read_body(request.stream(), request.headers.get("content-length"), limits.max_body_bytes)
        call, render = self._parse(body)
        info, admission, note = await self._gate.calls.admit(self._face.key(request.headers), call.model)
        rendering = render(info)
        told = answer_headers(info, model_path(request, info.name), note)
        headers = {**told, **self._face.limits(admission.limits), **rendering.headers}
        if call.stream:
            said = self._gate.calls.pieces(call, admission)
            return StreamedAnswer(said, rendering, self._face, headers, limits)
        answers = await while_connected(request.receive, self._gate.calls.answers(call, admission))
        return Response(rendering.whole(answers), headers=headers, media_type="application/json")
