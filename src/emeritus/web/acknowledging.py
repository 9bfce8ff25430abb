"""The page behind a caller's link: it says what was announced, and a button records that it has been read.

Opening it records nothing: programs that look at mail open every link. Nobody signs in, and no cookie is set.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from emeritus.web.console.desk import desk_of
from emeritus.web.console.forms import read_form
from emeritus.web.rendering import page


async def acknowledge(request: Request) -> Response:
    """`/acknowledge/{token}`."""
    notices, token = desk_of(request).notices, request.path_params["token"]
    if request.method == "POST":
        await read_form(request)
        await run_in_threadpool(notices.use_link, token)
        return RedirectResponse(request.url.path, status_code=303)
    link = await run_in_threadpool(notices.link, token)
    response = await run_in_threadpool(lambda: page(request, "acknowledge.html", link=link))
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
