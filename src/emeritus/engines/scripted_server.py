"""The scripted model as a server: `/health`, `/v1/models`, `/v1/chat/completions`, `/v1/completions`, `/v1/messages`
and its `count_tokens`, faults included.

Built on aiohttp.web, because the ground floor does not know the web framework of the faces.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from emeritus.engines.base import Message, Piece, Sampling, Tool, check_request
from emeritus.engines.script import Rule, Script, read_script
from emeritus.errors import BadRequest, ContextTooLong

Json = dict[str, Any]
Asked = tuple[Sequence[Message], Sequence[Tool]]
ANTHROPIC_STOPS = {"stop": "end_turn", "length": "max_tokens"}


class Server:
    """The routes over one script."""

    def __init__(self, script: Script, api_key: str | None = None) -> None:
        self._script = script
        self._api_key = api_key

    def application(self) -> web.Application:
        """The routes, to be run by `web.run_app` or a runner."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/v1/models", self._models),
                web.post("/v1/chat/completions", self._chat),
                web.post("/v1/completions", self._completions),
                web.post("/v1/messages", self._messages),
                web.post("/v1/messages/count_tokens", self._count),
            ]
        )
        return application

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self._script.model, "object": "model"}]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        messages = [Message(each["role"], each["content"] or "") for each in body["messages"]]
        asked = (messages, body.get("tools") or ())
        sampling = Sampling(
            max_tokens=body.get("max_tokens", body.get("max_completion_tokens", 256)),
            temperature=body.get("temperature", 1.0),
            top_p=body.get("top_p", 1.0),
            seed=body.get("seed"),
            stop=tuple(body.get("stop", ())),
            logprobs=body.get("top_logprobs", 0) if body.get("logprobs") else None,
        )
        rule = self._script.rule_for(*asked)
        refusal = self._refusal(request, body, rule) or self._unfit(asked, sampling)
        if refusal is not None:
            return refusal
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": self._name(rule)}
        if not body.get("stream"):
            return await self._whole(request, lambda pieces: _completion(head, pieces), asked, sampling)
        response = await self._begin(request)
        usage: Json = {}
        await _event(response, {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        async for piece in self._faulty((request, response), asked, sampling):
            choice: Json = {"index": 0, "delta": {"content": piece.text}, "finish_reason": piece.finish_reason}
            if piece.finish_reason:
                choice["stop_reason"] = piece.stop_sequence  # vLLM's field
            if piece.logprobs:
                choice["logprobs"] = _logprobs(piece)
            await _event(response, {**head, "choices": [choice]})
            usage = _usage(piece)
        await _event(response, {**head, "choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked: Asked = ([Message("user", body["prompt"])], ())
        sampling = Sampling(
            max_tokens=body.get("max_tokens", 16),
            temperature=body.get("temperature", 1.0),
            top_p=body.get("top_p", 1.0),
            seed=body.get("seed"),
            stop=tuple(body.get("stop", ())),
            logprobs=body.get("logprobs"),
        )
        refusal = self._refusal(request, body, self._script.rule_for(*asked)) or self._unfit(asked, sampling)
        if refusal is not None:
            return refusal
        head = {"id": "cmpl-1", "object": "text_completion", "created": 0, "model": self._script.model}
        if not body.get("stream"):
            return await self._whole(request, lambda pieces: _text_completion(head, pieces), asked, sampling)
        response, usage = await self._begin(request), {}
        async for piece in self._faulty((request, response), asked, sampling):
            await _event(response, {**head, "choices": [_text_choice(piece)]})
            usage = _usage(piece)
        await _event(response, {**head, "choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _count(self, request: web.Request) -> web.Response:
        body = await request.json()
        asked = _anthropic(body)
        refusal = self._refusal(request, body, self._script.rule_for(*asked))
        return refusal or web.json_response({"input_tokens": self._script.count(*asked)})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked = _anthropic(body)
        sampling = Sampling(
            max_tokens=body["max_tokens"],
            temperature=body.get("temperature", 1.0),
            top_p=body.get("top_p", 1.0),
            stop=tuple(body.get("stop_sequences", ())),
        )
        rule = self._script.rule_for(*asked)
        refusal = self._refusal(request, body, rule) or self._unfit(asked, sampling)
        if refusal is not None:
            return refusal
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": self._name(rule)}
        if not body.get("stream"):
            return await self._whole(request, lambda pieces: _message(head, pieces), asked, sampling)
        response = await self._begin(request)
        used = {"input_tokens": self._script.count(*asked), "output_tokens": 0}
        started = {**head, "content": [], "usage": used}
        await _named(response, {"type": "message_start", "message": started})
        block = {"type": "text", "text": ""}
        await _named(response, {"type": "content_block_start", "index": 0, "content_block": block})
        await _named(response, {"type": "ping"})
        async for piece in self._faulty((request, response), asked, sampling):
            delta: Json = {"type": "text_delta", "text": piece.text}
            await _named(response, {"type": "content_block_delta", "index": 0, "delta": delta})
            if piece.finish_reason:
                delta = _anthropic_end(piece)
                usage = {"output_tokens": piece.completion_tokens}
                await _named(response, {"type": "message_delta", "delta": delta, "usage": usage})
        await _named(response, {"type": "message_stop"})
        return response

    def _name(self, rule: Rule) -> str:
        return "somebody-else" if rule.fault == "wrong_model" else self._script.model

    def _refusal(self, request: web.Request, body: Json, rule: Rule) -> web.Response | None:
        """What answers instead of the model, if anything."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.headers.get("x-api-key")
        if self._api_key is not None and given != self._api_key:
            return _error(401, "invalid_api_key", "the key is wrong")
        if body["model"] != self._script.model:
            return _error(404, "model_not_found", f"there is no model {body['model']}")
        match rule.fault:
            case "refuse":
                return _error(403, "refused", "the scripted model refuses this request")
            case "rate_limit":
                return _error(429, "rate_limit_exceeded", "asked too often", {"Retry-After": "7"})
            case "server_error":
                return _error(500, "server_error", "failed on purpose")
        return None

    def _unfit(self, asked: Asked, sampling: Sampling) -> web.Response | None:
        try:
            check_request(asked[0], sampling, asked[1])
            next(self._script.pieces(asked[0], sampling, asked[1]))
        except BadRequest as error:
            return _error(400, "invalid_request_error", error.message)
        except ContextTooLong as error:
            return _error(400, "context_length_exceeded", error.message)
        return None

    async def _whole(
        self, request: web.Request, worded: Callable[[Sequence[Piece]], Json], asked: Asked, sampling: Sampling
    ) -> web.StreamResponse:
        """An answer as one document; a fault strikes when half of it was sent."""
        fault, pieces = self._script.rule_for(*asked).fault, list(self._script.pieces(asked[0], sampling, asked[1]))
        await asyncio.sleep(self._script.token_delay_s * len(pieces))
        body = json.dumps(worded(pieces)).encode()
        if fault not in ("die", "half", "garbage"):
            return web.Response(body=body, content_type="application/json")
        if fault == "garbage":
            return web.Response(body=body[: len(body) // 2], content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        await _fail((request, response), fault)
        return response

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": loading\n\n")  # what a gateway sends while a model wakes; clients skip it
        return response

    async def _faulty(
        self, exchange: tuple[web.Request, web.StreamResponse], asked: Asked, sampling: Sampling
    ) -> AsyncIterator[Piece]:
        """The pieces, until the rule's fault strikes."""
        rule = self._script.rule_for(*asked)
        for said, piece in enumerate(self._script.pieces(asked[0], sampling, asked[1])):
            await asyncio.sleep(self._script.token_delay_s)
            if rule.fault in ("die", "half", "garbage") and (said >= rule.after or piece.finish_reason):
                await _fail(exchange, rule.fault)
            if piece.text or piece.logprobs or piece.finish_reason:
                yield piece


async def _fail(exchange: tuple[web.Request, web.StreamResponse], fault: str) -> None:
    request, response = exchange
    if fault == "die":
        os._exit(3)
    if fault == "garbage":
        await response.write(b'data: {"choices": [{"delta"\n\n')
        return
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("broken off on purpose")


async def _event(response: web.StreamResponse, said: Json) -> None:
    await response.write(f"data: {json.dumps(said, ensure_ascii=False)}\n\n".encode())


async def _named(response: web.StreamResponse, said: Json) -> None:
    await response.write(f"event: {said['type']}\ndata: {json.dumps(said, ensure_ascii=False)}\n\n".encode())


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    error = {"type": code, "code": code, "message": message}
    return web.json_response({"type": "error", "error": error}, status=status, headers=headers)


def _usage(piece: Piece) -> Json:
    total = piece.prompt_tokens + piece.completion_tokens
    return {"prompt_tokens": piece.prompt_tokens, "completion_tokens": piece.completion_tokens, "total_tokens": total}


def _logprobs(*pieces: Piece) -> Json:
    content = [
        {
            "token": each.token,
            "logprob": each.logprob,
            "bytes": None,
            "top_logprobs": [{"token": token, "logprob": value, "bytes": None} for token, value in each.top],
        }
        for piece in pieces
        for each in piece.logprobs
    ]
    return {"content": content}


def _completion(head: Json, pieces: Sequence[Piece]) -> Json:
    message = {"role": "assistant", "content": "".join(piece.text for piece in pieces)}
    choice = {"index": 0, "message": message, "finish_reason": pieces[-1].finish_reason, "logprobs": _logprobs(*pieces)}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(pieces[-1])}


def _message(head: Json, pieces: Sequence[Piece]) -> Json:
    text, last = "".join(piece.text for piece in pieces), pieces[-1]
    usage = {"input_tokens": last.prompt_tokens, "output_tokens": last.completion_tokens}
    return {**head, "content": [{"type": "text", "text": text}], **_anthropic_end(last), "usage": usage}


def _anthropic(body: Json) -> Asked:
    """What an Anthropic request asks, its tools in OpenAI's words."""
    messages = [Message(each["role"], each["content"]) for each in body["messages"]]
    if body.get("system"):
        messages.insert(0, Message("system", body["system"]))
    tools = body.get("tools") or ()
    return messages, [
        {"type": "function", "function": {"name": each["name"], "parameters": each.get("input_schema")}}
        for each in tools
    ]


def _anthropic_end(piece: Piece) -> Json:
    reason = ANTHROPIC_STOPS[piece.finish_reason or "stop"] if piece.stop_sequence is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": piece.stop_sequence}


def _text_choice(*pieces: Piece) -> Json:
    """A choice of `/completions`: log-probabilities as lists side by side."""
    found = [each for piece in pieces for each in piece.logprobs]
    logprobs = {
        "tokens": [each.token for each in found],
        "token_logprobs": [each.logprob for each in found],
        "top_logprobs": [dict(each.top) for each in found],
    }
    return {
        "index": 0,
        "text": "".join(piece.text for piece in pieces),
        "finish_reason": pieces[-1].finish_reason,
        "stop_reason": pieces[-1].stop_sequence,
        "logprobs": logprobs if found else None,
    }


def _text_completion(head: Json, pieces: Sequence[Piece]) -> Json:
    return {**head, "choices": [_text_choice(*pieces)], "usage": _usage(pieces[-1])}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the server until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m emeritus.engines.scripted", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--script", type=Path, help="a .toml or .json script")
    parser.add_argument("--model", help="the model's name, instead of the script's")
    parser.add_argument("--api-key", help="refuse calls without this key")
    chosen = parser.parse_args(arguments)
    script = read_script(chosen.script) if chosen.script else Script()
    if chosen.model:
        script = script.model_copy(update={"model": chosen.model})
    application = Server(script, chosen.api_key).application()
    print(f"scripted model {script.model!r} on http://{chosen.host}:{chosen.port}", file=sys.stderr, flush=True)
    web.run_app(application, host=chosen.host, port=chosen.port, print=None)
