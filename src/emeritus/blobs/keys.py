"""Which names bytes may have, the same in every store: so that a vault can move from one kind to another and back."""

from __future__ import annotations

import re

from emeritus.errors import BadName

_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,200}", re.ASCII)
MAX_KEY = 800  # S3 and Azure allow 1024 bytes, and the store's own prefix counts


def is_segment(name: str) -> bool:
    """Whether `name` may stand between two slashes of a key."""
    return _SEGMENT.fullmatch(name) is not None and name not in (".", "..")


def check_key(key: str) -> str:
    """The key itself. Raises BadName unless it is segments of [A-Za-z0-9._-], none '.' or '..', joined by '/'."""
    parts = key.split("/")
    if len(key) > MAX_KEY or not all(map(is_segment, parts)):
        raise BadName(
            f"{key[:100]!r} is not a key",
            remedy=f"A key is at most {MAX_KEY} characters: segments of [A-Za-z0-9._-] joined by '/', not '.' or '..'.",
        )
    return key
