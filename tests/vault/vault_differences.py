"""Weights before and after an update, for tests of differences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def bf16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Rounded to the nearest bf16, ties to even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def pair(sigma: float, count: int, seed: int = 0) -> tuple[bytes, bytes]:
    """(data, base): bf16 weights of scale 0.02 and what an update of size `sigma` makes of them."""
    chance = np.random.default_rng(seed)
    base = bf16(chance.normal(0, 0.02, count).astype(np.float32))
    moved = (base.astype(np.uint32) << 16).view(np.float32) + chance.normal(0, sigma, count).astype(np.float32)
    return bf16(moved).tobytes(), base.tobytes()
