"""OpenAI's face: bearer keys, its errors, its model objects."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from emeritus.access.limits import LimitState
from emeritus.errors import EmeritusError
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.faults import error_headers
from emeritus.gateway.keys import bearer
from emeritus.gateway.limiting import seconds, tightest
from emeritus.gateway.notices import notice_headers
from emeritus.gateway.openai.models import model_of
from emeritus.gateway.openai.refusals import error_body
from emeritus.gateway.openai.wire import ModelList, as_json
from emeritus.statuses import http_status


class OpenAIFace:
    """A `Face`. It claims every request, so that it stands last."""

    def claims(self, _path: str, _headers: Headers) -> bool:
        """All of them: whatever is unknown here is answered in OpenAI's words."""
        return True

    def check(self, _headers: Headers) -> None:
        """Nothing: OpenAI's headers choose nothing that is not followed."""

    def key(self, headers: Headers) -> str | None:
        """The bearer key."""
        return bearer(headers.get("authorization"))

    def limits(self, limits: Sequence[LimitState]) -> Mapping[str, str]:
        """`x-ratelimit-*`, for requests and for tokens."""
        found: dict[str, str] = {}
        for unit, state in tightest(limits).items():
            found[f"x-ratelimit-limit-{unit}"] = str(state.limit)
            found[f"x-ratelimit-remaining-{unit}"] = str(state.left)
            found[f"x-ratelimit-reset-{unit}"] = seconds(state.resets_in_s)
        return found

    def refuse(self, error: EmeritusError, status: int | None = None) -> Response:
        """An error response."""
        headers = {"x-request-id": f"req_{secrets.token_hex(12)}", **error_headers(error)}
        return Response(
            as_json(error_body(error)), status or http_status(error), headers, media_type="application/json"
        )

    def models(self, infos: Sequence[ModelInfo], _request: Request) -> Response:
        """Every resident."""
        listed = ModelList(object="list", data=[model_of(info) for info in infos])
        return Response(as_json(listed), media_type="application/json")

    def model(self, info: ModelInfo, _request: Request) -> Response:
        """One resident, with what is announced of it in headers."""
        return Response(as_json(model_of(info)), headers=notice_headers(info), media_type="application/json")
