"""Differences from a base: exact whatever the bytes, the same from every implementation, as small as they should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault_differences import pair

from emeritus.errors import IntegrityError
from emeritus.vault.codec import difference, difference_tables
from emeritus.vault.codec.kernel import kernel, level

LEVELS = ("scalar", "avx2", "avx512", "neon")


@contextmanager
def using(name: str) -> Iterator[None]:
    """Differences are computed by this instruction set, or by NumPy."""
    try:
        if name == "numpy":
            difference.kernel = None
        else:
            kernel.limit(name)
        yield
    finally:
        difference.kernel = kernel
        kernel.limit("avx512")


def decode(stored: bytes, base: bytes, length: int) -> bytes:
    """The decoded bytes."""
    out = bytearray(length)
    difference.decode_into(stored, base, out)
    return bytes(out)


def everywhere(data: bytes, base: bytes, layout: int) -> bytes | None:
    """What every implementation makes of it, after checking that they agree and that each gives the bytes back."""
    results = []
    for name in ("scalar", level(), "numpy"):
        with using(name):
            stored = difference.encode(data, base, layout)
            results.append(stored)
            if stored is not None:
                assert decode(stored, base, len(data)) == data
    assert results[0] == results[1] == results[2]
    return results[0]


@pytest.mark.parametrize(("sigma", "bits"), [(1e-5, 0.53), (5e-5, 2.01), (2e-4, 3.94), (1e-3, 6.35)])
def test_updates_take_little_more_than_their_entropy(sigma: float, bits: float) -> None:
    """Within a few per cent of what numbers so moved hold given their base, tables and all."""
    data, base = pair(sigma, 1 << 18)
    stored = difference.encode(data, base, 2)
    assert stored is not None
    assert 8 * len(stored) / (1 << 18) < bits
    assert decode(stored, base, len(data)) == data
    assert difference.estimate(data, base, 2) == pytest.approx(8 * len(stored) / (1 << 18), rel=0.05, abs=0.02)


@pytest.mark.parametrize("sigma", [1e-5, 1e-3])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 65, 3000])
def test_every_implementation_gives_the_same_bytes(sigma: float, count: int) -> None:
    """Compiled for each instruction set or in NumPy: one result, also where rows and groups are not full."""
    stored = everywhere(*pair(sigma, count), 2)
    assert count < 1000 or stored is not None


def test_float32() -> None:
    """Numbers of four bytes: up to 28 raw bits follow a token, in two steps."""
    chance = np.random.default_rng(0)
    base = chance.normal(0, 0.02, 4001).astype("<f4")
    data = (base + chance.normal(0, 5e-5, 4001)).astype("<f4")
    stored = everywhere(data.tobytes(), base.tobytes(), 4)
    assert stored is not None
    assert len(stored) < 0.6 * data.nbytes
    assert difference.estimate(data.tobytes(), base.tobytes(), 4) == pytest.approx(8 * len(stored) / 4001, rel=0.1)


def test_float32_that_was_bf16() -> None:
    """Numbers of four bytes whose lower two are zero cost what they cost in bf16, whatever the base's lower bytes."""
    data, base = (np.frombuffer(each, "<u2").astype("<u4") << 16 for each in pair(5e-5, 5000))
    as_bf16 = difference.encode(*pair(5e-5, 5000), 2)
    stored = everywhere(data.tobytes(), base.tobytes(), 4)
    assert stored is not None
    assert as_bf16 is not None
    assert len(stored) == len(as_bf16)
    assert everywhere(data.tobytes(), (base | 0x1234).tobytes(), 4) == stored


def test_every_bit_pattern() -> None:
    """Infinities, NaN of every payload, both zeros, subnormals: each 16-bit pattern comes back."""
    every = np.arange(1 << 16, dtype="<u2")
    for base in (every ^ 1, every ^ 0x8000, np.full(1 << 16, 0x3C00, "<u2"), np.roll(every, 77)):
        with using("scalar"):
            for data in (every.tobytes(), every[::-1].tobytes()):
                stored = difference.encode(data, base.tobytes(), 2)
                if stored is not None:
                    assert decode(stored, base.tobytes(), len(data)) == data


