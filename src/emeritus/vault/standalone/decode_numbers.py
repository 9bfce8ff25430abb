"""Decodes encoding 3 of FORMAT.txt, numbers, with Python's standard library alone, or faster with NumPy.

restore.py loads it. It shares no code with Emeritus: it is the second reading of the format, plain before fast. Python
3.7 suffices.
"""

from __future__ import annotations

import importlib
import struct
from typing import Any

try:
    numpy: Any = importlib.import_module("numpy")
except ImportError:
    numpy = None

BLOCK, LANES = 1 << 18, 64  # symbols in a block, states
PLACES = [lane & 32 | (lane & 15) << 1 | lane >> 4 & 1 for lane in range(LANES)]  # in a round, of each lane's symbol


def decode(stored: bytes, length: int) -> bytes:
    """Numbers from their planes: the low bytes, then sign and low bits of the highest two, then the symbols."""
    layout, position = stored[0], 1
    if layout not in (1, 2, 4, 8) or length % layout:
        raise ValueError("numbers of a wrong layout")
    planes: list[bytes] = []
    for _ in range(layout):
        plane, position = read_plane(stored, position, length // layout)
        planes.append(plane)
    if position != len(stored):
        raise ValueError("numbers are followed by other bytes")
    if layout > 1:
        rest, symbols = planes[-2:]
        low = bytes(byte & 0x7F for byte in range(256)), bytes(byte << 7 & 0x80 for byte in range(256))
        high = bytes(byte & 0x80 for byte in range(256)), bytes(byte >> 1 for byte in range(256))
        planes[-2:] = [either(rest.translate(one), symbols.translate(other)) for one, other in (low, high)]
    data = bytearray(length)
    for place, plane in enumerate(planes):
        data[place::layout] = plane
    return bytes(data)


def either(one: bytes, other: bytes) -> bytes:
    """Each byte of one or-ed with that of the other."""
    both = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return both.to_bytes(len(one), "little")


def read_plane(stored: bytes, position: int, count: int) -> tuple[bytes, int]:
    """`count` bytes of one plane, and where it ends."""
    method, position = stored[position], position + 1
    if method == 0 and position + count <= len(stored):
        return stored[position : position + count], position + count
    if method == 1:
        return stored[position : position + 1] * count, position + 1
    if method != 2:
        raise ValueError("a plane is damaged")
    blocks: list[tuple[bytes, int]] = []
    for start in range(0, count, BLOCK):
        (size,) = struct.unpack_from("<I", stored, position)
        position += 4
        if position + size > len(stored):
            raise ValueError("a block ends early")
        blocks.append((stored[position : position + size], min(BLOCK, count - start)))
        position += size
    return unrans_all(blocks), position


def unrans_all(blocks: list[tuple[bytes, int]]) -> bytes:
    """The symbols of all blocks; whole ones at once with NumPy."""
    whole = [block for block, count in blocks if count == BLOCK] if numpy else []
    ends = blocks[len(whole) :]
    return (unrans_whole(whole) if whole else b"") + b"".join(unrans(block, count) for block, count in ends)


def unrans_whole(blocks: list[bytes]) -> bytes:
    """The symbols of blocks of full length: the same arithmetic as in `unrans`, a round of all blocks in each step."""
    tables = [read_table(block) for block in blocks]
    slots = numpy.array([table[:3] for table in tables]).transpose(1, 0, 2).reshape(3, -1)
    symbols, frequencies, distances = slots[0].astype("u1"), slots[1], slots[2]
    rows = 4096 * numpy.arange(len(blocks))[:, None]
    after = [block[tables[index][3] :] for index, block in enumerate(blocks)]
    state = numpy.array([struct.unpack_from("<64I", each) for each in after])
    words = [numpy.frombuffer(each[4 * LANES :] + b"\0\0", "<u2")[:-1] for each in after]  # none would be no buffer
    ends = numpy.cumsum([len(each) for each in words])
    position = ends - [len(each) for each in words]
    flat = numpy.concatenate([*words, numpy.zeros(1, "<u2")]).astype("i8")
    out = numpy.empty((len(blocks), BLOCK // LANES, LANES), "u1")
    for turn in range(BLOCK // LANES):
        slot = (state & 4095) + rows
        out[:, turn] = symbols[slot]
        state = frequencies[slot] * (state >> 12) + distances[slot]
        short = state < 65536
        places = position[:, None] + numpy.cumsum(short, axis=1) - 1
        state = numpy.where(short, state << 16 | flat[numpy.minimum(places, len(flat) - 1)], state)
        position = position + short.sum(axis=1)
    if (state != 65536).any() or (position != ends).any():
        raise ValueError("a block is damaged")
    order = numpy.argsort(PLACES)
    data: bytes = out[:, :, order].tobytes()
    return data


def read_table(block: bytes) -> tuple[list[int], list[int], list[int], int]:
    """Of each of 4096 slots its symbol, its frequency, the distance from its first slot; where the table ends."""
    symbols: list[int] = []
    frequencies: list[int] = []
    distances: list[int] = []
    position = 2
    for symbol in range(block[0], block[1] + 1):
        frequency, position = block[position], position + 1
        if frequency >= 128:
            if not 0 < block[position] < 32:
                raise ValueError("a frequency of a block is not written as it should be")
            frequency, position = frequency & 127 | block[position] << 7, position + 1
        if frequency > 4096 - len(symbols):
            raise ValueError("the frequencies of a block add up to more than 4096")
        symbols += [symbol] * frequency
        frequencies += [frequency] * frequency
        distances += range(frequency)
    if len(symbols) != 4096:
        raise ValueError("the frequencies of a block do not add up to 4096")
    return symbols, frequencies, distances, position


def unrans(block: bytes, count: int) -> bytes:
    """The `count` symbols of one block."""
    places = PLACES
    symbols, frequencies, distances, position = read_table(block)
    states = list(struct.unpack_from("<64I", block, position))
    words = (word for (word,) in struct.iter_unpack("<H", block[position + 4 * LANES :]))
    out = bytearray(count)
    try:
        for start in range(0, count, LANES):
            if start + LANES > count:
                places = list(range(count - start))
            for lane, place in enumerate(places):
                state = states[lane]
                slot = state & 4095
                state = frequencies[slot] * (state >> 12) + distances[slot]
                if state < 65536:
                    state = state << 16 | next(words)
                states[lane] = state
                out[start + place] = symbols[slot]
    except StopIteration:
        raise ValueError("the words of a block end early") from None
    if any(state != 65536 for state in states) or next(words, None) is not None:
        raise ValueError("a block is damaged")
    return bytes(out)
