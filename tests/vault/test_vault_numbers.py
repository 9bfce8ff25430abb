"""Encoding 3, numbers: the kernel in every instruction set, its twin and the standalone decoder agree to the byte."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numbers_cases import CASES, geometric
from vault_models import numbers as weights

from emeritus.errors import IntegrityError
from emeritus.vault.codec import numbers
from emeritus.vault.codec.kernel import kernel, level
from emeritus.vault.codec.rans import BLOCK
from emeritus.vault.standalone import decode_numbers

WAYS = ["avx512", "avx2", "neon", "scalar", "twin"]


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One way to compute, in use for a test; skipped where this machine lacks it."""
    if request.param == "twin":
        monkeypatch.setattr(numbers, "kernel", None)
        yield "twin"
        return
    try:
        if kernel.limit(request.param) != request.param:
            pytest.skip(f"this machine has no {request.param}")
        yield request.param
    finally:
        kernel.limit("avx512")


def reference(name: str) -> tuple[int, bytes, bytes]:
    """(layout, data, encoded) of a case, by the plainest of the kernel's loops."""
    layout, make = CASES[name]
    data = make()
    kernel.limit("scalar")
    try:
        return layout, data, numbers.encode(data, layout)
    finally:
        kernel.limit("avx512")


@pytest.mark.parametrize("way", WAYS, indirect=True)
@pytest.mark.parametrize("name", CASES)
def test_every_way_gives_the_same_bytes(name: str, way: str) -> None:
    """Each way encodes to the same bytes and decodes them to what was given."""
    _, data, stored = reference(name)
    if way not in {"twin", "scalar"}:
        assert kernel.limit(way) == way
    layout = CASES[name][0]
    assert numbers.encode(data, layout) == stored
    out = bytearray(len(data))
    numbers.decode_into(stored, out)
    assert out == data
    again = memoryview(bytearray(len(data)))
    assert b"".join(map(bytes, numbers.decode_pieces(stored, again))) == data == again
    assert numbers.proves(stored, data)
    if data:
        assert not numbers.proves(stored, data[:-1] + bytes([data[-1] ^ 1]))
        assert not numbers.proves(stored[:-1], data)


@pytest.mark.parametrize("fast", [False, True], ids=["bare", "numpy"])
@pytest.mark.parametrize("name", [name for name in CASES if name not in {"bf16, two blocks and one", "stairs"}])
def test_the_standalone_decoder_agrees(name: str, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder of the standard library alone gives back the same bytes, and so it does with NumPy."""
    _, data, stored = reference(name)
    if not fast:
        monkeypatch.setattr(decode_numbers, "numpy", None)
    assert decode_numbers.decode(stored, len(data)) == data


@pytest.mark.parametrize("fast", [False, True], ids=["bare", "numpy"])
def test_the_standalone_decoder_finds_a_changed_word(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole block whose last word was changed is refused by it."""
    stored = bytearray(numbers.encode(geometric(BLOCK, 3), 1))
    stored[-1] ^= 16
    if not fast:
        monkeypatch.setattr(decode_numbers, "numpy", None)
    with pytest.raises(ValueError, match=r"damaged|end early"):
        decode_numbers.decode(bytes(stored), BLOCK)


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_found_alike(monkeypatch: pytest.MonkeyPatch, data: st.DataObject) -> None:
    """Damaged bytes raise IntegrityError, or every way gives the same numbers; nothing is written past the end."""
    layout, original = data.draw(
        st.sampled_from([(1, geometric(700, 1)), (2, weights(900, "BF16", 1)), (4, weights(500, "F32", 2))])
    )
    stored = bytearray(numbers.encode(original, layout))
    for _ in range(data.draw(st.integers(0, 3))):
        stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    stored = stored[: data.draw(st.integers(0, len(stored)) | st.just(len(stored)))] + data.draw(st.binary(max_size=3))
    results = []
    for each in WAYS:
        room = bytearray(b"\xa5") * (len(original) + 64)
        with monkeypatch.context() as patch:
            if each == "twin":
                patch.setattr(numbers, "kernel", None)
            else:
                kernel.limit(each)
            try:
                for decode in (numbers.decode_into, lambda *given: list(numbers.decode_pieces(*given))):
                    try:
                        decode(stored, memoryview(room)[: len(original)])
                        results.append(bytes(room[: len(original)]))
                    except IntegrityError:
                        results.append(None)
            finally:
                kernel.limit("avx512")
        assert room[len(original) :] == b"\xa5" * 64
    with contextlib.suppress(ValueError, IndexError, struct.error):
        results.append(decode_numbers.decode(bytes(stored), len(original)))
    assert len(set(results)) == 1


def test_the_integrity_check_finds_a_changed_word() -> None:
    """A block whose words were changed ends in other states, and is refused without any digest."""
    data = geometric(100_000, 3)
    stored = bytearray(numbers.encode(data, 1))
    for at in range(400, len(stored), 997):
        stored[at] ^= 16
        with pytest.raises(IntegrityError, match="damaged"):
            numbers.decode_into(stored, bytearray(len(data)))
        stored[at] ^= 16


@pytest.mark.parametrize("layout", numbers.LAYOUTS)
def test_pieces_come_in_turn_and_the_damaged_one_does_not(layout: int) -> None:
    """Raw, constant and coded planes go on where the piece before them ended; damage in the last stops only that."""
    count = 2 * BLOCK + 77  # a piece, and a short one
    columns = np.zeros((count, layout), np.uint8)
    columns[:, -1] = np.frombuffer(geometric(count, 5), np.uint8) >> 2
    if layout > 2:
        columns[:, 0] = np.random.default_rng(layout).integers(0, 256, count)
    stored = numbers.encode(columns.tobytes(), layout)
    out = memoryview(bytearray(columns.nbytes))
    assert [len(piece) for piece in numbers.decode_pieces(stored, out)] == [2 * BLOCK * layout, 77 * layout]
    assert out == columns.tobytes()
    coming = numbers.decode_pieces(stored[:-1] + bytes([stored[-1] ^ 16]), out)
    next(coming)
    with pytest.raises(IntegrityError, match="damaged"):
        next(coming)
    for begin in (-1, 1, 2 * layout, columns.nbytes):
        assert kernel.numbers_decode_piece(stored, out, begin) == 0


def test_wrong_lengths_are_refused() -> None:
    """Numbers that do not fill the bytes are a wrong call; a stream asked for another length is damage."""
    for length, layout in ((3, 2), (9, 8), (4, 3), (4, 0)):
        with pytest.raises(ValueError, match="not numbers of layout"):
            numbers.encode(bytes(length), layout)
    stored = numbers.encode(weights(1000, "BF16", 1), 2)
    for length in (0, 1998, 2001, 2002, 4000, 1 << 20):
        with pytest.raises(IntegrityError):
            numbers.decode_into(stored, bytearray(length))


def test_bf16_comes_close_to_its_entropy() -> None:
    """Normal weights take at most half a percent more than eight bits and the entropy of their exponents each."""
    data = weights(4 * BLOCK, "BF16", 9)
    symbols = np.frombuffer(data, "<u2") >> 7 & 255
    shares = np.bincount(symbols) / len(symbols)
    entropy = -float((shares[shares > 0] * np.log2(shares[shares > 0])).sum())
    assert 8 * len(numbers.encode(data, 2)) <= 1.005 * (8 + entropy) * 4 * BLOCK


def test_the_kernel_says_what_it_uses() -> None:
    """The level named is one of those the tests run."""
    assert level() in WAYS
