"""`POST /v1/chat/completions`: what it reads and how it answers, whole or as server-sent events (WHATWG HTML)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence

from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice, ChoiceLogprobs

from emeritus.engines.base import Answer, Piece
from emeritus.errors import EmeritusError
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.calls import Call, total
from emeritus.gateway.openai.chat_body import ChatCall, parse_chat
from emeritus.gateway.openai.chunks import Chunks
from emeritus.gateway.openai.events import DONE, failure
from emeritus.gateway.openai.wire import as_json, token_logprobs, usage
from emeritus.gateway.standing import comment, fingerprint
from emeritus.gateway.wording import Render


def parse(body: bytes) -> tuple[Call, Render]:
    """A chat request as a call, and how its answer is written. Raises BadRequest."""
    asked = parse_chat(body)
    return asked.call, lambda info: ChatRendering(asked, info)


class ChatRendering:
    """A `Rendering` of one chat answer."""

    def __init__(self, asked: ChatCall, info: ModelInfo) -> None:
        self._call = asked.call
        self._identity, self._created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        self._info, self._fingerprint = info, fingerprint(info.weights_digest)
        self._chunks = Chunks(self._identity, self._created, asked, self._fingerprint)

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's id, where the SDK looks for it."""
        return {"x-request-id": self._identity}

    def whole(self, answers: Sequence[Answer]) -> bytes:
        """A chat completion."""
        used = total(answers, self._call.n)
        completion = ChatCompletion(
            id=self._identity,
            object="chat.completion",
            created=self._created,
            model=self._call.model,
            choices=[self._choice(index, answer) for index, answer in enumerate(answers)],
            usage=usage(used.prompt, used.completion),
            system_fingerprint=self._fingerprint,
        )
        return as_json(completion)

    def of(self, index: int, piece: Piece) -> bytes:
        """Chunks."""
        return self._chunks.of(index, piece)

    def waiting(self, awake: bool) -> bytes:
        """A comment."""
        return comment(self._info, awake) + b"\n"

    def end(self) -> bytes:
        """What they used where asked for, and `[DONE]`."""
        return self._chunks.used() + DONE

    def failed(self, error: EmeritusError) -> bytes:
        """An error event."""
        return failure(error)

    def _choice(self, index: int, answer: Answer) -> Choice:
        wanted = self._call.sampling.logprobs is not None
        return Choice(
            index=index,
            message=ChatCompletionMessage(role="assistant", content=answer.text, refusal=None),
            logprobs=ChoiceLogprobs(content=token_logprobs(answer.logprobs), refusal=None) if wanted else None,
            finish_reason=answer.finish_reason,
        )
