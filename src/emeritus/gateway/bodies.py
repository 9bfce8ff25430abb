"""How a body that does not fit is refused, in every wire format: the field at fault is named as its caller wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from emeritus.errors import BadRequest

MOST_MESSAGE = 500  # characters
_BRANCHES = frozenset({"str", "message", "function_call", "function_call_output"})


def refuse_others(
    others: Mapping[str, Any] | None, unused: Mapping[str, tuple[Any, ...]], ignored: frozenset[str]
) -> None:
    """Raises BadRequest for a field that is unknown, or not followed and sent with a value that would matter."""
    for name, value in (others or {}).items():
        if value is None or name in ignored:
            continue
        if name not in unused:
            raise BadRequest(f"unknown field {name[:80]!r}", param=name[:80])
        if not any(value == harmless and type(value) is not bool for harmless in unused[name]):
            raise BadRequest(
                f"{name!r} is not supported here with this value",
                remedy="Leave the field out; a field that would change the answer is never dropped in silence.",
                param=name,
            )


def refusal(error: ValidationError) -> BadRequest:
    """What a body that does not fit is refused with."""
    found = error.errors(include_url=False, include_input=False)
    first = max(found, key=lambda entry: len(entry["loc"]))  # the deepest: of a union, the branch that was meant
    if first["type"] == "json_invalid":
        return BadRequest(f"the body is not usable JSON: {first['msg'].removeprefix('Invalid JSON: ')}")
    if not first["loc"]:
        return BadRequest("the body is not a JSON object")
    where = ".".join(_named(first["loc"]))[:200]
    return BadRequest(f"{where}: {first['msg'][:MOST_MESSAGE]}", param=where)  # of a tag that is none it repeats all


def _named(location: Sequence[int | str]) -> Iterator[str]:
    """The caller's own fields of a location: without pydantic's names for the branches of unions and their tags."""
    tagged = False
    for part in location:
        if isinstance(part, int):
            yield str(part)
        elif part.startswith(("list[", "constrained-")):
            tagged = "tagged-union[" in part
        elif tagged:
            tagged = False  # behind the item's index: the value of its discriminator
        elif part not in _BRANCHES:
            yield part
