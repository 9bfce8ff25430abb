"""The field, the matrix, the sums over buffers: every instruction set gives the twin's bytes, and lost data return."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

import pytest

from emeritus.vault.codec import reed_solomon
from emeritus.vault.codec.kernel import kernel, level
from emeritus.vault.codec.reed_solomon import (
    cauchy,
    combine,
    combine_numpy,
    inverse,
    invert,
    multiply,
    product,
    recovery,
)


@pytest.fixture(params=["scalar", "avx2", "avx512"])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """At most that instruction set, for the length of a test: on another machine the fastest it has below."""
    kernel.limit(request.param)
    yield level()
    kernel.limit("avx512")


def slowly(left: int, right: int) -> int:
    """A product by long multiplication and division by the polynomial."""
    wide = 0
    for bit in range(8):
        wide ^= (left << bit) * (right >> bit & 1)
    for bit in range(14, 7, -1):
        wide ^= (0x11B << bit - 8) * (wide >> bit & 1)
    return wide


def test_the_field_is_that_of_its_polynomial() -> None:
    """Every product is that of long division, and every element but 0 has its inverse."""
    assert all(multiply(a, b) == slowly(a, b) for a in range(256) for b in range(256))
    assert all(slowly(a, inverse(a)) == 1 for a in range(1, 256))
    with pytest.raises(ZeroDivisionError):
        inverse(0)


def test_any_square_part_of_the_matrix_can_be_inverted() -> None:
    """Random square parts times their inverses are the identity; rows and columns beyond 127 are refused."""
    chance = random.Random(3)
    for size in (1, 2, 3, 5, 8):
        part = cauchy(chance.sample(range(128), size), chance.sample(range(128), size))
        assert product(invert(part), part) == [[int(i == j) for j in range(size)] for i in range(size)]
    for shards, columns in (([128], [0]), ([0], [128]), ([-1], [0])):
        with pytest.raises(ValueError, match="128"):
            cauchy(shards, columns)


def test_kernel_and_twin_agree(instruction_set: str) -> None:
    """Lengths around every boundary, sources shorter and longer than the targets, adding or not, many rows."""
    chance = random.Random(7)
    for length in (1, 31, 63, 64, 127, 128, 129, 4096, 16383, 16384, 16385, 40_001):
        for rows, columns in ((1, 1), (2, 16), (7, 5)):
            matrix = chance.randbytes(rows * columns)
            lengths = [max(0, length + chance.choice([0, 0, 0, 9, -1, -64, -20_000])) for _ in range(columns)]
            sources = [chance.randbytes(each) for each in lengths]
            for add in (False, True):
                wanted = [bytearray(chance.randbytes(length)) for _ in range(rows)]
                found = [bytearray(each) for each in wanted]
                combine_numpy(matrix, sources, wanted, add)
                kernel.gf_combine(matrix, sources, found, add)
                assert found == wanted, (instruction_set, length, rows, columns, add)


def test_the_rest_of_a_longer_buffer_stays(instruction_set: str) -> None:
    """Nothing is written behind a target that is part of a buffer."""
    whole = bytearray(b"\xaa" * 1000)
    kernel.gf_combine(b"\x02", [bytes(1000)], [memoryview(whole)[100:301]], False)
    assert whole == b"\xaa" * 100 + bytes(201) + b"\xaa" * 699


def test_every_loss_within_the_shards_comes_back() -> None:
    """Of five columns and three shards, any three columns lost are given back by any three shards, two by any two."""
    data = [random.Random(n).randbytes(500 - 70 * n) for n in range(5)]
    shards = [bytearray(500) for _ in range(3)]
    combine(cauchy(range(3), range(5)), data, shards)
    for count in (1, 2, 3):
        for lost in combinations(range(5), count):
            for using in combinations(range(3), count):
                there = [data[j] for j in range(5) if j not in lost] + [shards[i] for i in using]
                found = [bytearray(500) for _ in lost]
                combine(recovery(5, lost, using), there, found)
                assert [bytes(each[: len(data[j])]) for each, j in zip(found, lost, strict=True)] == [
                    data[j] for j in lost
                ]


def test_without_the_kernel_the_twin_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`combine` gives the same bytes where no kernel was built."""
    data = [random.Random(n).randbytes(3000) for n in range(4)]
    by = {}
    for name in ("kernel", "twin"):
        if name == "twin":
            monkeypatch.setattr(reed_solomon, "kernel", None)
        by[name] = [bytearray(3000) for _ in range(2)]
        combine(cauchy(range(2), range(4)), data, by[name])
    assert by["kernel"] == by["twin"]


@pytest.mark.parametrize("call", ["kernel", "twin"])
def test_wrong_calls_are_refused(call: str) -> None:
    """A matrix of another shape, no columns, targets of two lengths: ValueError, and nothing is written."""
    function = kernel.gf_combine if call == "kernel" else combine_numpy
    for matrix, sources, lengths in (
        (b"\1\1", [b"a"], [1]),
        (b"", [], [1]),
        (b"\1\1", [b"a"], [1, 2]),
        (b"", [b"a"], []),
    ):
        targets = [bytearray(b"x" * length) for length in lengths]
        with pytest.raises(ValueError, match=r"matrix|one length"):
            function(matrix, sources, targets, False)
        assert all(target == b"x" * len(target) for target in targets)
    with pytest.raises((ValueError, BufferError)):
        function(b"\1", [b"a"], [b"b"], False)  # a target that cannot be written
    with pytest.raises(TypeError):
        function(b"\1", ["text"], [bytearray(1)], False)
    with pytest.raises(ValueError, match="as many shards"):
        recovery(3, [0, 1], [0])
