"""LiteLLM's spend log, as JSON lines or as a CSV export of its table `LiteLLM_SpendLogs`.

Read are `startTime`, `model`, `model_group`, `user`, `api_key` (a hash) and, of `metadata`, the key's alias and its
user's address. Prompts and answers, which the table can hold, are never looked at. Knows no table of ours.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from emeritus.errors import BadTable
from emeritus.lifecycle.imports.tally import Tally, who

_WIDEST = 64 << 20  # bytes of a CSV field: the table can hold whole conversations
_NEEDED = ("startTime", "api_key")
_MODELS = ("model_group", "model")


def read_json(lines: Iterator[str], names: Collection[str], tally: Tally) -> None:
    """Count the calls to a model of one of `names` in JSON lines."""
    for line in lines:
        tally.lines += 1
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            tally.refuse("not JSON")
            continue
        if isinstance(row, dict):
            _count(row, names, tally)
        else:
            tally.refuse("not a JSON object")


def read_csv(lines: Iterator[str], names: Collection[str], tally: Tally) -> None:
    """Count them in a CSV export. Raises BadTable for a header without the columns, or quotes that do not close."""
    if csv.field_size_limit() < _WIDEST:
        csv.field_size_limit(_WIDEST)
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    try:
        header = next(reader, None)
        missing = [name for name in _NEEDED if name not in (header or [])]
        if header is None or missing or not any(name in header for name in _MODELS):
            wanted = ", ".join(missing or _MODELS)
            raise BadTable(f"line 1: the columns of a spend log are missing: {wanted}", line=1)
        tally.lines = reader.line_num
        for cells in reader:
            begins, tally.lines = tally.lines + 1, reader.line_num
            if not cells:
                continue
            if len(cells) != len(header):
                tally.lines = begins
                tally.refuse(f"{len(cells)} values for {len(header)} columns")
                tally.lines = reader.line_num
                continue
            _count(dict(zip(header, cells, strict=True)), names, tally)
    except csv.Error as error:
        raise BadTable(f"line {tally.lines + 1}: {error}", line=tally.lines + 1) from error


def _count(row: Mapping[str, Any], names: Collection[str], tally: Tally) -> None:
    models = {str(row.get(name) or "") for name in _MODELS}
    if not models - {""}:
        tally.refuse("it names no model")
        return
    if not any(model in names or model.partition("/")[2] in names for model in models):
        return
    day = _day(row.get("startTime"))
    if day is None:
        tally.refuse("its startTime cannot be read")
        return
    metadata = _metadata(row.get("metadata"))
    alias, key = metadata.get("user_api_key_alias"), str(row.get("api_key") or "")
    address, user = metadata.get("user_api_key_user_email"), row.get("user")
    named = next((str(each) for each in (address, user, alias) if each), None)
    contact, label = who(named, f"key {key[:12]}" if key else "a call without a key")
    tally.call(contact, str(alias)[:200] if contact and alias else label, day)


def _metadata(value: Any) -> Mapping[str, Any]:
    """The column as an object; in a CSV export it is JSON text. What is neither tells nothing."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _day(value: Any) -> date | None:
    try:
        moment = datetime.fromisoformat(str(value))
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).date()
    except (ValueError, OverflowError):
        return None
