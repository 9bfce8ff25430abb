"""Anthropic's face: its headers and keys, its errors, its model objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from emeritus.access.limits import LimitState
from emeritus.errors import BadKey, BadRequest, EmeritusError
from emeritus.gateway.anthropic.models import card_of, page_of
from emeritus.gateway.anthropic.refusals import refusal_body
from emeritus.gateway.anthropic.wire import as_json, request_id
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.faults import error_headers
from emeritus.gateway.keys import bearer
from emeritus.gateway.limiting import tightest
from emeritus.gateway.notices import notice_headers, rfc3339
from emeritus.statuses import http_status

VERSIONS = (
    "2023-06-01",
    "2026-10-21",
)  # of Anthropic's API: the later only drops fields, and what it drops is kept here
OWN = ("anthropic-version", "x-api-key")  # headers that only Anthropic's clients send


class AnthropicFace:
    """A `Face`."""

    def claims(self, path: str, headers: Headers) -> bool:
        """What only Anthropic has an address for, and whatever its clients ask."""
        return path == "/messages" or path.startswith("/messages/") or any(name in headers for name in OWN)

    def check(self, headers: Headers) -> None:
        """Raises BadRequest for another version of the API."""
        asked = headers.get("anthropic-version")
        if asked is not None and asked not in VERSIONS:
            raise BadRequest(
                f"version {asked[:40]!r} of Anthropic's API is not spoken here",
                remedy=f"Send `anthropic-version: {VERSIONS[-1]}`.",
                param="anthropic-version",
            )

    def key(self, headers: Headers) -> str | None:
        """The key of `x-api-key`, or else the bearer key."""
        sent = headers.get("x-api-key")
        if sent is None:
            return bearer(headers.get("authorization"))
        if not sent.strip():
            raise BadKey("the x-api-key header carries no key")
        return sent.strip()

    def limits(self, limits: Sequence[LimitState]) -> Mapping[str, str]:
        """`anthropic-ratelimit-*`, for requests and for tokens."""
        found: dict[str, str] = {}
        now = datetime.now(UTC)
        for unit, state in tightest(limits).items():
            found[f"anthropic-ratelimit-{unit}-limit"] = str(state.limit)
            found[f"anthropic-ratelimit-{unit}-remaining"] = str(state.left)
            found[f"anthropic-ratelimit-{unit}-reset"] = str(rfc3339(now + timedelta(seconds=state.resets_in_s)))
        return found

    def refuse(self, error: EmeritusError, status: int | None = None) -> Response:
        """An error response."""
        identity = request_id()
        headers = {"request-id": identity, **error_headers(error)}
        body = as_json(refusal_body(error, identity))
        return Response(body, status or http_status(error), headers, media_type="application/json")

    def models(self, infos: Sequence[ModelInfo], request: Request) -> Response:
        """A page of residents."""
        return self._told(as_json(page_of(infos, request.query_params)))

    def model(self, info: ModelInfo, _request: Request) -> Response:
        """One resident, with what is announced of it in headers."""
        return self._told(as_json(card_of(info)), notice_headers(info))

    @staticmethod
    def _told(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        return Response(body, headers={"request-id": request_id(), **(headers or {})}, media_type="application/json")
