"""Models by the names callers send: looked up only when they could be names at all."""

from __future__ import annotations

import re

from emeritus.errors import NotFound
from emeritus.gateway.backend import GatewayBackend, ModelInfo

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


def known_model(backend: GatewayBackend, name: str) -> ModelInfo:
    """The resident of that name. Raises NotFound, also for what could be no name, which no database is asked for."""
    remedy = "`GET /v1/models` lists the residents."
    if not _NAME.fullmatch(name):
        raise NotFound(f"there is no model {name[:80]!r}", remedy=remedy, param="model")
    try:
        return backend.model(name)
    except NotFound as error:
        raise NotFound(f"there is no model {name!r}", remedy=remedy, param="model") from error
