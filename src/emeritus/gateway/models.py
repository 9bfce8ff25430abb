"""`GET /v1/models` and `/v1/models/{id}`: residents as OpenAI's model objects. Reading them never wakes anything.

Deprecation is RFC 9745, Sunset RFC 8594; both describe a resource, so they go with the model's own address.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.wire import Model, Standing


def model_of(info: ModelInfo) -> Model:
    """A resident in OpenAI's shape."""
    standing = Standing(
        title=info.title,
        status=status_of(info),
        reachable=info.reachable,
        reachable_at=_rfc3339(info.reachable_at),
        tier=info.tier,
        hours=info.hours,
        offering=info.offering,
        access=info.access,
        preservation=info.preservation,
        deprecated_at=_rfc3339(info.deprecated),
        retires_at=_rfc3339(info.retires),
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


def status_of(info: ModelInfo) -> str:
    """The states that matter to a caller in a few words, e.g. "retired and reachable"."""
    return f"{info.offering} and reachable" if info.reachable else f"{info.offering}, not answering calls"


def notice_headers(info: ModelInfo) -> dict[str, str]:
    """Deprecation and Sunset of a model's own address. Sunset is never before Deprecation (RFC 9745, section 4)."""
    headers: dict[str, str] = {}
    if info.deprecated is not None:
        headers["Deprecation"] = f"@{int(info.deprecated.timestamp())}"
    if info.retires is not None:
        sunset = info.retires if info.deprecated is None else max(info.retires, info.deprecated)
        headers["Sunset"] = format_datetime(sunset.astimezone(UTC).replace(microsecond=0), usegmt=True)
    link = _link(info)
    if link:
        headers["Link"] = link
    return headers


def answer_headers(info: ModelInfo, model_path: str) -> dict[str, str]:
    """What an answer says of the model's deprecation: a link whose anchor is the model's address, not the answer's."""
    link = _link(info)
    return {"Link": f'{link}; anchor="{model_path}"'} if link else {}


def _link(info: ModelInfo) -> str:
    if not info.page or (info.deprecated is None and info.retires is None):
        return ""
    return f'<{info.page}>; rel="deprecation"; type="text/html"'


def _rfc3339(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
