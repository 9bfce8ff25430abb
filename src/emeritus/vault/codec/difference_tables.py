"""The difference codec's probability tables: chosen from counts, made to sum to 4096, written down and read again.

A table serves a run of neighbouring exponents of the base's numbers. It holds tokens of differences, or, where the
base tells nothing, tokens of the numbers themselves. Formats: docs/format.md, encoding 4. Knows nothing of streams.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from emeritus.errors import IntegrityError

BITS = 12
TOTAL = 1 << BITS
DIRECT, FINE = 5, 3  # values below 2^5 are tokens of their own; larger ones have a token per eighth of an octave
ESCAPE = 255  # of a table of differences: the whole value follows as raw bits
KIND_DIFFERENCE, KIND_NUMBER = 0, 1
_ZEROS = 16  # a run of zeros written as one is at most so long
_TOKEN_COST, _TABLE_COST = 9.0, 16.0  # bits, about, that a token and a table take when written down
_ESCAPED = 1.44 / TOTAL  # bits per number that one place of 4096, given to a token that never comes, costs the others

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tables:
    """`map`: 256 table numbers by exponent. `kinds`: one per table. `frequencies`: uint16, shape (tables, 256)."""

    map: bytes
    kinds: bytes
    frequencies: npt.NDArray[np.uint16]


def token_count(width: int) -> int:
    """How many tokens differences of numbers of `width` bytes have, the escape aside."""
    return (1 << DIRECT) + ((8 * width - DIRECT) << FINE)


@cache
def raw_bits(width: int) -> Counts:
    """Raw bits after each token of a difference; (256,)."""
    over = np.arange(256) - (1 << DIRECT)
    raws = np.where(over < 0, 0, DIRECT - FINE + (over >> FINE))
    raws[ESCAPE] = 8 * width
    raws.setflags(write=False)
    return raws


# -- choosing --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Group:
    """Neighbouring exponents that share a table."""

    last: int
    differences: Counts
    numbers: Counts | None  # counts of the numbers' own tokens, where somebody took them
    cost: float
    kind: int

    def chosen(self, width: int) -> Counts:
        """The counts that the table is made of."""
        if self.kind == KIND_NUMBER and self.numbers is not None:
            return self.numbers
        return _escape(width, self.differences)


def entropy(counts: Counts) -> float:
    """Bits that all the counted tokens take in the ideal."""
    seen = counts[counts > 0].astype(np.float64)
    return float((seen * np.log2(seen.sum() / seen)).sum()) if len(seen) else 0.0


def cost(counts: Counts, width: int) -> float:
    """Bits that differences of these counts take in the ideal, raw bits with them."""
    return entropy(counts) + float(counts @ raw_bits(width))


def hopeless(differences: Counts, width: int) -> npt.NDArray[np.bool_]:
    """Exponents (of 256) whose differences take more than the raw bits alone of the numbers themselves would."""
    return np.array([row.any() and cost(row, width) > (8 * width - 8) * row.sum() for row in differences])


def choose(width: int, differences: Counts, numbers: Counts) -> Tables:
    """Tables for counts of tokens by exponent, both (256, 256); rows of `numbers` that nobody counted are zero."""
    groups = [
        _group(width, exponent, differences[exponent], numbers[exponent] if numbers[exponent].any() else None)
        for exponent in range(256)
        if differences[exponent].any()
    ] or [_group(width, 255, np.bincount([0], minlength=256), None)]
    merged = [_merge(width, *pair) for pair in pairwise(groups)]
    while merged:
        gains = [low.cost + high.cost - both.cost for (low, high), both in zip(pairwise(groups), merged, strict=True)]
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        groups[best : best + 2] = [merged[best]]
        first, past = max(best - 1, 0), min(best + 2, len(groups))
        merged[first : best + 2] = [_merge(width, *pair) for pair in pairwise(groups[first:past])]
    groups[-1].last = 255
    frequencies = np.stack([quantise(group.chosen(width)) for group in groups])
    lasts = [group.last for group in groups]
    table = np.searchsorted(lasts, np.arange(256)).astype(np.uint8)
    return Tables(table.tobytes(), bytes(group.kind for group in groups), frequencies)


def _group(width: int, last: int, differences: Counts, numbers: Counts | None) -> _Group:
    own = _TABLE_COST + _TOKEN_COST * np.count_nonzero(differences) + cost(differences, width)
    if numbers is not None:
        whole = entropy(numbers) + (8 * width - 8) * float(numbers.sum())
        other = _TABLE_COST + _TOKEN_COST * np.count_nonzero(numbers) + whole
        if other < own:
            return _Group(last, differences, numbers, other, KIND_NUMBER)
    return _Group(last, differences, numbers, own, KIND_DIFFERENCE)


def _merge(width: int, low: _Group, high: _Group) -> _Group:
    both = None if low.numbers is None or high.numbers is None else low.numbers + high.numbers
    return _group(width, high.last, low.differences + high.differences, both)


def _escape(width: int, counts: Counts) -> Counts:
    """Tokens so rare that a place of their own costs more than their whole value in raw bits give way to the escape."""
    rare = (counts > 0) & (counts * (8 * width - raw_bits(width)) < _ESCAPED * counts.sum())
    if np.count_nonzero(rare) < 2:
        return counts
    kept = np.where(rare, 0, counts)
    kept[ESCAPE] = counts[rare].sum()
    return kept


def quantise(counts: Counts) -> npt.NDArray[np.uint16]:
    """Frequencies that sum to 4096, none of what was counted below 1, as near to the counts as that allows."""
    frequencies = np.where(counts > 0, np.maximum(1, counts * TOTAL // counts.sum()), 0)
    while (missing := TOTAL - int(frequencies.sum())) != 0:
        step = 1 if missing > 0 else -1
        able = (counts > 0) & (frequencies + step > 0)
        change = np.where(
            able, counts * np.log2(np.maximum(frequencies + step, 1) / np.maximum(frequencies, 1)), -np.inf
        )
        many = min(abs(missing), max(1, np.count_nonzero(able) // 2))
        frequencies[np.argsort(-change, kind="stable")[:many]] += step
    return frequencies.astype(np.uint16)


# -- writing down ----------------------------------------------------------------------------------------------------


def pack(tables: Tables) -> bytes:
    """The tables as a string of bits, the lowest of a byte first."""
    value, at = 0, 0

    def put(number: int, bits: int) -> None:
        nonlocal value, at
        value |= number << at
        at += bits

    for table, (kind, frequencies) in enumerate(zip(tables.kinds, tables.frequencies.tolist(), strict=True)):
        put(tables.map.rindex(table), 8)
        put(kind, 1)
        token, left = 0, TOTAL
        while left:
            frequency = frequencies[token]
            if frequency:
                size = frequency.bit_length()
                put(size, 4)
                put(frequency - (1 << (size - 1)), size - 1)
                left -= frequency
                token += 1
            else:
                zeros = next(place for place in range(1, _ZEROS + 1) if place == _ZEROS or frequencies[token + place])
                put(0, 4)
                put(zeros - 1, 4)
                token += zeros
    return value.to_bytes((at + 7) // 8, "little")


def unpack(stored: bytes | memoryview, width: int) -> tuple[Tables, int]:
    """(tables, bytes read). Raises IntegrityError for anything `pack` could not have written."""
    bits = _Bits(stored)
    table_of, kinds, every = bytearray(), bytearray(), []
    while len(table_of) < 256:
        last = bits.take(8)
        if last < len(table_of):
            raise IntegrityError("a difference's tables are not in order")
        table_of += bytes([len(kinds)]) * (last + 1 - len(table_of))
        kinds.append(bits.take(1))
        every.append(_frequencies(bits, token_count(width) if kinds[-1] == KIND_DIFFERENCE else 256))
    if bits.take(-bits.at % 8):
        raise IntegrityError("a difference's tables are followed by other bits")
    return Tables(bytes(table_of), bytes(kinds), np.array(every, np.uint16)), bits.at // 8


def _frequencies(bits: _Bits, tokens: int) -> list[int]:
    frequencies: list[int] = []
    left = TOTAL
    while left:
        size = bits.take(4)
        if size > BITS + 1:
            raise IntegrityError("a difference's table holds an impossible frequency")
        if size == 0:
            frequencies += [0] * (bits.take(4) + 1)
        else:
            frequencies.append((1 << (size - 1)) + bits.take(size - 1))
            left -= frequencies[-1]
        if left < 0 or len(frequencies) > 256:
            raise IntegrityError("a difference's table does not sum to 4096")
    frequencies += [0] * (256 - len(frequencies))
    if any(frequencies[tokens:ESCAPE]):
        raise IntegrityError("a difference's table names a token that there is not")
    return frequencies


class _Bits:
    """Reads a string of bits, the lowest of a byte first."""

    def __init__(self, stored: bytes | memoryview) -> None:
        self._stored = stored
        self.at = 0

    def take(self, count: int) -> int:
        """The next `count` bits, at most 16, as a number."""
        if self.at + count > 8 * len(self._stored):
            raise IntegrityError("a difference's tables end early")
        place, shift = divmod(self.at, 8)
        self.at += count
        return int.from_bytes(self._stored[place : place + 3], "little") >> shift & ((1 << count) - 1)
