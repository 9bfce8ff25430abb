"""API keys: `em_<prefix>_<secret>`, 48 and 256 random bits. The prefix is shown; only the SHA-256 of the whole is kept.

A fast hash is enough: nobody can guess 256 random bits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

_FORM = re.compile(r"em_([0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the one moment it is whole."""

    key: str
    prefix: str
    sha256: str


def new_key() -> NewKey:
    """A fresh random key."""
    prefix = secrets.token_hex(6)
    key = f"em_{prefix}_{secrets.token_urlsafe(32)}"
    return NewKey(key, prefix, key_digest(key))


def prefix_of(key: str) -> str | None:
    """The prefix of what has a key's form, else None."""
    found = _FORM.fullmatch(key)
    return None if found is None else found[1]


def key_digest(key: str) -> str:
    """SHA-256 (hex) of a whole key."""
    return hashlib.sha256(key.encode()).hexdigest()
