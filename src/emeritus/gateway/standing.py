"""What no vendor's objects have a field for, the same in every wire format: the namespaced `emeritus` object, and the
comment that a stream says while its resident wakes.
"""

from __future__ import annotations

from pydantic import BaseModel

from emeritus.acts import stamp
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.notices import rfc3339, status_of


class BrownOut(BaseModel):
    """An announced time in which calls fail with the error of that name. Moments are RFC 3339."""

    starts: str
    ends: str
    reason: str


class Standing(BaseModel):
    """A resident's three axes, its tier, and whether it answers although retired."""

    title: str
    status: str
    reachable: bool
    reachable_at: str | None  # RFC 3339: when visiting hours begin
    state: str
    expected_wake_s: float | None
    tier: str
    hours: str | None
    offering: str
    access: str
    preservation: str
    deprecated_at: str | None  # RFC 3339
    retires_at: str | None  # RFC 3339
    weights_digest: str | None
    page: str | None
    brown_outs: list[BrownOut]


def standing_of(info: ModelInfo) -> Standing:
    """What is known of a resident."""
    return Standing(
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
        brown_outs=[
            BrownOut(starts=stamp(each.starts), ends=stamp(each.ends), reason=each.reason) for each in info.brown_outs
        ],
    )


def fingerprint(weights_digest: str | None) -> str | None:
    """`system_fingerprint`: the beginning of the weights' sha256, null when the weights are not held."""
    return None if weights_digest is None else f"fp_{weights_digest[:16]}"


def comment(info: ModelInfo, awake: bool) -> bytes:
    """A comment of server-sent events, which clients skip and can never take for content: what is being waited for.

    It says how many seconds a wake takes, as the resident's last ones did.
    """
    if awake:
        return b": working\n"
    seconds = info.expected_wake_s
    return b": waking\n" if seconds is None else f": waking, about {max(1, round(seconds))} s\n".encode()
