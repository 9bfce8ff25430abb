"""The gateway as an ASGI application, to be mounted at `/v1` beside the site: `Mount("/v1", build_gateway(...))`.

Every wire format has a package of its own; where their addresses coincide, the request's headers decide. Needs no
lifespan of its own; whoever serves it closes the backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from emeritus.answering import Answering
from emeritus.errors import BadRequest, EmeritusError, NotFound
from emeritus.gateway.anthropic import routes as anthropic
from emeritus.gateway.anthropic.operations import operations as anthropic_operations
from emeritus.gateway.backend import GatewayBackend, Limits
from emeritus.gateway.endpoint import Endpoint, Gate
from emeritus.gateway.faults import log_fault
from emeritus.gateway.naming import known_model
from emeritus.gateway.openai import routes as openai
from emeritus.gateway.openai.operations import operations as openai_operations
from emeritus.gateway.openapi import document
from emeritus.gateway.post import Post
from emeritus.gateway.wording import Face


class Gateway:
    """The API. Calls go straight to their endpoints, which need nothing around them; all else takes the router.

    A router with what Starlette puts around it costs a call as much as its admission does.
    """

    def __init__(self, router: Starlette) -> None:
        self._router = router
        self._endpoints = {
            route.path: route.app
            for route in router.routes
            if isinstance(route, Route) and isinstance(route.app, Endpoint)
        }

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Every address."""
        return self._router.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app: ASGIApp = self._router
        if scope["type"] == "http" and scope["method"] == "POST":
            app = self._endpoints.get(scope["path"].removeprefix(scope.get("root_path", "")), app)
        await app(scope, receive, send)

    def before(self, rest: ASGIApp, path: str) -> ASGIApp:
        """`rest`, with what is below that path answered here, as though mounted there."""

        async def either(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not scope["path"].startswith(f"{path}/"):
                await rest(scope, receive, send)
                return
            await self({**scope, "root_path": scope.get("root_path", "") + path}, receive, send)

        return either


def build_gateway(backend: GatewayBackend, limits: Limits, answering: Answering | None = None) -> Gateway:
    """The API over `backend`; with `answering` also files and batches."""
    gate = Gate(backend, limits)
    post = None if answering is None else Post(backend, answering, limits.max_body_bytes)
    faces: Sequence[Face] = (
        anthropic.FACE,
        openai.FACE,
    )  # the first that claims a request has it; OpenAI's claims every one

    def face_of(request: Request) -> Face:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        return next(face for face in faces if face.claims(path, request.headers))

    async def models(request: Request) -> Response:
        face_of(request).check(request.headers)
        return face_of(request).models(await asyncio.to_thread(backend.models), request)

    async def model(request: Request) -> Response:
        face_of(request).check(request.headers)
        info = await asyncio.to_thread(known_model, backend, request.path_params["name"])
        return face_of(request).model(info, request)

    async def on_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, EmeritusError):
            return await on_fault(request, error)
        log_fault(error)
        return face_of(request).refuse(error)

    async def on_fault(request: Request, _error: Exception) -> Response:
        return face_of(request).refuse(EmeritusError(""))  # the server logs it with its trace

    async def on_http(request: Request, error: Exception) -> Response:
        """What the router refuses: unknown addresses and methods."""
        if not isinstance(error, HTTPException):
            return await on_fault(request, error)
        if error.status_code == 405:
            named: EmeritusError = BadRequest(f"{request.method} is not answered here", remedy="See docs/api.md.")
        elif error.status_code == 404:
            named = NotFound("there is nothing at this address", remedy="See docs/api.md for what the API answers.")
        else:
            named = BadRequest(str(error.detail))
        response = face_of(request).refuse(named, error.status_code)
        response.headers.update(error.headers or {})
        return response

    operations = [*openai_operations(post is not None), *anthropic_operations(post is not None)]
    described: list[bytes] = []

    async def description(_request: Request) -> Response:
        if not described:  # made when first asked for: it takes longer than a request should hold up others
            described.append(await asyncio.to_thread(document, operations))
        return Response(described[0], media_type="application/json")

    routes: list[BaseRoute] = [
        Route("/openapi.json", description, methods=["GET"]),
        Route("/models", models, methods=["GET"]),
        Route("/models/{name:path}", model, methods=["GET"]),
        *openai.routes(gate, post),
        *anthropic.routes(gate, post),
    ]
    router = Starlette(
        routes=routes, exception_handlers={EmeritusError: on_error, HTTPException: on_http, Exception: on_fault}
    )
    router.router.redirect_slashes = False
    return Gateway(router)
