"""The two digests every segment carries: BLAKE3, fast, names it; sha256 lets the standard library alone check it."""

from __future__ import annotations

import hashlib

from blake3 import blake3

SIZE = 32  # bytes of either digest


def blake3_of(data: bytes) -> bytes:
    """BLAKE3, 32 bytes."""
    return blake3(data).digest()


def sha256_of(data: bytes) -> bytes:
    """sha256, 32 bytes."""
    return hashlib.sha256(data).digest()
