"""OpenAI's endpoints as the API's description names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openai.types import Batch, Completion, FileDeleted, FileObject
from openai.types.chat import ChatCompletion

from emeritus.gateway.openai import batches, files
from emeritus.gateway.openai.chat_body import IGNORED, UNUSED, ChatBody
from emeritus.gateway.openai.completions_body import COMPLETION_IGNORED, COMPLETION_UNUSED, CompletionBody
from emeritus.gateway.openai.responses import KeptResponse
from emeritus.gateway.openai.responses_body import RESPONSE_IGNORED, RESPONSE_UNUSED, ResponseBody
from emeritus.gateway.openai.wire import ErrorBody, Model, ModelList
from emeritus.gateway.openapi import Operation


def operations(post: bool = False) -> Sequence[Operation]:
    """All of them; those of files and batches where a post is kept."""
    return (
        *(_posted() if post else ()),
        Operation("get", "/models", "Every resident; wakes nothing.", ModelList, ErrorBody),
        Operation("get", "/models/{id}", "One resident; wakes nothing.", Model, ErrorBody),
        Operation(
            "post",
            "/chat/completions",
            "An answer to a conversation.",
            ChatCompletion,
            ErrorBody,
            ChatBody,
            _unread(UNUSED, IGNORED),
            streams=True,
        ),
        Operation(
            "post",
            "/completions",
            "What follows a raw text.",
            Completion,
            ErrorBody,
            CompletionBody,
            _unread(COMPLETION_UNUSED, COMPLETION_IGNORED),
            streams=True,
        ),
        Operation(
            "post",
            "/responses",
            "An answer as a response of one message.",
            KeptResponse,
            ErrorBody,
            ResponseBody,
            _unread(RESPONSE_UNUSED, RESPONSE_IGNORED),
            streams=True,
        ),
    )


def _posted() -> Sequence[Operation]:
    listed = "Your files, the newest first."
    paged: tuple[Mapping[str, Any], ...] = (
        {"name": "purpose", "in": "query", "schema": {"type": "string"}},
        {"name": "order", "in": "query", "schema": {"enum": ["desc"]}},
        *_paged(files.LARGEST_PAGE),
    )
    return (
        Operation("post", "/files", "Keeps a file.", FileObject, ErrorBody, files.FileForm, form=True, keyed=True),
        Operation("get", "/files", listed, files.FileList, ErrorBody, parameters=paged, keyed=True),
        Operation("get", "/files/{id}", "One file.", FileObject, ErrorBody, keyed=True),
        Operation("delete", "/files/{id}", "Erases a file.", FileDeleted, ErrorBody, keyed=True),
        Operation("get", "/files/{id}/content", "What a file holds.", files.JSONL, ErrorBody, keyed=True),
        Operation("post", "/batches", "Takes a batch in.", Batch, ErrorBody, batches.BatchBody, keyed=True),
        Operation(
            "get",
            "/batches",
            "Your batches, the newest first.",
            batches.BatchList,
            ErrorBody,
            parameters=_paged(batches.LARGEST_PAGE),
            keyed=True,
        ),
        Operation("get", "/batches/{id}", "One batch.", Batch, ErrorBody, keyed=True),
        Operation("post", "/batches/{id}/cancel", "Asks nothing more of a batch.", Batch, ErrorBody, keyed=True),
    )


def _paged(most: int) -> tuple[Mapping[str, Any], ...]:
    return (
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": most}},
        {"name": "after", "in": "query", "schema": {"type": "string"}},
    )


def _unread(unused: Mapping[str, tuple[Any, ...]], ignored: Iterable[str]) -> dict[str, tuple[Any, ...] | None]:
    return {**unused, **dict.fromkeys(ignored)}
