"""`/v1/batches`: requests of a file, answered together, with the answers in a file and the errors in another."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from openai.types import Batch, BatchError, BatchRequestCounts, BatchUsage
from openai.types.batch import Errors
from openai.types.batch_usage import InputTokensDetails, OutputTokensDetails
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from emeritus.correspondence.service import NewBatch, Result, errors_of, output_of
from emeritus.correspondence.views import BatchView, Sender
from emeritus.errors import BadRequest, EmeritusError
from emeritus.gateway.bodies import refusal
from emeritus.gateway.openai.face import OpenAIFace
from emeritus.gateway.openai.files import unix
from emeritus.gateway.openai.wire import ErrorBody, ErrorFact, as_json
from emeritus.gateway.post import Asked, Post, page, read_json
from emeritus.gateway.reading import read_body
from emeritus.gateway.wording import Parse

MOST_LINES = 50_000  # OpenAI's bound
MOST_METADATA = 16
LARGEST_PAGE = 100  # OpenAI's bound
LONGEST = timedelta(days=30)
_WINDOW = re.compile(r"([1-9][0-9]{0,2})([hd])", re.ASCII)
_ENDED = {
    "expired": ("batch_expired", "This request was not answered before the batch's deadline."),
    "cancelled": ("batch_cancelled", "This request was not asked before the batch was cancelled."),
}
_IDENTITIES = {"/v1/chat/completions": "chatcmpl-", "/v1/completions": "cmpl-", "/v1/responses": "resp_"}
Status = Literal["failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]


class BatchBody(BaseModel):
    """What makes a batch."""

    model_config = ConfigDict(strict=True, extra="forbid")

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None


class BatchList(BaseModel):
    """A page of batches, the newest first."""

    object: str
    data: list[Batch]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Batches:
    """The endpoints of batches. `parsers` reads a line's body, by endpoint such as `/v1/chat/completions`."""

    def __init__(self, post: Post, face: OpenAIFace, parsers: Mapping[str, Parse]) -> None:
        self._post = post
        self._face = face
        self._parsers = parsers

    async def create(self, request: Request) -> Response:
        """`POST /batches`."""
        key = self._face.key(request.headers)
        sender = await asyncio.to_thread(self._post.answering.holder, key)
        announced = request.headers.get("content-length")
        body = await read_body(request.stream(), announced, self._post.most_body_bytes)
        try:
            asked = BatchBody.model_validate_json(body)
        except ValidationError as error:
            raise refusal(error) from error
        return await asyncio.to_thread(self._create, key, sender, asked)

    async def index(self, request: Request) -> Response:
        """`GET /batches`."""
        sender, limit = await self._sender(request), page(request.query_params, LARGEST_PAGE, 20)
        return await asyncio.to_thread(self._list, sender, request.query_params.get("after"), limit)

    async def show(self, request: Request) -> Response:
        """`GET /batches/{id}`."""
        sender = await self._sender(request)
        return await asyncio.to_thread(self._show, sender, request.path_params["name"])

    async def cancel(self, request: Request) -> Response:
        """`POST /batches/{id}/cancel`."""
        sender, name = await self._sender(request), request.path_params["name"]
        await asyncio.to_thread(self._known, sender, name)
        await asyncio.to_thread(self._post.kept.cancel, sender.owner, name)
        return await asyncio.to_thread(self._show, sender, name)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _create(self, key: str | None, sender: Sender, asked: BatchBody) -> Response:
        parse = self._parsers.get(asked.endpoint)
        if parse is None:
            raise BadRequest(f"endpoint is one of {', '.join(self._parsers)}", param="endpoint")
        within = _within(asked.completion_window)
        metadata = {"window": asked.completion_window, "given": _metadata(asked.metadata)}
        view = self._post.kept.file(sender.owner, asked.input_file_id)
        if view.purpose != "batch":
            raise BadRequest("this file is not for batches", param="input_file_id")
        path = self._post.kept.payloads.file(view.id)
        lines, problems = self._post.read(lines_of(path, asked.endpoint, self._post.most_body_bytes), parse)
        told = [_problem(each.line + 1, each.error) for each in problems]
        if not lines and not told:
            told = [_problem(1, BadRequest("the file holds no request"))]
        new = NewBatch(
            asked.endpoint, self._post.kept.clock() + within, input_file=view.id, metadata=metadata, problems=told
        )
        kept, post = self._post.kept, self._post
        made = kept.create(sender, new, []) if told else post.take(key, sender, lines, new, within)
        return _answer(self._worded(self._post.kept.batch(sender.owner, made)))

    def _list(self, sender: Sender, after: str | None, limit: int) -> Response:
        views, more = self._post.kept.batches(sender.owner, tuple(self._parsers), after=after, limit=limit)
        data = [self._worded(each) for each in views]
        ends = (data[0].id, data[-1].id) if data else (None, None)
        return _answer(BatchList(object="list", data=data, first_id=ends[0], last_id=ends[1], has_more=more))

    def _show(self, sender: Sender, name: str) -> Response:
        return _answer(self._worded(self._known(sender, name)))

    def _known(self, sender: Sender, name: str) -> BatchView:
        view = self._post.kept.batch(sender.owner, name)
        if view.wire not in self._parsers:
            raise BadRequest(f"{name!r} is no batch of this API's", param="batch_id")
        return view

    def _worded(self, view: BatchView) -> Batch:
        """A batch in OpenAI's shape; of one that has ended the files are written first."""
        if view.state not in ("open", "failed") and view.results is None:
            view = self._post.kept.bring(view, lambda results: self._files(view, list(results)))
        return batch_object(view)

    def _files(self, view: BatchView, results: list[Result]) -> tuple[Iterable[bytes], Iterable[bytes]]:
        return (
            (self._answered(view, each) for each in results if each.state == "answered"),
            (_other(view, each) for each in results if each.state != "answered"),
        )

    def _answered(self, view: BatchView, result: Result) -> bytes:
        token = _token(view, result)
        body = self._post.worded(result, self._parsers[view.wire])
        body["id"] = f"{_IDENTITIES[view.wire]}{token}"
        body["created_at" if view.wire == "/v1/responses" else "created"] = unix(result.at or view.created_at)
        return _line(view, result, {"status_code": 200, "request_id": f"req_{token}", "body": body}, None)

    async def _sender(self, request: Request) -> Sender:
        return await asyncio.to_thread(self._post.answering.holder, self._face.key(request.headers))


