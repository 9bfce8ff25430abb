"""Interleaved rANS over bytes in NumPy: the twin of kernel/rans.c, slow and equal to the byte (docs/format.md).

All blocks of a plane are coded at once, a round of 64 symbols of each at a time. Knows no layouts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 18  # symbols; the last block of a plane may have fewer
LANES = 64
PLACES = np.arange(64).reshape(2, 16, 2).transpose(0, 2, 1).ravel()  # which symbol of a whole round each lane codes
_LANE_OF = np.argsort(PLACES)
BITS = 12
TOTAL = 1 << BITS
LOW = 1 << 16  # a state lies in [2**16, 2**32) between symbols, and is 2**16 before the first

Bytes = NDArray[np.uint8]


class Damaged(Exception):
    """Bytes that no encoder wrote. The caller says where they stood."""


def encode(plane: Bytes) -> list[bytes]:
    """The blocks of one plane, each without its length."""
    found = [plane[start : start + BLOCK] for start in range(0, len(plane), BLOCK)]
    groups = [found[:-1], found[-1:]] if found and len(found[-1]) < BLOCK else [found]  # equal lengths together
    return [block for group in groups if group for block in _encode(np.stack(group))]


def decode(blocks: list[Bytes], count: int) -> Bytes:
    """The `count` symbols of one plane. Raises Damaged."""
    full = count // BLOCK
    parts = [_decode(group, size) for group, size in ((blocks[:full], BLOCK), (blocks[full:], count % BLOCK)) if group]
    return np.concatenate([part.ravel() for part in parts]) if parts else np.empty(0, np.uint8)


def frequencies(symbols: Bytes) -> NDArray[np.int64]:
    """256 frequencies that add up to TOTAL: shares rounded, none that occurs at 0, then the cheapest single steps."""
    counts = np.bincount(symbols, minlength=256).astype(np.int64)
    shares = (counts * TOTAL + len(symbols) // 2) // len(symbols)
    shares[(shares == 0) & (counts > 0)] = 1
    while (excess := int(shares.sum()) - TOTAL) != 0:
        down = excess > 0
        at = np.flatnonzero(shares > down)
        best = at[0]
        for symbol in at[1:]:  # exact integers: the costs are counts / (2 * shares -+ 1), and the first of equals wins
            mine = int(counts[symbol]) * int(2 * shares[best] + (-1 if down else 1))
            its = int(counts[best]) * int(2 * shares[symbol] + (-1 if down else 1))
            if mine < its if down else mine > its:
                best = symbol
        shares[best] += -1 if down else 1
    alone = np.flatnonzero(shares == TOTAL)
    if len(alone):
        shares[alone[0]] -= 1  # 12 bits hold every frequency
        shares[alone[0] ^ 1] = 1
    return shares


def _encode(symbols: Bytes) -> list[bytes]:
    """Blocks of equal length, a row each."""
    blocks, count = symbols.shape
    shares = np.stack([frequencies(row) for row in symbols])
    starts = np.cumsum(shares, axis=1) - shares
    rounds = -(-count // LANES)
    whole = count // LANES * LANES
    padded = np.zeros((blocks, rounds * LANES), np.uint8)
    padded[:, :whole] = symbols[:, :whole].reshape(blocks, -1, LANES)[:, :, PLACES].reshape(blocks, -1)
    padded[:, whole:count] = symbols[:, whole:]
    states = np.full((blocks, LANES), LOW, np.int64)
    words = np.zeros((blocks, rounds, LANES), np.uint16)
    written = np.zeros((blocks, rounds, LANES), bool)
    row = np.arange(blocks)[:, None]
    for turn in reversed(range(rounds)):
        lanes = min(LANES, count - turn * LANES)
        symbol = padded[:, turn * LANES : turn * LANES + lanes]
        share, start, state = shares[row, symbol], starts[row, symbol], states[:, :lanes]
        full = state >= share << (32 - BITS)
        words[:, turn, :lanes] = state & 0xFFFF
        written[:, turn, :lanes] = full
        state = np.where(full, state >> 16, state)
        quotient = state // share
        states[:, :lanes] = (quotient << BITS) + (state - quotient * share) + start
    return [
        _table(shares[block])
        + states[block].astype("<u4").tobytes()
        + words[block][written[block]].astype("<u2").tobytes()
        for block in range(blocks)
    ]


def _decode(blocks: list[Bytes], count: int) -> Bytes:
    """Blocks of `count` symbols each, a row each."""
    tables, states, words = zip(*(_parse(block) for block in blocks), strict=True)
    slots = np.concatenate(tables)
    state = np.stack(states).astype(np.int64)
    lengths = np.array([len(each) for each in words])
    flat = np.concatenate([*words, np.zeros(LANES, "<u2")]).astype(
        np.int64
    )  # one block may read into the next: damaged
    ends = np.cumsum(lengths)
    positions = ends - lengths
    offset = (np.arange(len(blocks)) * TOTAL)[:, None]
    out = np.empty((len(blocks), count), np.uint8)
    for at in range(0, count, LANES):
        lanes = min(LANES, count - at)
        slot = slots[offset + (state[:, :lanes] & (TOTAL - 1))]
        out[:, at : at + lanes] = slot & 0xFF
        new = (slot >> 20) * (state[:, :lanes] >> BITS) + (slot >> 8 & (TOTAL - 1))
        short = new < LOW
        places = positions[:, None] + np.cumsum(short, axis=1) - 1
        word = flat[np.clip(places, 0, len(flat) - 1)]
        state[:, :lanes] = np.where(short, (new << 16 | word) & 0xFFFFFFFF, new)
        positions += short.sum(axis=1)
    if (positions != ends).any() or (state != LOW).any():
        raise Damaged
    whole = count // LANES * LANES
    out[:, :whole] = out[:, :whole].reshape(len(blocks), -1, LANES)[:, :, _LANE_OF].reshape(len(blocks), -1)
    return out


def _table(shares: NDArray[np.int64]) -> bytes:
    """The first and the last symbol that occur, then each frequency between, in one byte or two."""
    present = np.flatnonzero(shares)
    first, last = int(present[0]), int(present[-1])
    out = bytearray([first, last])
    for share in shares[first : last + 1].tolist():
        out += bytes([share]) if share < 128 else bytes([share & 127 | 128, share >> 7])
    return bytes(out)


def _parse(block: Bytes) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint16]]:
    """(slots, states, words) of one block. A slot: symbol, its frequency << 20, distance from its start << 8."""
    data = block.tobytes()
    slots, start, at = np.empty(TOTAL, np.int64), 0, 2
    if len(data) < 2 or data[0] > data[1]:
        raise Damaged
    for symbol in range(data[0], data[1] + 1):
        if at + 2 > len(data):
            raise Damaged
        share, at = data[at], at + 1
        if share >= 128:
            if not 0 < data[at] < 32:
                raise Damaged
            share, at = share & 127 | data[at] << 7, at + 1
        if share > TOTAL - start:
            raise Damaged
        slots[start : start + share] = share << 20 | np.arange(share) << 8 | symbol
        start += share
    if start != TOTAL or len(data) < at + 4 * LANES or (len(data) - at) % 2:
        raise Damaged
    return slots, np.frombuffer(data, "<u4", LANES, at), np.frombuffer(data, "<u2", -1, at + 4 * LANES)
