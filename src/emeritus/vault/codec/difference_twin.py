"""The difference codec's loops in NumPy: what kernel/difference.c does, byte for byte, where the kernel was not built.

Numbers are tokens and raw bits against the base's number (docs/format.md, encoding 4); tables are given. One row of 32
numbers at a time, so some seconds for a segment. Knows nothing of how tables are chosen or written down.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from emeritus.vault.codec.difference_tables import BITS, DIRECT, ESCAPE, FINE, KIND_NUMBER, TOTAL, Tables, raw_bits

LANES = 32
LEAST = 1 << 16  # a state lies in [2^16, 2^32) between numbers
Numbers = npt.NDArray[np.int64]


def exponents(base: Numbers, width: int) -> Numbers:
    """The eight bits below the sign that choose a table: bf16's and float32's exponent."""
    return base >> (8 * width - 9) & 255


def count(width: int, kind: int, base: Numbers, data: Numbers, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How often each token follows each exponent that is wanted: (256, 256)."""
    chosen = wanted[exponents(base, width)]
    base, data = base[chosen], data[chosen]
    tokens, _ = tokens_of(width, kind, values_of(width, base if kind != KIND_NUMBER else base * 0, data))
    return np.bincount(exponents(base, width) << 8 | tokens, minlength=1 << 16).reshape(256, 256)


