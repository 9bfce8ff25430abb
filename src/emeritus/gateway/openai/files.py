"""`/v1/files`: the JSONL of batches, sent, listed, read and erased. Only whose key sent them sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from datetime import datetime
from typing import IO, Literal

from openai.types import FileDeleted, FileObject
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from emeritus.correspondence.views import FileView, Sender
from emeritus.errors import BadRequest, RequestTooLarge
from emeritus.gateway.openai.face import OpenAIFace
from emeritus.gateway.openai.wire import as_json
from emeritus.gateway.post import Post, page

BLOCK = 1 << 20
JSONL = "application/jsonl"
LARGEST_PAGE = 10_000  # OpenAI's bound, and what it gives unasked
FIELDS_BYTES = 64 << 10  # of a form beside its file


class FileForm(BaseModel):
    """The form that brings a file, as it is described; `read_form` reads it as it comes."""

    model_config = ConfigDict(extra="forbid")

    file: bytes
    purpose: Literal["batch"]


class FileList(BaseModel):
    """A page of files, the newest first."""

    object: str
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Files:
    """The endpoints of files."""

    def __init__(self, post: Post, face: OpenAIFace) -> None:
        self._post = post
        self._face = face

    async def send(self, request: Request) -> Response:
        """`POST /files`."""
        sender = await self._sender(request)
        most = self._post.answering.most_file_bytes
        form, upload = await read_form(request.headers, request.stream(), most)
        try:
            name = upload.filename or "upload.jsonl"
            view = await asyncio.to_thread(self._post.kept.add_file, sender.owner, name, _blocks(upload.file))
        finally:
            await form.close()
        return _answer(file_object(view))

    async def index(self, request: Request) -> Response:
        """`GET /files`."""
        sender, query = await self._sender(request), request.query_params
        purpose = query.get("purpose")
        if query.get("order", "desc") != "desc":
            raise BadRequest("files are listed the newest first", param="order")
        limit = page(query, LARGEST_PAGE, LARGEST_PAGE)
        files, more = await asyncio.to_thread(self._post.kept.files, sender.owner, purpose, query.get("after"), limit)
        data = [file_object(each) for each in files]
        ends = (data[0].id, data[-1].id) if data else (None, None)
        return _answer(FileList(object="list", data=data, first_id=ends[0], last_id=ends[1], has_more=more))

    async def show(self, request: Request) -> Response:
        """`GET /files/{id}`."""
        return _answer(file_object(await self._view(request)))

    async def content(self, request: Request) -> Response:
        """`GET /files/{id}/content`."""
        view = await self._view(request)
        path = await asyncio.to_thread(self._post.kept.payloads.file, view.id)
        return FileResponse(path, media_type=JSONL, headers={"Cache-Control": "no-store"})

    async def erase(self, request: Request) -> Response:
        """`DELETE /files/{id}`."""
        sender, name = await self._sender(request), request.path_params["name"]
        await asyncio.to_thread(self._post.kept.delete_file, sender.owner, name)
        return _answer(FileDeleted(id=name, deleted=True, object="file"))

    async def _view(self, request: Request) -> FileView:
        sender = await self._sender(request)
        return await asyncio.to_thread(self._post.kept.file, sender.owner, request.path_params["name"])

    async def _sender(self, request: Request) -> Sender:
        return await asyncio.to_thread(self._post.answering.holder, self._face.key(request.headers))


async def read_form(headers: Headers, chunks: AsyncGenerator[bytes, None], most: int) -> tuple[FormData, UploadFile]:
    """The form that brings a file of at most `most` bytes, and the file. Close the form.

    Raises BadRequest, RequestTooLarge.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise BadRequest("a file is sent as multipart/form-data", param="file")
    try:
        form = await MultiPartParser(headers, _counted(chunks, most), max_files=1, max_fields=8).parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise BadRequest("the form cannot be read", param="file") from error
    try:
        unknown = sorted(set(form) - {"file", "purpose"})
        if unknown:
            raise BadRequest(f"{unknown[0][:80]!r} is not followed here", param=unknown[0][:80])
        if form.get("purpose") != "batch":
            raise BadRequest("the purpose of a file is 'batch' here", param="purpose")
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise BadRequest("the form has no file", param="file")
    except BadRequest:
        await form.close()
        raise
    return form, upload


def file_object(view: FileView) -> FileObject:
    """A file in OpenAI's shape."""
    return FileObject(
        id=view.id,
        object="file",
        bytes=view.bytes,
        created_at=unix(view.created_at),
        expires_at=unix(view.expires_at),
        filename=view.filename,
        purpose="batch" if view.purpose == "batch" else "batch_output",
        status="processed",
    )


def unix(moment: str) -> int:
    """Seconds since 1970 of a record's time."""
    return int(datetime.fromisoformat(moment).timestamp())


def _answer(value: BaseModel) -> Response:
    return Response(as_json(value), media_type="application/json", headers={"Cache-Control": "no-store"})


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


async def _counted(chunks: AsyncGenerator[bytes, None], most: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most + FIELDS_BYTES:
            raise RequestTooLarge(f"the file is larger than {most} bytes", limit=most)
        yield chunk
