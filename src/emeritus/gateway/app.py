"""The gateway as an ASGI application, to be mounted at `/v1` beside the site: `Mount("/v1", build_gateway(...))`.

Needs no lifespan of its own; whoever serves it closes the backend.
"""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emeritus.errors import EmeritusError
from emeritus.gateway.backend import GatewayBackend, Limits
from emeritus.gateway.chat import Chat
from emeritus.gateway.models import model_of, notice_headers
from emeritus.gateway.naming import known_model
from emeritus.gateway.refusals import on_error, on_fault, on_http
from emeritus.gateway.wire import ModelList


def build_gateway(backend: GatewayBackend, limits: Limits) -> Starlette:
    """The API over `backend`."""

    async def models(_request: Request) -> Response:
        infos = await asyncio.to_thread(backend.models)
        listed = ModelList(object="list", data=[model_of(info) for info in infos])
        return Response(listed.as_json(), media_type="application/json")

    async def model(request: Request) -> Response:
        info = await asyncio.to_thread(known_model, backend, request.path_params["name"])
        return Response(model_of(info).as_json(), headers=notice_headers(info), media_type="application/json")

    gateway = Starlette(
        routes=[
            Route("/models", models, methods=["GET"]),
            Route("/models/{name:path}", model, methods=["GET"]),
            Route("/chat/completions", Chat(backend, limits).complete, methods=["POST"]),
        ],
        exception_handlers={EmeritusError: on_error, HTTPException: on_http, Exception: on_fault},
    )
    gateway.router.redirect_slashes = False
    return gateway