@settings(max_examples=60, deadline=None)
@given(
    base=st.binary(max_size=600),
    changes=st.lists(st.tuples(st.integers(0, 599), st.integers(0, 255)), max_size=8),
    tail=st.binary(max_size=9),
    cut=st.integers(0, 40),
    layout=st.sampled_from((2, 4)),
)
def test_any_bytes(base: bytes, changes: list[tuple[int, int]], tail: bytes, cut: int, layout: int) -> None:
    """Bytes that are no weights at all, longer or shorter than their base: exact, or refused as no gain."""
    data = bytearray(base[: max(0, len(base) - cut)] * 3)
    for place, value in changes:
        if place < len(data):
            data[place] = value
    everywhere(bytes(data) + tail, base * 3, layout)


def test_what_equals_its_base_costs_next_to_nothing() -> None:
    """A whole segment that is its base's takes a few bytes; a few rows that differ cost only theirs."""
    data, base = pair(5e-5, 1 << 16)
    same = everywhere(base, base, 2)
    assert same is not None
    assert len(same) < 8
    row = 2 * 1024
    mixed = bytearray(base)
    mixed[5 * row : 7 * row] = data[5 * row : 7 * row]
    some = everywhere(bytes(mixed), base, 2)
    assert some is not None
    assert len(some) < 0.3 * 2 * row
    assert difference.estimate(base, base, 2) < 0.01


@pytest.mark.parametrize("surplus", [b"", b"\x01", bytes(range(64)), bytes(600), bytes(601)])
def test_a_resized_vocabulary(surplus: bytes) -> None:
    """Rows beyond the base's are coded by themselves; a base that has more is cut."""
    data, base = pair(5e-5, 5000)
    longer = everywhere(data + surplus, base, 2)
    shorter = everywhere(data, base + surplus, 2)
    assert longer is not None
    assert shorter is not None
    assert len(shorter) <= len(longer) <= len(shorter) + len(surplus) + 1
    assert len(longer) > len(shorter) or not surplus


def test_a_base_of_zeros_tells_nothing() -> None:
    """Where the base's numbers are zero the numbers themselves are coded, not their distance from it."""
    data, _ = pair(1e-3, 20000)
    stored = everywhere(data, bytes(len(data)), 2)
    assert stored is not None
    assert 8 * len(stored) / 20000 < 10.9


def test_rare_leaps_share_one_token() -> None:
    """A few numbers that have nothing to do with their base's do not make the others' tables worse."""
    data, base = pair(1e-5, 1 << 17)
    numbers = np.frombuffer(data, np.uint16).copy()
    plain = difference.encode(data, base, 2)
    numbers[::4099] = np.random.default_rng(1).integers(0, 1 << 16, len(numbers[::4099]))
    with_leaps = difference.encode(numbers.tobytes(), base, 2)
    assert plain is not None
    assert with_leaps is not None
    assert len(with_leaps) < len(plain) + 8 * len(numbers[::4099])
    assert decode(with_leaps, base, len(data)) == numbers.tobytes()


def test_what_does_not_pay_is_refused() -> None:
    """Noise against noise gives nothing, and the encoder says so instead of growing it."""
    noise = np.random.default_rng(0).bytes(20000)
    assert everywhere(noise, noise[::-1], 2) is None
    assert everywhere(b"", b"", 2) is None
    assert everywhere(b"abc", b"", 4) is None
    assert difference.estimate(noise, b"", 4) == 32
    with pytest.raises(ValueError, match="not of layout 8"):
        difference.encode(noise, noise, 8)
    with pytest.raises(ValueError, match="not of layout 1"):
        difference.estimate(noise, noise, 1)


def sound(stored: bytes, base: bytes, length: int) -> bytes | None:
    """The decoded bytes, None where the decoder found the damage."""
    try:
        return decode(stored, base, length)
    except IntegrityError:
        return None