def encode(width: int, tables: Tables, base: Numbers, data: Numbers) -> bytes | None:
    """States and words; None where a number has no token in its table."""
    table = np.frombuffer(tables.map, np.uint8)[exponents(base, width)]
    kind = np.frombuffer(tables.kinds, np.uint8)[table]
    frequencies = tables.frequencies.astype(np.int64)
    starts = np.cumsum(frequencies, axis=1) - frequencies
    values = values_of(width, np.where(kind == KIND_NUMBER, 0, base), data)
    tokens, raws = np.where(kind == KIND_NUMBER, tokens_of(width, KIND_NUMBER, values), tokens_of(width, 0, values))
    escaped = frequencies[table, tokens] == 0
    tokens, raws = np.where(escaped, ESCAPE, tokens), np.where(escaped, 8 * width, raws)
    if (escaped & (kind == KIND_NUMBER)).any() or not frequencies[table, tokens].all():
        return None
    frequency, start = frequencies[table, tokens], starts[table, tokens]
    states = np.full(LANES, LEAST, np.int64)
    words: list[Numbers] = []  # the last ones first
    for first in reversed(range(0, len(data), LANES)):
        row = slice(first, first + LANES)
        raw, value, lanes = raws[row], values[row], len(data[row])
        if width == 4 and (raw > 16).any():
            _push(states, np.maximum(raw - 16, 0), value >> 16, words)
        if raw.any():
            _push(states, np.minimum(raw, 16), value, words)
        x, chance = states[:lanes], frequency[row]
        full = x >> (32 - BITS) >= chance
        words.append((x[full] & 0xFFFF)[::-1])
        x = np.where(full, x >> 16, x)
        states[:lanes] = (x // chance << BITS) + x % chance + start[row]
    tail = np.concatenate(words)[::-1] if words else np.empty(0, np.int64)
    return states.astype("<u4").tobytes() + tail.astype("<u2").tobytes()


def decode(width: int, tables: Tables, base: Numbers, stream: bytes | memoryview) -> Numbers | None:
    """The numbers whose base these are; None where the stream is not sound."""
    if len(stream) < 4 * LANES or len(stream) % 2:
        return None
    states = np.frombuffer(stream, "<u4", LANES).astype(np.int64)
    words = np.frombuffer(stream, "<u2", offset=4 * LANES).astype(np.int64)
    if (states < LEAST).any():
        return None
    table = np.frombuffer(tables.map, np.uint8)[exponents(base, width)]
    kind = np.frombuffer(tables.kinds, np.uint8)[table]
    frequencies = tables.frequencies.astype(np.int64)
    starts = np.cumsum(frequencies, axis=1) - frequencies
    lookup = np.stack([np.repeat(np.arange(256), row) for row in frequencies])
    least, raws = token_values(width)
    base = np.where(kind == KIND_NUMBER, 0, base)
    values = np.empty(len(base), np.int64)
    at = 0
    for first in range(0, len(base), LANES):
        row = slice(first, first + LANES)
        which, lanes = table[row], len(table[row])
        x = states[:lanes]
        place = x & (TOTAL - 1)
        token = lookup[which, place]
        x = frequencies[which, token] * (x >> BITS) + place - starts[which, token]
        at = _fill_up(states, x, words, at)
        value, raw = least[kind[row], token], raws[kind[row], token]
        if raw.any():
            for bits, shift in ((np.minimum(raw, 16), 0), (np.maximum(raw - 16, 0), 16)):
                if bits.any():
                    value = value + ((states[:lanes] & ((1 << bits) - 1)) << shift)
                    at = _fill_up(states, states[:lanes] >> bits, words, at)
        values[row] = value
        if at > len(words):
            return None
    if at != len(words) or (states != LEAST).any():
        return None
    return _numbers(width, base, values)


def values_of(width: int, base: Numbers, data: Numbers) -> Numbers:
    """Ordered steps from the base, away from zero even, towards it odd."""
    half, mask = 1 << (8 * width - 1), (1 << 8 * width) - 1
    steps = _order(width, data) - _order(width, base)
    steps = np.where(base >= half, -steps, steps)
    steps = ((steps + half) & mask) - half
    return np.where(steps < 0, -2 * steps - 1, 2 * steps)


def _numbers(width: int, base: Numbers, values: Numbers) -> Numbers:
    half, mask = 1 << (8 * width - 1), (1 << 8 * width) - 1
    steps = values >> 1 ^ -(values & 1)
    steps = np.where(base >= half, -steps, steps)
    place = ((_order(width, base) + steps + half) & mask) - half
    return np.where(place < 0, place ^ (half - 1), place) & mask


def _order(width: int, numbers: Numbers) -> Numbers:
    half = 1 << (8 * width - 1)
    return np.where(numbers >= half, half - 1 - numbers, numbers)


def tokens_of(width: int, kind: int, values: Numbers) -> tuple[Numbers, Numbers]:
    """(token, number of raw bits that follow it) of every value."""
    if kind == KIND_NUMBER:
        return values >> (8 * width - 8), np.full(len(values), 8 * width - 8)
    octave = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1  # exact: values have at most 32 bits
    large = values >= 1 << DIRECT
    raws = np.where(large, octave - FINE, 0)
    fine = (1 << DIRECT) + ((octave - DIRECT) << FINE) + (values >> raws) - (1 << FINE)
    return np.where(large, fine, values), raws


def token_values(width: int) -> tuple[Numbers, Numbers]:
    """By kind and token: the smallest value, and how many raw bits follow."""
    tokens, raws, whole = np.arange(256), raw_bits(width), 8 * width - 8
    least = np.where(tokens < 1 << DIRECT, tokens, (8 + (tokens & 7)) << raws)  # 1 << DIRECT is a multiple of 8
    least[ESCAPE] = 0
    return np.stack([least, tokens << whole]), np.stack([raws, np.full(256, whole)])


def _push(states: Numbers, bits: Numbers, value: Numbers, words: list[Numbers]) -> None:
    x = states[: len(bits)]
    full = x >> (32 - bits) > 0
    words.append((x[full] & 0xFFFF)[::-1])
    states[: len(bits)] = np.where(full, x >> 16, x) << bits | (value & ((1 << bits) - 1))


def _fill_up(states: Numbers, x: Numbers, words: Numbers, at: int) -> int:
    """Put states back, those that fell below 2^16 filled by the next words, zeros after the last; the next place."""
    low = x < LEAST
    need = int(low.sum())
    if need:
        more = words[at : at + need]
        x[low] = x[low] << 16 | np.pad(more, (0, need - len(more)))
    states[: len(x)] = x
    return at + need
