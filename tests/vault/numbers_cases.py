"""Numbers that try every part of encoding 3: each name with its layout and how to make it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from vault_models import numbers as weights

from emeritus.vault.codec.rans import BLOCK


def geometric(count: int, seed: int) -> bytes:
    """Bytes as exponents are distributed: halved and halved again."""
    return (124 - np.random.default_rng(seed).geometric(0.5, count).clip(1, 120)).astype(np.uint8).tobytes()


def stairs(count: int) -> bytes:
    """Nearly every byte the same, and each of the other 255 once: frequencies must be pushed up to one."""
    data = np.zeros(count, np.uint8)
    data[100:355] = np.arange(1, 256)
    return data.tobytes()


def padded(count: int) -> bytes:
    """bf16 weights with rows of zeros, as embeddings have: the symbol 0 far below all others."""
    rows = np.frombuffer(weights(count, "BF16", 11), "<u2").copy()
    rows[count // 3 : count // 2] = 0
    return rows.tobytes()


CASES: dict[str, tuple[int, Callable[[], bytes]]] = {
    "bf16": (2, lambda: weights(BLOCK + 777, "BF16", 1)),
    "bf16, a whole block": (2, lambda: weights(BLOCK, "BF16", 2)),
    "bf16, two blocks and one": (2, lambda: weights(2 * BLOCK + 1, "BF16", 3)),
    "bf16 with zeros": (2, lambda: padded(90_000)),
    "fp16": (2, lambda: weights(100_003, "F16", 1)),
    "fp32": (4, lambda: weights(70_001, "F32", 1)),
    "fp32 that was bf16": (4, lambda: np.frombuffer(weights(50_000, "BF16", 4), "<u2").astype("<u4").tobytes()),
    "fp64": (8, lambda: weights(9_999, "F64", 1)),
    "int8": (1, lambda: np.random.default_rng(1).normal(0, 20, 99_999).clip(-127, 127).astype(np.int8).tobytes()),
    "exponents": (1, lambda: geometric(BLOCK + 64, 5)),
    "one value": (1, lambda: bytes([7]) * 5000),
    "one value, then another": (1, lambda: bytes([7]) * BLOCK + bytes([9]) * BLOCK + b"x"),
    "stairs": (1, lambda: stairs(BLOCK)),
    "the highest alone": (1, lambda: bytes([255]) * 90_000 + b"\x00"),
    "noise": (2, lambda: np.random.default_rng(6).bytes(40_000)),
    "noise under zeros": (2, lambda: (np.random.default_rng(7).integers(0, 16, 30_000) << 7).astype("<u2").tobytes()),
    "half noise, half zeros": (4, lambda: np.random.default_rng(8).bytes(40_000) + bytes(40_000)),
    "sixty-three": (1, lambda: bytes(63 * [1] + [2])[1:]),
    "nothing": (2, lambda: b""),
}