def batch_object(view: BatchView) -> Batch:
    """A batch in OpenAI's shape."""
    status, counts = _status(view), view.counts
    ended = None if view.ended_at is None else unix(view.ended_at)
    written = view.results == "written"
    failed = counts.failed + counts.expired + counts.cancelled
    return Batch(
        id=view.id,
        object="batch",
        endpoint=view.wire,
        model=view.residents[0] if len(view.residents) == 1 else None,
        errors=None
        if not view.problems
        else Errors(object="list", data=[BatchError(**each) for each in view.problems]),
        input_file_id=view.input_file or "",
        completion_window=(view.metadata or {}).get("window", "24h"),
        status=status,
        output_file_id=output_of(view.id) if written and counts.answered else None,
        error_file_id=errors_of(view.id) if written and failed else None,
        created_at=unix(view.created_at),
        in_progress_at=None if view.state == "failed" else unix(view.created_at),
        expires_at=unix(view.deadline),
        finalizing_at=ended if view.state == "completed" else None,
        completed_at=ended if status == "completed" else None,
        failed_at=ended if status == "failed" else None,
        expired_at=ended if status == "expired" else None,
        cancelling_at=None if view.cancelled_at is None else unix(view.cancelled_at),
        cancelled_at=ended if status == "cancelled" else None,
        request_counts=BatchRequestCounts(total=counts.total, completed=counts.answered, failed=failed),
        usage=BatchUsage(
            input_tokens=view.prompt_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=0),
            output_tokens=view.completion_tokens,
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
            total_tokens=view.prompt_tokens + view.completion_tokens,
        ),
        metadata=(view.metadata or {}).get("given"),
    )


