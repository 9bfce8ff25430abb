"""An answer under way as lines of JSON, one object each (application/x-ndjson), for the page's script.

`{"state": "waking" | "thinking"}` says what is going on, `{"text": …}` is the model's alone, `{"end": …}` or
`{"error": …}` is last. Nothing but what the model produced is ever under `text`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from emeritus.engines.base import Answer, Piece
from emeritus.errors import EmeritusError
from emeritus.statuses import http_status
from emeritus.web.chat.backend import Talks
from emeritus.web.chat.wording import plain


class AnswerLines:
    """The lines of one answer, and the refusal in their place."""

    def __init__(self, talks: Talks) -> None:
        self._talks = talks
        self._end: dict[str, Any] = {}

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the response: no cache keeps it, no proxy holds it back."""
        return {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}

    def whole(self, answers: Sequence[Answer]) -> bytes:
        """A whole answer, in one line."""
        return _line({"text": answers[0].text})

    def of(self, _index: int, piece: Piece) -> bytes:
        """What the model produced; and that it is awake, by the first piece, which is empty."""
        if piece.finish_reason is not None:
            self._end = {"reason": piece.finish_reason, "tokens": piece.completion_tokens}
        if piece.text:
            return _line({"text": piece.text})
        return b"" if piece.finish_reason is not None else _line({"state": "thinking"})

    def waiting(self, awake: bool) -> bytes:
        """What is being waited for."""
        return _line({"state": "thinking" if awake else "waking"})

    def end(self) -> bytes:
        """Why it ended, and how long it is."""
        return _line({"end": self._end})

    def failed(self, error: EmeritusError) -> bytes:
        """What ended it early."""
        return _line({"error": plain(error, self._talks.told(error)).as_dict()})

    def refuse(self, error: EmeritusError, status: int | None = None) -> Response:
        """The response to an error that came first."""
        told = plain(error, self._talks.told(error)).as_dict()
        headers = {**self._talks.headers(error), "Cache-Control": "no-store"}
        return JSONResponse({"error": told}, status or http_status(error), headers)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
