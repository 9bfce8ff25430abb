"""Residents as OpenAI's model objects. Reading them never wakes anything."""

from __future__ import annotations

from datetime import UTC

from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.notices import rfc3339, status_of
from emeritus.gateway.openai.wire import Model, Standing


def model_of(info: ModelInfo) -> Model:
    """A resident in OpenAI's shape."""
    standing = Standing(
        title=info.title,
        status=status_of(info),
        reachable=info.reachable,
        reachable_at=rfc3339(info.reachable_at),
        state=info.state,
        expected_wake_s=info.expected_wake_s,
        tier=info.tier,
        hours=info.hours,
        offering=info.offering,
        access=info.access,
        preservation=info.preservation,
        deprecated_at=rfc3339(info.deprecated),
        retires_at=rfc3339(info.retires),
        weights_digest=info.weights_digest,
        page=info.page or None,
    )
    return Model(
        id=info.name,
        object="model",
        created=int(info.created.timestamp()),
        owned_by=info.owned_by,
        shutdown_date=None if info.retires is None else info.retires.astimezone(UTC).date().isoformat(),
        emeritus=standing,
    )
