"""Reed-Solomon over GF(2^8): the field, the Cauchy matrix, and sums of products over buffers, compiled or by NumPy.

The field's polynomial is x^8 + x^4 + x^3 + x + 1 (0x11B). Row i of the matrix makes shard i of data columns j:
C[i][j] = 1 / (x_i + y_j) with x_i = 255 - i and y_j = j; sums in the field are exclusive ors. Every square part of such
a matrix can be inverted (Blömer et al., "An XOR-based erasure-resilient coding scheme", 1995), so any k of the data
columns and shards give all k data columns back; and a row depends on its own number only, so that shards can be added
later. Knows no packs; docs/format.md has it in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from emeritus.vault.codec.kernel import kernel

Buffer = bytes | bytearray | memoryview
MOST_DATA = MOST_SHARDS = 128  # x_i and y_j must all differ
_POLYNOMIAL = 0x11B
Matrix = list[list[int]]


def multiply(left: int, right: int) -> int:
    """The product of two elements of the field."""
    return _tables()[0][left][right]


def inverse(element: int) -> int:
    """What times `element` is 1. Raises ZeroDivisionError for 0."""
    if element == 0:
        raise ZeroDivisionError("0 has no inverse in GF(2^8)")
    return _tables()[1][element]


def cauchy(shards: Sequence[int], columns: Sequence[int]) -> Matrix:
    """The matrix's rows of these shards, its columns of these data: C[i][j] = 1 / ((255 - i) + j).

    Raises ValueError for a number beyond 127, where rows and columns would meet.
    """
    if not all(0 <= i < MOST_SHARDS for i in shards) or not all(0 <= j < MOST_DATA for j in columns):
        raise ValueError(f"the matrix has {MOST_SHARDS} shards and {MOST_DATA} columns")
    return [[inverse((255 - i) ^ j) for j in columns] for i in shards]


def invert(matrix: Matrix) -> Matrix:
    """The inverse of a square matrix, by Gauss and Jordan. Raises ZeroDivisionError when it has none."""
    size = len(matrix)
    rows = [[*row, *(int(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next((i for i in range(column, size) if rows[i][column]), column)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        factor = inverse(rows[column][column])
        rows[column] = [multiply(factor, each) for each in rows[column]]
        for i in range(size):
            if i != column and (factor := rows[i][column]):
                rows[i] = [each ^ multiply(factor, own) for each, own in zip(rows[i], rows[column], strict=True)]
    return [row[size:] for row in rows]


def product(left: Matrix, right: Matrix) -> Matrix:
    """The matrix product over the field."""
    columns = list(zip(*right, strict=True))
    return [[_dot(row, column) for column in columns] for row in left]


def recovery(data: int, lost: Sequence[int], shards: Sequence[int]) -> Matrix:
    """What gives the lost columns of `data` columns back from the others, in order, followed by as many `shards`.

    Shard i without the columns that are there is the sum of C[i][j] times the lost ones: the inverse of that part of
    the matrix solves it. Raises ValueError unless there is one shard for each lost column.
    """
    if len(lost) != len(shards):
        raise ValueError(f"{len(lost)} lost columns need as many shards, not {len(shards)}")
    there = [j for j in range(data) if j not in set(lost)]
    solved = invert(cauchy(shards, lost))
    known = product(solved, cauchy(shards, there)) if there else [[] for _ in lost]
    return [[*of_data, *of_shards] for of_data, of_shards in zip(known, solved, strict=True)]


def combine(matrix: Matrix, sources: Sequence[Buffer], targets: Sequence[Buffer], *, add: bool = False) -> None:
    """targets[r] = the sum over c of matrix[r][c] * sources[c]; with `add` that sum is added to what targets[r] holds.

    Buffers of bytes. All targets are of one length; a shorter source goes on as zeros, a longer one is cut. Targets
    overlap neither each other nor a source. Raises ValueError for a matrix of another shape.
    """
    flat = bytes(element for row in matrix for element in row)
    if kernel is not None:
        kernel.gf_combine(flat, sources, targets, add)
    else:
        combine_numpy(flat, sources, targets, add)


def combine_numpy(matrix: bytes, sources: Sequence[Buffer], targets: Sequence[Buffer], add: bool) -> None:
    """The kernel's twin: the same arguments, errors and bytes, by table and more slowly."""
    import numpy as np

    if not 1 <= len(sources) <= 255 or not 1 <= len(targets) <= 255 or len(matrix) != len(sources) * len(targets):
        raise ValueError("a matrix of rows x columns, 1 to 255 each, needs as many sources and targets")
    out = [np.frombuffer(target, np.uint8) for target in targets]
    if len({len(each) for each in out}) != 1:
        raise ValueError("the targets are not of one length")
    data = [np.frombuffer(source, np.uint8)[: len(out[0])] for source in sources]
    products = _products()
    for row, target in enumerate(out):
        if not add:
            target[:] = 0
        for column, source in enumerate(data):
            target[: len(source)] ^= products[matrix[row * len(sources) + column]][source]


def _dot(row: Sequence[int], column: Sequence[int]) -> int:
    total = 0
    for left, right in zip(row, column, strict=True):
        total ^= multiply(left, right)
    return total


@cache
def _tables() -> tuple[list[list[int]], list[int]]:
    """(all products, all inverses), by logarithms to the base 3, which generates the field."""
    powers, logarithms = [0] * 510, [0] * 256
    element = 1
    for exponent in range(255):
        powers[exponent] = powers[exponent + 255] = element
        logarithms[element] = exponent
        element ^= element << 1  # times 3
        if element & 0x100:
            element ^= _POLYNOMIAL
    products = [[0] * 256 for _ in range(256)]
    for left in range(1, 256):
        products[left][1:] = [powers[logarithms[left] + logarithms[right]] for right in range(1, 256)]
    return products, [0, *(powers[255 - logarithms[each]] for each in range(1, 256))]


@cache
def _products() -> Any:
    """All products as an array of uint8, 256 by 256."""
    import numpy as np

    return np.array(_tables()[0], np.uint8)
