"""The API described in OpenAPI 3.1, from the models that read its requests and write its answers.

Where two vendors answer at one address, the description says either: headers decide, which OpenAPI cannot say.

Holds no vendor's words: each wire format names its operations. A body's schema lists what is read, and by name what is
accepted without effect or only unused; anything else is refused, and the schema says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

WHERE = "#/components/schemas/{model}"
SECURITY = {
    "key": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One address and method: what is sent, what comes back, how errors look."""

    method: str
    path: str  # below the mount; `{id}` names a model, a file or a batch
    summary: str
    answer: type[BaseModel] | str  # a model, or the media type of what is no JSON
    error: type[BaseModel]
    body: type[BaseModel] | None = None
    unread: Mapping[str, tuple[Any, ...] | None] | None = None  # fields of a body: the values allowed, None for any
    streams: bool = False
    parameters: Sequence[Mapping[str, Any]] = ()  # beside the `{id}` of its path, as OpenAPI has them
    security: Mapping[str, Any] = field(default_factory=lambda: {"key": []})
    form: bool = False  # the body is sent as a form
    keyed: bool = False  # nobody is answered without a key


def document(operations: Sequence[Operation]) -> bytes:
    """The description as JSON."""
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    for each in operations:
        models.append((each.error, "serialization"))
        if not isinstance(each.answer, str):
            models.append((each.answer, "serialization"))
        if each.body is not None:
            models.append((each.body, "validation"))
    named, schema = models_json_schema(list(dict.fromkeys(models)), ref_template=WHERE)
    schemas = schema["$defs"]
    paths: dict[str, Any] = {}
    for each in operations:
        operation: dict[str, Any] = {
            "summary": each.summary,
            "responses": {
                "200": {"description": each.summary, "content": _contents(each, named)},
                "4XX": _error(each, named, "The request is refused; nothing was done."),
                "5XX": _error(each, named, "No answer could be had, now or at all."),
            },
        }
        named_in_path = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        operation["parameters"] = [*([named_in_path] if "{id}" in each.path else []), *each.parameters]
        if each.body is not None or each.keyed:
            operation["security"] = [each.security] if each.keyed else [each.security, {}]
        if each.body is not None:
            schema = named[each.body, "validation"]
            media = "multipart/form-data" if each.form else "application/json"
            operation["requestBody"] = {"required": True, "content": {media: {"schema": schema}}}
            _close(schemas[schema["$ref"].rpartition("/")[2]], each.unread or {})
        at = paths.setdefault(each.path, {})
        at[each.method] = operation if each.method not in at else _either(at[each.method], operation)
    described = {
        "openapi": "3.1.0",
        "info": {"title": "Emeritus: retired models that still answer", "version": "1"},
        "servers": [{"url": "/v1"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": SECURITY},
    }
    return json.dumps(described, separators=(",", ":")).encode()


def _contents(operation: Operation, named: Mapping[Any, Any]) -> dict[str, Any]:
    if isinstance(operation.answer, str):
        return {operation.answer: {"schema": {"type": "string"}}}
    found: dict[str, Any] = {"application/json": {"schema": named[operation.answer, "serialization"]}}
    if operation.streams:
        found["text/event-stream"] = {"schema": {"type": "string"}}
    return found


def _error(operation: Operation, named: Mapping[Any, Any], what: str) -> dict[str, Any]:
    schema = named[operation.error, "serialization"]
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def _either(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two operations at one address: each one's parameters, and answers of either kind."""
    responses: dict[str, Any] = {}
    for status, response in first["responses"].items():
        kinds = [each["responses"][status]["content"]["application/json"]["schema"] for each in (first, second)]
        content = {"application/json": {"schema": {"anyOf": kinds}}}
        responses[status] = {"description": response["description"], "content": content}
    known = {each["name"]: each for operation in (first, second) for each in operation["parameters"]}
    return {**first, "summary": first["summary"], "parameters": list(known.values()), "responses": responses}


def _close(schema: dict[str, Any], unread: Mapping[str, tuple[Any, ...] | None]) -> None:
    """Name the fields that are not read, and refuse all others."""
    properties = schema["properties"]
    for name, allowed in unread.items():
        properties[name] = {} if allowed is None else {"enum": [None, *allowed]}
    schema["additionalProperties"] = False
