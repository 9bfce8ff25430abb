"""Keys as HTTP carries them (RFC 6750)."""

from __future__ import annotations

from emeritus.errors import BadKey


def bearer(authorization: str | None) -> str | None:
    """The key of an Authorization header, None when there is no header. Raises BadKey when it is of another scheme."""
    if authorization is None:
        return None
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise BadKey("the Authorization header carries no bearer key")
    return key.strip()
