"""`/v1/messages/batches`: messages answered together, their results as JSONL in the order in which they were asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

from anthropic.types.messages import DeletedMessageBatch, MessageBatch, MessageBatchRequestCounts
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from emeritus.correspondence.service import NewBatch, NewLine, Result
from emeritus.correspondence.views import BatchView, Sender
from emeritus.errors import BadRequest, NotFound, RuleError
from emeritus.gateway.anthropic.face import AnthropicFace
from emeritus.gateway.anthropic.messages import parse
from emeritus.gateway.anthropic.models import LARGEST_PAGE, PAGE
from emeritus.gateway.anthropic.wire import as_json, request_id
from emeritus.gateway.bodies import refusal
from emeritus.gateway.post import Asked, Post, page, read_json
from emeritus.gateway.reading import read_body

WIRE = "/v1/messages"
MOST_LINES = 100_000  # Anthropic's bound
WITHIN = timedelta(hours=24)
JSONL = "application/x-jsonl"
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


P = TypeVar("P")


class BatchedMessage(BaseModel, Generic[P]):
    """One request of a batch. `P` is the message's: read as it comes, and described as the endpoint's own."""

    model_config = ConfigDict(strict=True, extra="forbid")

    custom_id: str
    params: P


class BatchesBody(BaseModel, Generic[P]):
    """What makes a batch."""

    model_config = ConfigDict(strict=True, extra="forbid")

    requests: list[BatchedMessage[P]]


class BatchPage(BaseModel):
    """A page of batches, the newest first."""

    data: list[MessageBatch]
    has_more: bool
    first_id: str | None
    last_id: str | None


class MessageBatches:
    """The endpoints of batches of messages."""

    def __init__(self, post: Post, face: AnthropicFace) -> None:
        self._post = post
        self._face = face

    async def create(self, request: Request) -> Response:
        """`POST /messages/batches`."""
        sender = await self._sender(request)
        most = self._post.answering.most_file_bytes
        body = await read_body(request.stream(), request.headers.get("content-length"), most)
        key = self._face.key(request.headers)
        view = await asyncio.to_thread(self._create, key, sender, body)
        return _answer(_batch(view, _base(request)))

    async def index(self, request: Request) -> Response:
        """`GET /messages/batches`."""
        sender, query = await self._sender(request), request.query_params
        if "after_id" in query and "before_id" in query:
            raise BadRequest("after_id and before_id do not go together", param="before_id")
        limit = page(query, LARGEST_PAGE, PAGE)

        def read() -> tuple[list[BatchView], bool]:
            return self._post.kept.batches(
                sender.owner, (WIRE,), after=query.get("after_id"), before=query.get("before_id"), limit=limit
            )

        views, more = await asyncio.to_thread(read)
        data = [_batch(each, _base(request)) for each in views]
        ends = (data[0].id, data[-1].id) if data else (None, None)
        return _answer(BatchPage(data=data, has_more=more, first_id=ends[0], last_id=ends[1]))

    async def show(self, request: Request) -> Response:
        """`GET /messages/batches/{id}`."""
        return _answer(_batch(await self._view(request), _base(request)))

    async def cancel(self, request: Request) -> Response:
        """`POST /messages/batches/{id}/cancel`."""
        view = await self._view(request)
        view = await asyncio.to_thread(self._post.kept.cancel, view.owner, view.id)
        return _answer(_batch(view, _base(request)))

    async def erase(self, request: Request) -> Response:
        """`DELETE /messages/batches/{id}`."""
        view = await self._view(request)
        await asyncio.to_thread(self._post.kept.delete, view.owner, view.id)
        return _answer(DeletedMessageBatch(id=view.id, type="message_batch_deleted"))

    async def results(self, request: Request) -> Response:
        """`GET /messages/batches/{id}/results`."""
        view = await self._view(request)
        if view.state == "open":
            raise RuleError(f"{view.id!r} has not ended", remedy="Ask again once its processing_status is 'ended'.")
        headers = {"request-id": request_id(), "Cache-Control": "no-store"}
        return StreamingResponse(self._lines(view), media_type=JSONL, headers=headers)

    def _create(self, key: str | None, sender: Sender, body: bytes) -> BatchView:
        lines = read_requests(self._post, body)
        new = NewBatch(WIRE, self._post.kept.clock() + WITHIN, "msgbatch_")
        return self._post.kept.batch(sender.owner, self._post.take(key, sender, lines, new, WITHIN))

    def _lines(self, view: BatchView) -> Iterator[bytes]:
        for result in self._post.kept.results(view.id):
            value = {"custom_id": result.custom_id, "result": self._result(view, result)}
            yield json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    def _result(self, view: BatchView, result: Result) -> dict[str, Any]:
        token = hashlib.sha256(f"{view.id}:{result.number}".encode()).hexdigest()[:24]
        if result.state == "answered":
            return {"type": "succeeded", "message": {**self._post.worded(result, parse), "id": f"msg_{token}"}}
        if result.state != "failed":
            return {"type": "expired" if result.state == "expired" else "canceled"}
        told = result.error or {}
        status = int(told.get("status", 500))
        details = {"error_code": told.get("code"), "remedy": told.get("remedy"), "param": told.get("param")}
        fact = {
            "type": _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error"),
            "message": f"{told.get('message')}. {told.get('remedy')}",
            "details": details,
        }
        return {"type": "errored", "error": {"type": "error", "error": fact, "request_id": f"req_{token}"}}

    async def _view(self, request: Request) -> BatchView:
        sender, name = await self._sender(request), request.path_params["name"]
        view = await asyncio.to_thread(self._post.kept.batch, sender.owner, name)
        if view.wire != WIRE:
            raise NotFound(f"{name!r} is no batch of messages")
        return view

    async def _sender(self, request: Request) -> Sender:
        self._face.check(request.headers)
        return await asyncio.to_thread(self._post.answering.holder, self._face.key(request.headers))


def read_requests(post: Post, body: bytes) -> list[NewLine]:
    """Every request of a batch. Raises BadRequest naming the first ones that are wrong."""
    read_json(body)
    try:
        asked = BatchesBody[dict[str, Any]].model_validate_json(body)
    except ValidationError as error:
        raise refusal(error) from error
    if not 0 < len(asked.requests) <= MOST_LINES:
        raise BadRequest(f"requests has 1 to {MOST_LINES} entries", param="requests")
    lines, problems = post.read((Asked(each.custom_id, each.params) for each in asked.requests), parse)
    if problems:
        told = "; ".join(f"requests.{each.line}: {each.error.message}" for each in problems[:10])
        raise BadRequest(f"{told}{' ...' if len(problems) > 10 else ''}", param=f"requests.{problems[0].line}")
    return lines


def _batch(view: BatchView, base: str) -> MessageBatch:
    """A batch in Anthropic's shape."""
    counts, ended = view.counts, view.state != "open"
    status: Literal["in_progress", "canceling", "ended"] = "ended" if ended else "in_progress"
    if not ended and view.cancelled_at is not None:
        status = "canceling"
    return MessageBatch(
        id=view.id,
        type="message_batch",
        processing_status=status,
        request_counts=MessageBatchRequestCounts(
            processing=counts.left,
            succeeded=counts.answered,
            errored=counts.failed,
            canceled=counts.cancelled,
            expired=counts.expired,
        ),
        created_at=datetime.fromisoformat(view.created_at),
        expires_at=datetime.fromisoformat(view.deadline),
        ended_at=None if view.ended_at is None else datetime.fromisoformat(view.ended_at),
        cancel_initiated_at=None if view.cancelled_at is None else datetime.fromisoformat(view.cancelled_at),
        archived_at=None,
        results_url=f"{base}/{view.id}/results" if ended else None,
    )


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}/messages/batches"


def _answer(value: BaseModel) -> Response:
    headers = {"request-id": request_id(), "Cache-Control": "no-store"}
    return Response(as_json(value), media_type="application/json", headers=headers)
