"""The page where callers leave words for a model. Nobody signs in for it, and no cookie is set."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from emeritus.lifecycle import queries as lifecycle
from emeritus.lifecycle.words import MAX_WORDS, moderated
from emeritus.web.console.desk import desk_of
from emeritus.web.console.forms import read_form
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page


async def words(request: Request) -> Response:
    """`/residents/{name}/words`: the approved words, and a form to leave some."""
    if request.method != "POST":
        return await run_in_threadpool(_shown, request)
    desk, name = desk_of(request), request.path_params["name"]
    form = await read_form(request)
    address = request.client.host if request.client else ""
    await run_in_threadpool(desk.words.leave, name, form.get("words"), address)
    return RedirectResponse(f"{request.url.path}?left=1#left", status_code=303)


def _shown(request: Request) -> Response:
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as session:
        return page(
            request,
            "words.html",
            resident=lifecycle.resident(session, name),
            words=moderated(session, name),
            rejected=len(moderated(session, name, "rejected")),
            left="left" in request.query_params,
            most=MAX_WORDS,
            open=request.app.state.desk is not None,
        )
