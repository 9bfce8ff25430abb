"""A revival certificate: what one drill found, in words and figures, and the signed file itself."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emeritus.ledger.keys import VerifyKey
from emeritus.lifecycle import queries as lifecycle
from emeritus.preservation import queries
from emeritus.preservation.certificate import read
from emeritus.web.reader import SiteReader, reader_of
from emeritus.web.rendering import page

_CHANGES = {  # a change of the weights -> what was done, and what its size means
    "noise": "Gaussian noise, {size:g} of each tensor's root mean square",
    "zero": "one tensor all zeros",
    "int8": "every matrix rounded to int8, row by row",
    "flip": "one exponent bit of one weight flipped",
}


def certificate(request: Request) -> Response:
    """`/residents/{name}/certificates/{number}`: one certificate, its signature verified, beside the others."""
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as session:
        found = lifecycle.resident(session, name)
        view = queries.certificate(session, name, request.path_params["number"])
        return page(
            request,
            "certificate.html",
            resident=found,
            view=view,
            said=_said(reader, view),
            others=queries.certificates(session, name, limit=50),
            change=_change,
        )


def certificate_file(request: Request) -> Response:
    """`/residents/{name}/certificates/{number}/certificate.json`: the exact bytes, a DSSE envelope."""
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as session:
        lifecycle.resident(session, name)
        view = queries.certificate(session, name, request.path_params["number"])
    file = f"{name}-{view.source.entry}.certificate.json"
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    return Response(reader.payload(view.payload_sha256), media_type="application/json", headers=headers)


def _said(reader: SiteReader, view: queries.CertificateView) -> dict[str, Any]:
    key = VerifyKey.parse(reader.ledger_file("vkey").decode().strip())
    return read(reader.payload(view.payload_sha256), key)


def _change(kind: str, size: float) -> str:
    """A small change of the weights, in words."""
    return _CHANGES.get(kind, kind).format(size=size)
