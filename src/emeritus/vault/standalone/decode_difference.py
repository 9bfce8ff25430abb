"""Decodes encoding 4 of FORMAT.txt, a difference from a base, with Python's standard library alone.

restore.py loads it. It shares no code with Emeritus: it is the second reading of the format, slow and plain. Python
3.7 suffices.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

LANES, LEAST, TOTAL, ESCAPE, GROUP = 32, 1 << 16, 4096, 255, 64
DAMAGED = "a difference is damaged: "


def decode(stored: bytes, base: bytes, length: int, decoders: dict[int, Callable[[bytes, int], bytes]]) -> bytes:
    """The `length` bytes that are a difference from `base`; what is longer than that goes through `decoders`."""
    form = stored[0]
    if form not in (2, 3, 4):
        raise ValueError(DAMAGED + "its form")
    layout, width = (2, 2) if form == 2 else (4, 4 if form == 4 else 2)
    shared = min(length, len(base)) // layout
    bases = list(struct.unpack(f"<{shared}{'H' if layout == 2 else 'I'}", base[: shared * layout]))
    if form == 3:
        bases = [number >> 16 for number in bases]
    places, at = read_runs(stored, 1, shared)
    if places:
        numbers, at = read_stream(stored, at, width, [bases[place] for place in places])
        for index, place in enumerate(places):
            bases[place] = numbers[index]
    if form == 3:
        bases = [number << 16 for number in bases]
    data = struct.pack(f"<{shared}{'H' if layout == 2 else 'I'}", *bases)
    left = length - len(data)
    if left:
        if stored[at] not in (0, 3):
            raise ValueError(DAMAGED + "what follows the base's length")
        return data + decoders[stored[at]](stored[at + 1 :], left)
    if at != len(stored):
        raise ValueError(DAMAGED + "more bytes follow")
    return data


def read_runs(stored: bytes, at: int, shared: int) -> tuple[list[int], int]:
    """(places of the numbers that are coded, where the runs end)."""
    groups = (shared + GROUP - 1) // GROUP
    places: list[int] = []
    group, turn = 0, 0
    while group < groups:
        run = shift = 0
        while True:
            if shift > 28:
                raise ValueError(DAMAGED + "its runs")
            byte = stored[at]
            at += 1
            run |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if group + run > groups or (run == 0 and turn):
            raise ValueError(DAMAGED + "its runs")
        if turn % 2:
            places.extend(range(group * GROUP, min((group + run) * GROUP, shared)))
        group += run
        turn += 1
    return places, at


class Table:
    """Frequencies of tokens, looked up by slot."""

    def __init__(self, kind: int, frequencies: list[int]) -> None:
        self.kind = kind
        self.frequencies = frequencies
        self.slots: list[tuple[int, int]] = []  # (token, slot within the token)
        for token, frequency in enumerate(frequencies):
            self.slots.extend((token, place) for place in range(frequency))


def read_tables(stored: bytes, at: int, width: int) -> tuple[list[Table], int]:
    """(the table of each of the 256 exponents, where the tables end)."""
    bits = int.from_bytes(stored[at : at + (1 << 17)], "little")
    taken = 0

    def take(count: int) -> int:
        nonlocal taken
        value = bits >> taken & ((1 << count) - 1)
        taken += count
        return value

    tables: list[Table] = []
    while len(tables) < 256:
        more = take(8) + 1 - len(tables)
        if more < 1:
            raise ValueError(DAMAGED + "the order of its tables")
        kind = take(1)
        frequencies: list[int] = []
        while sum(frequencies) < TOTAL:
            size = take(4)
            frequencies += [0] * (take(4) + 1) if size == 0 else [(1 << (size - 1)) + take(size - 1)]
            if len(frequencies) > 256:
                raise ValueError(DAMAGED + "a table")
        tokens = 256 if kind else 32 + 8 * (8 * width - 5)
        if sum(frequencies) != TOTAL or any(frequencies[tokens:ESCAPE]):
            raise ValueError(DAMAGED + "a table")
        tables += [Table(kind, frequencies)] * more
    if take(-taken % 8) or taken > 8 * (len(stored) - at):
        raise ValueError(DAMAGED + "the end of its tables")
    return tables, at + taken // 8


def read_stream(stored: bytes, at: int, width: int, bases: list[int]) -> tuple[list[int], int]:
    """(the numbers that stand beside `bases`, where the stream ends)."""
    (size,) = struct.unpack_from("<I", stored, at)
    tables, start = read_tables(stored, at + 4, width)
    end = start + size
    if end > len(stored) or size < 4 * LANES or size % 2:
        raise ValueError(DAMAGED + "its length")
    states: list[int] = list(struct.unpack_from(f"<{LANES}I", stored, start))
    if min(states) < LEAST:
        raise ValueError(DAMAGED + "a state")
    words = iter(struct.unpack(f"<{size // 2 - 2 * LANES}H", stored[start + 4 * LANES : end]))
    numbers: list[int] = []
    for first in range(0, len(bases), LANES):
        row = [(base, tables[base >> (8 * width - 9) & 255]) for base in bases[first : first + LANES]]
        numbers += read_row(states, words, row, width)
    if next(words, None) is not None or any(state != LEAST for state in states):
        raise ValueError(DAMAGED + "its stream")
    return numbers, end


def read_row(states: list[int], words: Any, row: list[tuple[int, Table]], width: int) -> list[int]:
    """Up to 32 numbers: first the token of each, then the raw bits of each, at most 16 at a time."""

    def keep(lane: int, state: int) -> None:
        if state < LEAST:
            word = next(words, None)
            if word is None:
                raise ValueError(DAMAGED + "its stream ends early")
            state = state << 16 | word
        states[lane] = state

    values, raws = [], []
    for lane, (_, table) in enumerate(row):
        token, place = table.slots[states[lane] % TOTAL]
        keep(lane, table.frequencies[token] * (states[lane] // TOTAL) + place)
        least, raw = meaning(token, table.kind, 8 * width)
        values.append(least)
        raws.append(raw)
    for shift in (0, 16):
        for lane, raw in enumerate(raws):
            count = min(max(raw - shift, 0), 16)
            if count:
                values[lane] += states[lane] % (1 << count) << shift
                keep(lane, states[lane] >> count)
    bits = 8 * width
    return [number_of(0 if table.kind else base, values[lane], bits) for lane, (base, table) in enumerate(row)]


def meaning(token: int, kind: int, bits: int) -> tuple[int, int]:
    """(smallest value, raw bits that follow) of a token."""
    if kind == 1:
        return token << (bits - 8), bits - 8
    if token < 32:
        return token, 0
    if token == ESCAPE:
        return 0, bits
    raw = (token - 32) // 8 + 2
    return (8 + token % 8) << raw, raw


def number_of(base: int, value: int, bits: int) -> int:
    """The number that lies `value` steps from its base."""
    half, whole = 1 << (bits - 1), 1 << bits
    steps = -(value + 1) // 2 if value % 2 else value // 2
    place = half - 1 - base if base >= half else base
    place += -steps if base >= half else steps
    place = (place + half) % whole - half
    return place if place >= 0 else half - 1 - place
