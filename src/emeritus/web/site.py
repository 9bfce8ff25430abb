"""The site: its routes, its headers and its error pages. `build_site` is all that `cli/serve` calls.

Handlers are plain functions: Starlette runs them in threads, so that a read may block.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from emeritus.errors import EmeritusError, NotFound
from emeritus.lifecycle import queries as lifecycle
from emeritus.residency.status import HouseStatus
from emeritus.statuses import http_status
from emeritus.web import (
    access,
    acknowledging,
    analyses,
    certificates,
    codings,
    equity,
    essays,
    interviews,
    letters,
    register,
    residents,
    safety,
    sampled,
    verify,
    words,
)
from emeritus.web.chat.backend import Talks
from emeritus.web.chat.routes import chat_routes
from emeritus.web.console.desk import Desk
from emeritus.web.console.gate import ANYONE, console_route
from emeritus.web.console.routes import console_routes
from emeritus.web.reader import SiteReader, reader_of
from emeritus.web.rendering import STATIC, page
from emeritus.web.security import SecurityHeaders

_log = logging.getLogger(__name__)
_NOT_FOR_CRAWLERS = ("/v1/", "/console", "/chat", "/acknowledge")
_STATIC_TYPES = {
    "site.css": "text/css",
    "console.css": "text/css",
    "coding.js": "text/javascript",
    "chat.css": "text/css",
    "chat.js": "text/javascript",
    "mark.svg": "image/svg+xml",
}


def build_site(
    reader: SiteReader,
    desk: Desk | None = None,
    house: Callable[[], HouseStatus | None] = lambda: None,
    talks: Talks | None = None,
) -> Starlette:
    """The site over a reader, to be mounted at `/` (its links are absolute paths); with a desk also the console.

    With `talks` as well people can talk with residents. `house` tells how those are who answer, for the check of
    health; None: nobody was asked for.
    """
    site = Starlette(
        routes=[
            Route("/", register.home, name="home"),
            Route("/preferences", register.preferences),
            Route("/equity", equity.equity),
            Route("/questions", equity.questions),
            Route("/transcripts", sampled.sample),
            Route("/about", register.about),
            Route("/access", access.figures),
            console_route("/access/mine", access.mine, ANYONE),
            Route("/access/requests/{secret}", access.status, methods=["GET", "POST"]),
            Route("/letters/{secret}", letters.letter, methods=["GET", "POST"]),
            Route("/residents/{name}/letter", letters.write, methods=["GET", "POST"]),
            Route("/residents/{name}/access", access.ask, methods=["GET", "POST"]),
            Route("/residents/{name}", residents.resident),
            Route("/residents/{name}/report", residents.report),
            Route("/residents/{name}/report.{form}", residents.report_raw),
            Route("/residents/{name}/interviews", interviews.sittings),
            Route("/residents/{name}/certificates/{number:int}", certificates.certificate),
            Route("/residents/{name}/certificates/{number:int}/certificate.json", certificates.certificate_file),
            Route("/residents/{name}/coding", codings.index),
            Route("/residents/{name}/coding/{round}/{place:int}", codings.settled),
            Route("/residents/{name}/words", words.words, methods=["GET", "POST"]),
            Route("/residents/{name}/interviews/{session}", interviews.transcript),
            Route("/residents/{name}/interviews/{session}/journal.jsonl", interviews.journal),
            Route("/residents/{name}/analyses/{analysis}", analyses.analysis),
            Route("/residents/{name}/analyses/{analysis}/turns", analyses.turns),
            Route("/residents/{name}/analyses/{analysis}/{file}.json", analyses.analysis_file),
            Route("/residents/{name}/safety/{plan}", safety.measurement),
            Route("/residents/{name}/safety/{plan}/scenarios.toml", safety.scenarios),
            Route("/residents/{name}/safety/{plan}/{session}", safety.session),
            Route("/residents/{name}/safety/{plan}/{session}/{role}.jsonl", safety.journal),
            Route("/acknowledge/{token}", acknowledging.acknowledge, methods=["GET", "POST"]),
            Route("/protocols/{sha256}", interviews.protocol),
            Route("/essays/", essays.index),
            Route("/essays/feed.atom", essays.feed_atom),
            Route("/essays/feed.json", essays.feed_json),
            Route("/essays/{slug}.txt", essays.raw),
            Route("/essays/{slug}", essays.essay),
            Route("/ledger", verify.entries),
            Route("/ledger/checkpoint", verify.checkpoint),
            Route("/ledger/vkey", verify.verifier_key),
            Route("/ledger/entries/{number:int}", verify.entry),
            Route("/ledger/entries/{number:int}/proof", verify.proof),
            Route("/ledger/entries/{number:int}/envelope.json", verify.envelope),
            Route("/ledger/tile/{path:path}", verify.tile),
            Route("/.well-known/model-eol.json", register.model_eol),
            Route("/healthz", health),
            Route("/robots.txt", robots),
            Route("/static/{name}", static),
            *(console_routes() if desk is not None else ()),
            *(chat_routes() if desk is not None and talks is not None else ()),
        ],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={EmeritusError: emeritus_error, HTTPException: http_error, Exception: unexpected},
    )
    site.state.reader = reader
    site.state.desk = desk
    site.state.house = house
    site.state.talks = talks
    return site


def health(request: Request) -> Response:
    """Whether records and ledger answer, for a load balancer, and what is wrong with the residents that answer.

    503 where a call waits beyond the declared bound; what hangs while others are served is named with 200.
    """
    reader = reader_of(request)
    with reader.session() as session:
        acts = lifecycle.count_acts(session)
    told = {"status": "ok", "ledger_size": reader.ledger.size, "acts": acts}
    house: HouseStatus | None = request.app.state.house()
    if house is None or house.healthy:
        return JSONResponse(told)
    status = HTTPStatus.SERVICE_UNAVAILABLE if house.overdue else HTTPStatus.OK
    return JSONResponse({**told, "status": "impaired", "problems": list(house.problems)}, status)


def robots(request: Request) -> Response:
    """Everything public may be read by anyone; the API is not for crawlers."""
    return PlainTextResponse("User-agent: *\n" + "".join(f"Disallow: {each}\n" for each in _NOT_FOR_CRAWLERS))


def static(request: Request) -> Response:
    """One of the site's own files, by name."""
    name = request.path_params["name"]
    if name not in _STATIC_TYPES:
        raise NotFound(f"there is no file {name!r}")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"} if request.url.query else None
    return FileResponse(STATIC / name, media_type=_STATIC_TYPES[name], headers=headers)


