"""JSON that can tell whether it was damaged: {"<kind>": body, "sha256": ...} in one canonical form, and no other bytes.

Knows nothing of what the bodies say.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from emeritus.errors import IntegrityError

Json = dict[str, Any]


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def seal(kind: str, body: Json) -> bytes:
    """The sealed form of `body`; the sha256 is that of the canonical body."""
    return canonical({kind: body, "sha256": hashlib.sha256(canonical(body)).hexdigest()})


def unseal(kind: str, data: bytes, key: str) -> Json:
    """The body. Raises IntegrityError, naming `key`, unless `data` is byte for byte what `seal` would write."""
    try:
        whole = json.loads(data)
        body = whole[kind]
        sound = isinstance(body, dict) and seal(kind, body) == data
    except (ValueError, RecursionError, KeyError, TypeError, IndexError) as error:
        raise _broken(key) from error
    if not sound:
        raise _broken(key)
    return dict(body)


def _broken(key: str) -> IntegrityError:
    return IntegrityError(
        f"{key} is damaged: its sha256 does not hold",
        remedy=f"Put a copy of {key} back from another store; a manifest can be rebuilt from the packs.",
        key=key,
    )
