"""What HTTP headers say of a model's retirement, in any wire format, and the address they are anchored at.

Deprecation is RFC 9745, Sunset RFC 8594; both describe a resource, so they go with the model's own address.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

from starlette.types import Scope

from emeritus.gateway.backend import ModelInfo


def model_path(scope: Scope, name: str) -> str:
    """The path of a model's own address, wherever the gateway is mounted."""
    return f"{scope.get('root_path', '')}/models/{quote(name)}"


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


def answer_headers(info: ModelInfo, path: str, note: str = "") -> dict[str, str]:
    """What an answer says of the model's deprecation: a link whose anchor is the model's address, not the answer's.

    `note` is for callers who have not acknowledged the announcement in force.
    """
    link = _link(info)
    headers = {"Link": f'{link}; anchor="{path}"'} if link else {}
    return {**headers, "Emeritus-Notice": note} if note else headers


def rfc3339(moment: datetime | None) -> str | None:
    """A moment in UTC, to the second."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _link(info: ModelInfo) -> str:
    if not info.page or (info.deprecated is None and info.retires is None):
        return ""
    return f'<{info.page}>; rel="deprecation"; type="text/html"'
