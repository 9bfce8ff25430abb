"""Mutations without a coverage engine: what runs where neither atheris nor clang is, and in every test run. Seeded."""

from __future__ import annotations

import random
import re
import struct

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)
_TOKENS = (
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"[" * 3000,
    b'{"a":' * 2000,
    b'""',
    b"\\ud800",
    b"9" * 5000,
    b"\n\n",
    b"[]",
)
_NUMBER = re.compile(rb"-?[0-9]+")
MOST = 1 << 16


def mutate(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """`data`, changed in one to four places; `others` lend parts of themselves."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        _change(out, others, chance)
    return bytes(out[:MOST])


def _change(out: bytearray, others: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(out) + 1)
    end = min(len(out), at + chance.choice((1, 2, 4, 8, 32, 256)))
    kind = chance.randrange(9)
    if kind == 0 and at < len(out):
        out[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and at < len(out):
        out[at] = chance.randrange(256)
    elif kind == 2:
        del out[at:end]
    elif kind == 3:
        out[at:at] = out[at:end]
    elif kind == 4:
        value, width = chance.choice(INTERESTING), chance.choice((1, 2, 4, 8))
        out[at : at + width] = struct.pack("<Q", value)[:width]
    elif kind == 5:
        del out[at:]
    elif kind == 6:
        other = chance.choice(others)
        start = chance.randrange(len(other) + 1)
        out[at:end] = other[start : start + chance.choice((1, 4, 16, 64, 1024))]
    elif kind == 7:
        out[at:end] = chance.choice(_TOKENS)
    else:
        found = [match.span() for match in _NUMBER.finditer(out)]
        if found:
            first, last = chance.choice(found)
            out[first:last] = b"%d" % chance.choice(INTERESTING)
