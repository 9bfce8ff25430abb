"""The ledger's pages and its raw files, so that anyone can verify the register without asking us."""

from __future__ import annotations

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

from emeritus.errors import BadRequest, NotFound
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page

_PAGE = 50
# C2SP tlog-tiles: L is a level or "entries", N a number in groups of three digits, .p/W a partial tile's width.
_TILE = re.compile(r"(?:[0-9]{1,2}|entries)/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/[0-9]{1,3})?")
_FULL = "public, max-age=31536000, immutable"


def entries(request: Request) -> Response:
    """`/ledger`: the checkpoint, and the entries newest first; `?before=` pages."""
    reader = reader_of(request)
    before = _number(request.query_params.get("before"))
    with reader.session() as session:
        found = lifecycle.acts(session, limit=_PAGE, before=before)
        return page(
            request,
            "ledger.html",
            vkey=reader.ledger_file("vkey").decode("utf-8", errors="replace").strip(),
            checkpoint=reader.ledger.checkpoint().decode("utf-8", errors="replace"),
            size=reader.ledger.size,
            entries=found,
            newest=lifecycle.acts(session, limit=1),
            older=found[-1].entry if found and found[-1].entry > 0 else None,
            newer=before is not None,
        )


def entry(request: Request) -> Response:
    """`/ledger/entries/{n}`: the signed statement and the proof that it is in the tree."""
    ledger, number = reader_of(request).ledger, request.path_params["number"]
    statement = ledger.statement(number)
    return page(
        request,
        "entry.html",
        number=number,
        size=ledger.size,
        statement=statement,
        predicate=statement["predicate"],
        leaf=hashlib.sha256(b"\x00" + ledger.envelope(number)).hexdigest(),
        proof=ledger.proof(number).decode(),
    )


def envelope(request: Request) -> Response:
    """`/ledger/entries/{n}/envelope.json`: the DSSE envelope as logged; SHA-256 over 0x00 and it is the leaf."""
    body = reader_of(request).ledger.envelope(request.path_params["number"])
    return Response(body, media_type="application/json", headers={"Cache-Control": _FULL})


def proof(request: Request) -> Response:
    """`/ledger/entries/{n}/proof`: a C2SP tlog-proof, to check offline with the verifier key alone."""
    number = request.path_params["number"]
    headers = {"Content-Disposition": f'attachment; filename="entry-{number}.tlog-proof"'}
    body = reader_of(request).ledger.proof(number)
    return Response(body, media_type="text/plain; charset=utf-8", headers=headers)


def checkpoint(request: Request) -> Response:
    """`/ledger/checkpoint`: the signed tree head (C2SP tlog-checkpoint), exactly as stored."""
    return Response(reader_of(request).ledger_file("checkpoint"), media_type="text/plain; charset=utf-8")


def verifier_key(request: Request) -> Response:
    """`/ledger/vkey`: the verifier key line (C2SP signed-note); whoever checks the log pins it from elsewhere."""
    return Response(reader_of(request).ledger_file("vkey"), media_type="text/plain; charset=utf-8")


def tile(request: Request) -> Response:
    """`/ledger/tile/...`: hash tiles and entry bundles (C2SP tlog-tiles), exactly as stored."""
    path = request.path_params["path"]
    if not _TILE.fullmatch(path):
        raise NotFound(f"there is no tile {path!r}", tile=path)
    headers = {} if ".p/" in path else {"Cache-Control": _FULL}
    return Response(
        reader_of(request).ledger_file(f"tile/{path}"), media_type="application/octet-stream", headers=headers
    )


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadRequest(f"before={text!r} is not a number")
    return int(text)