def _status(view: BatchView) -> Status:
    if view.state == "open":
        return "in_progress" if view.cancelled_at is None else "cancelling"
    if view.state != "failed" and view.results is None:
        return "finalizing"
    found: Status = next(each for each in get_args(Status) if each == view.state)
    return found


def lines_of(path: Path, endpoint: str, most: int) -> Iterator[Asked | EmeritusError]:
    """The requests of a file, as they stand there, one for each line; blank lines at its end are none."""
    with path.open("rb") as file:
        number = blank = 0
        while line := file.readline(most + 1):
            if len(line) > most:
                yield BadRequest(f"the line is longer than {most} bytes")
                return
            if not line.strip():
                blank += 1
                continue
            while blank:
                blank -= 1
                yield BadRequest("the line is blank")
            number += 1
            if number > MOST_LINES:
                yield BadRequest(f"a batch has at most {MOST_LINES} requests")
                return
            try:
                yield _asked(read_json(line), endpoint)
            except BadRequest as error:
                yield error


def _asked(found: Any, endpoint: str) -> Asked:
    if not isinstance(found, dict):
        raise BadRequest("the line is no JSON object")
    unknown = sorted(set(found) - {"custom_id", "method", "url", "body"})
    if unknown:
        raise BadRequest(f"{unknown[0][:80]!r} is no field of a line", param=unknown[0][:80])
    if found.get("method", "POST") != "POST":
        raise BadRequest("method is POST", param="method")
    if found.get("url") != endpoint:
        raise BadRequest(f"url is not the batch's endpoint {endpoint}", param="url")
    return Asked(found.get("custom_id"), found.get("body"))


def _problem(line: int, error: EmeritusError) -> dict[str, Any]:
    param = error.facts.get("param")
    message = f"{error.message}. {error.remedy}"
    return {"code": error.code, "line": line, "message": message, "param": None if param is None else str(param)}


def _other(view: BatchView, result: Result) -> bytes:
    if result.state in _ENDED:
        code, message = _ENDED[result.state]
        return _line(view, result, None, {"code": code, "message": message})
    told = result.error or {}
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    status = int(told.get("status", 500))
    fact = ErrorFact(
        message=f"{told.get('message')}. {told.get('remedy')}",
        type=kinds.get(status, "invalid_request_error") if status < 500 else "server_error",
        param=told.get("param"),
        code=told.get("code"),
        remedy=str(told.get("remedy")),
    )
    body = json.loads(as_json(ErrorBody(error=fact)))
    return _line(view, result, {"status_code": status, "request_id": f"req_{_token(view, result)}", "body": body}, None)


def _line(view: BatchView, result: Result, response: Any, error: Any) -> bytes:
    value = {
        "id": f"batch_req_{_token(view, result)}",
        "custom_id": result.custom_id,
        "response": response,
        "error": error,
    }
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _token(view: BatchView, result: Result) -> str:
    return hashlib.sha256(f"{view.id}:{result.number}".encode()).hexdigest()[:24]


def _within(window: str) -> timedelta:
    found = _WINDOW.fullmatch(window)
    wanted = None if found is None else timedelta(hours=int(found[1]) * (1 if found[2] == "h" else 24))
    if wanted is None or wanted > LONGEST:
        raise BadRequest("completion_window is a time such as '24h' or '7d', at most 30d", param="completion_window")
    return wanted


def _metadata(given: dict[str, str] | None) -> dict[str, str] | None:
    if given is None:
        return None
    if len(given) > MOST_METADATA or any(not 0 < len(key) <= 64 or len(value) > 512 for key, value in given.items()):
        raise BadRequest("metadata has at most 16 names of 64 characters, with values of 512", param="metadata")
    return given


def _answer(value: BaseModel) -> Response:
    return Response(as_json(value), media_type="application/json", headers={"Cache-Control": "no-store"})
