"""How an engine's options are declared and read: one frozen model each, unknown names refused. Knows no engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from emeritus.errors import BadSettings


class Options(BaseModel):
    """Base of every engine's options."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


Chosen = TypeVar("Chosen", bound=Options)


def read_options(model: type[Chosen], kind: str, given: Mapping[str, Any]) -> Chosen:
    """The options of engine `kind`. Raises BadSettings naming the first wrong option; values are not repeated."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        known = ", ".join(sorted(model.model_fields))
        raise BadSettings(
            f"engine {kind!r}, option {name!r}: {first['msg']}",
            remedy=f"Options of this engine: {known}.",
            engine=kind,
            option=name,
        ) from error