def emeritus_error(request: Request, error: Exception) -> Response:
    """An error with a code: what happened and what to do."""
    if not isinstance(error, EmeritusError):
        raise error
    status = http_status(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s on %s: %s", error.code, request.url.path, error)
        return page(  # the message may name files and addresses of this machine, so the page keeps to the code
            request, "error.html", status=status, code=error.code, title=error.title, message="", remedy=_OURS
        )
    remedy = _YOURS if "`" in error.remedy else error.remedy  # a command is for those who work here
    return page(
        request, "error.html", status=status, code=error.code, title=error.title, message=error.message, remedy=remedy
    )


def http_error(request: Request, error: Exception) -> Response:
    """A wrong address or method."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Page not found" if status == HTTPStatus.NOT_FOUND else HTTPStatus(status).phrase
    message = f"There is no page at {request.url.path}." if status == HTTPStatus.NOT_FOUND else ""
    return page(
        request, "error.html", status=status, code=str(int(status)), title=title, message=message, remedy=_YOURS
    )


def unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours without a code; Starlette logs the trace."""
    return page(request, "error.html", status=500, code="EM000", title="Something broke", message="", remedy=_OURS)


_YOURS = "The register lists every resident, and the essays and the ledger have pages of their own."
_OURS = (
    "The fault is ours and has been logged. Try again in a moment; if it stays, tell the organisation the code above."
)
