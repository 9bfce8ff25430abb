"""`POST /v1/chat/completions`: read, admit, wake, answer; the whole answer at once or as a stream.

The caller's leaving cancels the answer it asked for; a load under way belongs to the residency and goes on.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from emeritus.access.policy import Admission, Tokens
from emeritus.engines.base import Answer, Awake, Capabilities, Piece, collect
from emeritus.errors import BadKey, Busy, EngineDied, NotSupported
from emeritus.gateway.backend import GatewayBackend, Limits, ModelInfo
from emeritus.gateway.body import ChatCall, parse_chat, read_body
from emeritus.gateway.chunks import Chunks
from emeritus.gateway.connection import CallerGone, while_connected
from emeritus.gateway.models import answer_headers
from emeritus.gateway.naming import known_model, model_path
from emeritus.gateway.streaming import StreamedAnswer
from emeritus.gateway.wire import AnswerMessage, ChatCompletion, Choice, choice_logprobs, fingerprint, usage

RETRY_SOON_S = 10.0  # a caller whose wait for a wake ended joins the same load by coming back


class Chat:
    """The chat endpoint over one backend."""

    def __init__(self, backend: GatewayBackend, limits: Limits) -> None:
        self._backend = backend
        self._limits = limits

    async def complete(self, request: Request) -> ASGIApp:
        """Answer one chat request. Raises what refuses it."""
        try:
            body = await read_body(request.stream(), request.headers.get("content-length"), self._limits.max_body_bytes)
        except ClientDisconnect:
            return _nobody()
        call = parse_chat(body)
        key = bearer(request.headers.get("authorization"))
        info, admission = await asyncio.to_thread(self._admit, key, call.model)
        identity, created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        headers = {"x-request-id": identity, **answer_headers(info, model_path(request, info.name))}
        if call.stream:
            chunks = Chunks(identity, created, call, fingerprint(info.weights_digest))
            pieces = self._pieces(call, admission, self._limits.stream_wake_timeout_s)
            return StreamedAnswer(pieces, chunks, headers, self._limits)
        try:
            pieces = self._pieces(call, admission, self._limits.wake_timeout_s)
            answer = await while_connected(request.receive, collect(pieces))
        except CallerGone:
            return _nobody()
        completion = _completion(identity, created, call, info, answer)
        return Response(completion.as_json(), headers=headers, media_type="application/json")

    def _admit(self, key: str | None, model: str) -> tuple[ModelInfo, Admission]:
        info = known_model(self._backend, model)
        return info, self._backend.admit(key, info.name)

    async def _pieces(self, call: ChatCall, admission: Admission, wake_timeout_s: float) -> AsyncGenerator[Piece, None]:
        """The answer's pieces, after one empty piece that says the resident is awake. Meters what was used.

        A request counts when its caller got something: any piece of a stream, or the whole of an answer that is not.
        """
        used: Tokens | None = None
        finished = False
        try:
            async with AsyncExitStack() as stack:
                awake = await self._wake(stack, call.model, wake_timeout_s)
                _refuse_unable(awake.can, call)
                yield Piece("")
                pieces = awake.stream(call.messages, call.sampling)
                if isinstance(pieces, AsyncGenerator):
                    stack.push_async_callback(pieces.aclose)  # leaving the iteration cancels the generation
                async for piece in pieces:
                    finished = piece.finish_reason is not None
                    if finished:
                        used = Tokens(piece.prompt_tokens, piece.completion_tokens)
                    elif call.stream and used is None:
                        used = Tokens()
                    yield piece
            if not finished:
                raise EngineDied(f"{call.model!r} stopped answering without an end")
        finally:
            self._backend.meter(admission, used)

    async def _wake(self, stack: AsyncExitStack, model: str, timeout_s: float) -> Awake:
        try:
            async with asyncio.timeout(timeout_s) as waiting:
                return await stack.enter_async_context(self._backend.awake(model))
        except TimeoutError as error:
            if not waiting.expired():
                raise
            raise Busy(
                f"{model!r} is still waking after {timeout_s:g} s",
                remedy="Send the request again: the load goes on meanwhile. A streamed request waits longer.",
                retry_after_s=min(timeout_s, RETRY_SOON_S),
            ) from error


def bearer(authorization: str | None) -> str | None:
    """The key of an Authorization header, None when there is no header. Raises BadKey when it is of another scheme."""
    if authorization is None:
        return None
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise BadKey("the Authorization header carries no bearer key")
    return key.strip()


def _refuse_unable(can: Capabilities, call: ChatCall) -> None:
    if call.sampling.logprobs is not None and not can.logprobs:
        raise NotSupported(f"{call.model!r} runs on an engine that reports no log-probabilities", param="logprobs")
    if call.sampling.stop and not can.stop:
        raise NotSupported(f"{call.model!r} runs on an engine that knows no stop sequences", param="stop")


def _completion(identity: str, created: int, call: ChatCall, info: ModelInfo, answer: Answer) -> ChatCompletion:
    wanted = call.sampling.logprobs is not None
    choice = Choice(
        index=0,
        message=AnswerMessage(role="assistant", content=answer.text, refusal=None),
        logprobs=choice_logprobs(answer.logprobs) if wanted else None,
        finish_reason=answer.finish_reason,
    )
    return ChatCompletion(
        id=identity,
        object="chat.completion",
        created=created,
        model=info.name,
        choices=[choice],
        usage=usage(answer.prompt_tokens, answer.completion_tokens),
        system_fingerprint=fingerprint(info.weights_digest),
    )


def _nobody() -> Response:
    """What is returned when the caller has gone: nobody reads it."""
    return Response(status_code=499)
