"""Residents as OpenAI's model objects. Reading them never wakes anything."""

from __future__ import annotations

from datetime import UTC

from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.openai.wire import Model
from emeritus.gateway.standing import standing_of


def model_of(info: ModelInfo) -> Model:
    """A resident in OpenAI's shape."""
    return Model(
        id=info.name,
        object="model",
        created=int(info.created.timestamp()),
        owned_by=info.owned_by,
        shutdown_date=None if info.retires is None else info.retires.astimezone(UTC).date().isoformat(),
        emeritus=standing_of(info),
    )
