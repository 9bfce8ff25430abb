"""The two digests: BLAKE3, fast, names a segment; sha256 names packs and files, for the standard library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from blake3 import blake3

SIZE = 32  # bytes of either digest


def blake3_of(data: bytes | bytearray | memoryview) -> bytes:
    """BLAKE3, 32 bytes."""
    return blake3(data).digest()


class Blake3:
    """BLAKE3 of bytes that come one after another."""

    def __init__(self) -> None:
        self._state = blake3()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take more bytes."""
        self._state.update(data)

    def digest(self) -> bytes:
        """Of all bytes taken so far, 32 bytes."""
        return self._state.digest()


def blake3_of_pieces(pieces: Iterable[bytes | memoryview]) -> bytes:
    """BLAKE3 of pieces one after another, each taken as it comes."""
    digest = blake3()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def sha256_of(data: bytes | bytearray | memoryview) -> bytes:
    """sha256, 32 bytes."""
    return hashlib.sha256(data).digest()