def test_damage_is_found_or_harmless() -> None:
    """Every bit flip and every cut: IntegrityError, or bytes of the right length; kernel and NumPy judge alike."""
    chance = np.random.default_rng(3)
    base = chance.normal(0, 0.02, 120).astype("<f4")
    wide = ((base + chance.normal(0, 1e-6, 120)).astype("<f4").tobytes(), base.tobytes())
    for width, (data, old) in ((2, pair(1e-3, 200)), (4, wide)):
        stored = difference.encode(data, old, width)
        assert stored is not None
        damaged = [bytes(bytearray(stored[:cut])) for cut in range(len(stored))] + [stored + b"\0"]
        for place in range(8 * len(stored)):
            flipped = bytearray(stored)
            flipped[place // 8] ^= 1 << place % 8
            damaged.append(bytes(flipped))
        missed = 0
        for number, each in enumerate(damaged):
            found = sound(each, old, len(data))
            missed += found == data
            if number % 17 == 0:
                for name in ("scalar", "numpy"):
                    with using(name):
                        assert sound(each, old, len(data)) == found
        assert missed < 24  # the bits of where a table's exponents end, where no number has those


def test_tables_that_no_encoder_writes_are_refused() -> None:
    """Out of order, not summing to 4096, naming tokens that there are not, or cut short."""
    frequencies = np.zeros((2, 256), np.uint16)
    frequencies[:, 0] = 4096
    good = difference_tables.Tables(bytes(100) + bytes([1]) * 156, bytes(2), frequencies)
    packed = difference_tables.pack(good)
    read, size = difference_tables.unpack(packed + b"\xff", 2)
    assert (read.map, read.kinds, size) == (good.map, good.kinds, len(packed))
    assert (read.frequencies == frequencies).all()
    bits = int.from_bytes(packed, "little")
    unordered = bits & ~(255 << 25) | 50 << 25  # each of these tables takes 8 + 1 + 4 + 12 bits
    assert bits >> 25 & 255 == 255
    foreign = np.zeros((1, 256), np.uint16)
    foreign[0, 130] = 4096
    for stored in (
        unordered.to_bytes(len(packed), "little"),
        packed[:-1] + bytes([packed[-1] | 128]),  # what fills the last byte up is zero
        difference_tables.pack(difference_tables.Tables(bytes(256), bytes(1), foreign)),
        packed[:-1],
        b"",
        b"\xff" + bytes(40),
        b"\xff\xff\xff",
    ):
        with pytest.raises(IntegrityError):
            difference_tables.unpack(stored, 2)
    difference_tables.unpack(difference_tables.pack(difference_tables.Tables(bytes(256), b"\1", foreign)), 2)


def test_wrong_calls_of_the_kernel_are_refused() -> None:
    """Sizes that do not fit, tables that are not sound, widths that there are not: ValueError."""
    table = np.zeros(256, "<u2")
    table[0] = 4096
    short = np.zeros(256, "<u2")
    good = (2, bytes(256), bytes(1), table, bytes(64), bytes(64), bytearray(400))
    assert kernel.difference_encode(*good) == 128
    for place, wrong in ((0, 3), (1, bytes(255)), (1, b"\1" * 256), (2, b"\2"), (2, b""), (3, short), (4, bytes(62))):
        with pytest.raises(ValueError, match=r"."):
            kernel.difference_encode(*good[:place], wrong, *good[place + 1 :])
        with pytest.raises(ValueError, match=r"."):
            kernel.difference_decode(*good[:place], wrong, *good[place + 1 : 6], bytearray(64))
    with pytest.raises(ValueError, match="wrong size"):
        kernel.difference_count(2, 0, bytes(64), bytes(64), bytes(256), bytearray(9))
    with pytest.raises(ValueError, match="number of arguments"):
        kernel.difference_count(2, 0)
    with pytest.raises((BufferError, TypeError)):
        kernel.difference_encode(*good[:6], bytes(400))
    assert kernel.difference_encode(*good[:6], bytearray(100)) == -1
